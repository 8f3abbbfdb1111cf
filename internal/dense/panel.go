package dense

import "unsafe"

// panel is what a micro-kernel works on: rows of A times one column panel of B, at most three vectors wide. All steps are in bytes.
// Element (i, l) of A is at a + i*aRow + l*aStep, row l of B at b + l*bStep, row i of C at c + i*cRow. The kernel takes the rows in tiles of
// tileRows; each next tile of A starts aTile further. The offsets of the fields are known to the generator in gen/gemm.
//
// With accumulate = 0 the result is C = alpha*sum, otherwise C = fma(alpha, sum, beta*C), where sum is one chain of fused
// multiply-adds over l = 0..k-1 that starts at zero.
type panel struct {
	a                  unsafe.Pointer
	aRow, aStep, aTile uintptr
	b                  unsafe.Pointer
	bStep              uintptr
	c                  unsafe.Pointer
	cRow               uintptr
	rows, k            int
	vectors            int
	mask               uintptr // lanes of the last vector: bits (AVX-512), address of lanes or 0 for all (AVX2), number of columns (portable)
	alpha, beta        float64 // for float32 the bits stand in the low half
	accumulate         int
}

// geometry is the shape of the register tile of a path for one element size.
type geometry struct {
	rows  int // rows of a full tile
	lanes int // elements of a vector
	cols  int // columns of a full panel: three vectors
}

func tileGeometry(size uintptr) geometry {
	switch active {
	case avx512:
		return geometry{8, int(64 / size), int(192 / size)}
	case avx2:
		return geometry{4, int(32 / size), int(96 / size)}
	}
	return geometry{4, 4, 12}
}
