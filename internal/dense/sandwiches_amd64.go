package dense

import "unsafe"

// narrow writes the image of a pair to the rows of images.
func (s *RoundedSandwiches) narrow(k int, image Matrix[float32]) {
	to := (*byte)(unsafe.Pointer(unsafe.SliceData(s.images[k*s.pairs:])))
	narrowRowsAVX512(uintptr(s.n), uintptr(s.n), pointerTo(image.Data), uintptr(4*image.Stride), to, uintptr(4*s.count*s.pairs))
}

// interleave writes every two rows of x, as far as they are complete.
func (s *RoundedSandwiches) interleave(x Matrix[float32], dst []uint32) {
	if s.n > 1 {
		interleaveRowsAVX512(uintptr(s.n/2), uintptr(s.n), pointerTo(x.Data), uintptr(4*x.Stride), (*byte)(unsafe.Pointer(unsafe.SliceData(dst))))
	}
}
