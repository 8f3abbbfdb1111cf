//go:build !amd64

package dense

func (f *RoundedForms) forms(int, []float32) { panic(Error("RoundedForms")) }

func (f *RoundedForms) weigh(int, int, *formScratch) { panic(Error("RoundedForms")) }

func (f *RoundedForms) moment(int, *formScratch, []float32) { panic(Error("RoundedForms")) }

func (f *ByteForms) most(Matrix[float32], []float32) { panic(Error("ByteForms")) }

func (f *ByteForms) forms(int, []float32) { panic(Error("ByteForms")) }

func (f *ByteForms) weigh(int, int, *formScratch) { panic(Error("ByteForms")) }

func (f *ByteForms) moment(int, float32, *formScratch, []float32) { panic(Error("ByteForms")) }

func singleFormShape() formShape { return formShape{} }

func (f *SingleForms) forms([]float32, int, []float32) { panic(Error("SingleForms")) }

func (f *SingleForms) moment([]float32, int, *formScratch, []float32) { panic(Error("SingleForms")) }
