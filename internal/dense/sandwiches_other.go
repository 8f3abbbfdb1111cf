//go:build !amd64

package dense

func (s *RoundedSandwiches) narrow(k int, rows, cols tile, image Matrix[float32]) {
	panic(Error("RoundedSandwiches"))
}

func (s *RoundedSandwiches) interleave(x Matrix[float32], j, width int, dst []uint32) {
	panic(Error("RoundedSandwiches"))
}
