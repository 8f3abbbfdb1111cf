//go:build !amd64 && !arm64

package dense

import "unsafe"

func packRows(unsafe.Pointer, operand, uintptr, int) bool { return false }

func transposeBlocks(unsafe.Pointer, operand, int, int, uintptr, uintptr) (c, l int) { return 0, 0 }
