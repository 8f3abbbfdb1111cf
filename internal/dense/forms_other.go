//go:build !amd64

package dense

// block is for processors with a kernel.
func (f *RoundedForms) block(pairs []uint32, points int) { panic(Error("RoundedForms")) }

func (f *RoundedForms) addLanes() { panic(Error("RoundedForms")) }

func singleFormShape() formShape { return formShape{} }

// block is for processors with a kernel.
func (f *SingleForms) block(rows []float32, points int) { panic(Error("SingleForms")) }
