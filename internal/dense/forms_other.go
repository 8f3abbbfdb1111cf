//go:build !amd64

package dense

func (f *RoundedForms) forms(int) { panic(Error("RoundedForms")) }

func (f *RoundedForms) weigh(int, int) { panic(Error("RoundedForms")) }

func (f *RoundedForms) moment(int) { panic(Error("RoundedForms")) }

func addLanes(sums, totals []float32) { panic(Error("RoundedForms")) }

func singleFormShape() formShape { return formShape{} }

func (f *SingleForms) forms(rows []float32, points int) { panic(Error("SingleForms")) }

func (f *SingleForms) moment(rows []float32, points int) { panic(Error("SingleForms")) }
