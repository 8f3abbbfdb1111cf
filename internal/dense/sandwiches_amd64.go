package dense

import "unsafe"

// narrow writes a tile of the image of a pair to the rows of images.
func (s *RoundedSandwiches) narrow(k int, rows, cols tile, image Matrix[float32]) {
	to := words(s.images[(rows.from*s.count+k)*s.pairs+cols.from/2:])
	narrowRowsAVX512(uintptr(rows.size), uintptr(cols.size), pointerTo(image.Data), uintptr(4*image.Stride), (*byte)(to), uintptr(4*s.count*s.pairs))
}

// interleave writes the width columns from j of every two rows of x, as far as they are complete.
func (s *RoundedSandwiches) interleave(x Matrix[float32], j, width int, dst []uint32) {
	if s.n > 1 {
		interleaveRowsAVX512(uintptr(s.n/2), uintptr(width), (*byte)(unsafe.Pointer(&x.Data[j])), uintptr(4*x.Stride), (*byte)(words(dst)))
	}
}
