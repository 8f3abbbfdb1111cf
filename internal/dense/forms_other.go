//go:build !amd64

package dense

func (f *RoundedForms) forms(int) { panic(Error("RoundedForms")) }

func (f *RoundedForms) moment(int) { panic(Error("RoundedForms")) }

func addLanes(sums, totals []float32) { panic(Error("RoundedForms")) }

func singleFormShape() formShape { return formShape{} }

func (f *SingleForms) forms(int) { panic(Error("SingleForms")) }

func (f *SingleForms) moment(int) { panic(Error("SingleForms")) }
