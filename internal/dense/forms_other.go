//go:build !amd64

package dense

// block is for processors with a kernel.
func (f *RoundedForms) block(pairs []uint32, points int) { panic(Error("RoundedForms")) }

func (f *RoundedForms) addLanes() { panic(Error("RoundedForms")) }

func singleFormShape() formShape { return formShape{} }

// forms is for processors with a kernel.
func (f *SingleForms) forms(rows []float32, points int) { panic(Error("SingleForms")) }

func (f *SingleForms) moment(rows []float32, points int) { panic(Error("SingleForms")) }
