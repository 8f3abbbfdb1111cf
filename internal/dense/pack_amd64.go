package dense

import "unsafe"

// packRows copies k rows of the given number of bytes to contiguous rows if a kernel for that exists.
func packRows(dst unsafe.Pointer, src operand, bytes uintptr, k int) bool {
	if active == portable || bytes%32 != 0 {
		return false
	}
	packRowsAVX2((*byte)(dst), (*byte)(src.p), src.row, bytes/32, uintptr(k))
	return true
}

// transposeBlocks packs some of the first columns of src, which are contiguous in memory, over some of its k rows, and returns how many
// columns and rows it packed. Rows of dst are step bytes apart.
func transposeBlocks(dst unsafe.Pointer, src operand, k, cols int, step, size uintptr) (c, l int) {
	if active == portable {
		return 0, 0
	}
	to, from := (*byte)(dst), (*byte)(src.p)
	switch {
	case size == 8 && cols >= 4 && k >= 4:
		transposeF64AVX2(to, from, step, src.col, uintptr(k/4))
		return 4, k &^ 3
	case size == 4 && cols >= 8 && k >= 8:
		transposeF32x8AVX2(to, from, step, src.col, uintptr(k/8))
		return 8, k &^ 7
	case size == 4 && cols >= 4 && k >= 8:
		transposeF32x4AVX2(to, from, step, src.col, uintptr(k/8))
		return 4, k &^ 7
	}
	return 0, 0
}
