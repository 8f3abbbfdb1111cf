//go:build !amd64

package dense

// block is for processors with a kernel.
func (f *RoundedForms) block(pairs, rows []uint32, points int) { panic(Error("RoundedForms")) }
