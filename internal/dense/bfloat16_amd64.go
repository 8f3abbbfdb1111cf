package dense

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// hasPairs says whether there is a product kernel for pairs of bfloat16 numbers.
func hasPairs() bool { return active == avx512 && cpu.X86.HasAVX512BF16 }

func narrowKernel[T Float](x []T, dst []BFloat16) bool {
	if formatOf[T]() != f32AVX512 {
		return false
	}
	narrowAVX512(uintptr(len(x)), pointerTo(x), (*byte)(unsafe.Pointer(unsafe.SliceData(dst))))
	return true
}

func widenKernel[T Float](x []BFloat16, dst []T) bool {
	if formatOf[T]() != f32AVX512 {
		return false
	}
	widenAVX512(uintptr(len(x)), (*byte)(unsafe.Pointer(unsafe.SliceData(x))), pointerTo(dst))
	return true
}

func interleaveKernel(a, b []float32, dst []uint32) bool {
	if active != avx512 {
		return false
	}
	interleaveAVX512(uintptr(len(dst)), pointerTo(a), pointerTo(b), (*byte)(unsafe.Pointer(unsafe.SliceData(dst))))
	return true
}
