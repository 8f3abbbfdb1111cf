package dense

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// hasQuads says whether there is a product kernel for quads of bytes.
func hasQuads() bool { return active == avx512 && cpu.X86.HasAVX512VNNI }

func stride[T Float](x *Matrix[T]) uintptr { return unsafe.Sizeof(*new(T)) * uintptr(x.Stride) }

// raiseMost raises the numbers in most to the largest |x_ij| weights_j of every row.
func raiseMost(x Matrix[float32], weights, most []float32) {
	maxRowsAVX512(uintptr(x.Rows), uintptr(x.Cols), pointerTo(x.Data), stride(&x), pointerTo(weights), pointerTo(most))
}

// bytesOfRows sets rows of unsigned bytes, so many words apart, to x_ij weights_j steps_i, rounded to integers.
func bytesOfRows(x Matrix[float32], weights, steps []float32, to []uint32, words int) {
	bytesOfRowsAVX512(uintptr(x.Rows), uintptr(x.Cols), pointerTo(x.Data), stride(&x), pointerTo(weights), pointerTo(steps), (*byte)(unsafe.Pointer(&to[0])), uintptr(4*words))
}

// quadsOfRows sets rows of quads of signed bytes to x_ij weights_i steps_j of every four rows of x, as far as they are complete, rounded to integers, and takes quadZero times
// each from its column's start.
func quadsOfRows(x Matrix[float32], weights, steps []float32, to []uint32, start []int32) {
	if x.Rows >= 4 {
		quadsOfRowsAVX512(uintptr(x.Rows/4), uintptr(x.Cols), pointerTo(x.Data), stride(&x), pointerTo(weights), pointerTo(steps), (*byte)(unsafe.Pointer(&to[0])), (*byte)(unsafe.Pointer(&start[0])))
	}
}

// run sets the tile of W.
func (c *commutation) run() {
	commuteRowsAVX512(uintptr(c.x.Rows), uintptr(c.x.Cols), pointerTo(c.x.Data), pointerTo(c.t.Data), pointerTo(c.u.Data), stride(&c.u), pointerTo(c.gRows), pointerTo(c.gCols),
		pointerTo(c.hRows), pointerTo(c.hCols), pointerTo(c.rowWeights), pointerTo(c.colWeights), pointerTo(c.sum.Data), pointerTo(c.w.Data), pointerTo(c.rowMost), pointerTo(c.colMost))
}
