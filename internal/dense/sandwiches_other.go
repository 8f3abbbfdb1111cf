//go:build !amd64

package dense

func (s *RoundedSandwiches) narrow(k int, image Matrix[float32]) { panic(Error("RoundedSandwiches")) }

func (s *RoundedSandwiches) interleave(x Matrix[float32], dst []uint32) {
	panic(Error("RoundedSandwiches"))
}
