package dense

import "unsafe"

// packRows leaves rows to copy, which moves vectors already.
func packRows(unsafe.Pointer, operand, uintptr, int) bool { return false }

// transposeBlocks packs some of the first columns of src, which are contiguous in memory, over some of its k rows, and returns how many
// columns and rows it packed. Rows of dst are step bytes apart.
func transposeBlocks(dst unsafe.Pointer, src operand, k, cols int, step, size uintptr) (c, l int) {
	if active != neon || cols < 4 {
		return 0, 0
	}
	to, from := (*byte)(dst), (*byte)(src.p)
	switch {
	case size == 8 && k >= 2:
		transposeF64NEON(to, from, step, src.col, uintptr(k/2))
		return 4, k &^ 1
	case size == 4 && k >= 8:
		transposeF32NEON(to, from, step, src.col, uintptr(k/8))
		return 4, k &^ 7
	}
	return 0, 0
}
