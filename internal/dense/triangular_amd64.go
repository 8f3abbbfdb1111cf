package dense

import "unsafe"

// substituteKernel solves with op(L), given the inverse of its diagonal in the order of the solution.
func substituteKernel[T Float](tl Trans, l Matrix[T], inverse []T, b Matrix[T]) bool {
	size := unsafe.Sizeof(*new(T))
	n, cols, lStep, step := uintptr(l.Rows), uintptr(b.Cols), uintptr(l.Stride)*size, uintptr(b.Stride)*size
	lower, x, next := pointerTo(l.Data), pointerTo(b.Data), size
	if tl { // the last row first
		lower, x = pointerTo(l.Data[(l.Rows-1)*(l.Stride+1):]), pointerTo(b.Data[(l.Rows-1)*b.Stride:])
		lStep, next, step = -size, -lStep, -step
	}
	switch formatOf[T]() {
	case f64AVX512:
		substituteF64AVX512(n, cols, lower, lStep, next, pointerTo(inverse), x, step)
	case f32AVX512:
		substituteF32AVX512(n, cols, lower, lStep, next, pointerTo(inverse), x, step)
	case f64AVX2:
		substituteF64AVX2(n, cols, lower, lStep, next, pointerTo(inverse), x, step)
	case f32AVX2:
		substituteF32AVX2(n, cols, lower, lStep, next, pointerTo(inverse), x, step)
	default:
		return false
	}
	return true
}

func hasFactorKernel() bool { return active != portable }

// factorKernel is choleskyUnblocked for the upper triangle of block, but for its diagonal; done is the number of rows that have been factored. It sets the pivots to the inverses
// of the diagonal and, factorBase later, to the diagonal.
func factorKernel[T Float](block Matrix[T], pivots []T) (done int) {
	size := unsafe.Sizeof(*new(T))
	rows, step, width := uintptr(block.Rows), uintptr(block.Stride)*size, uintptr(block.Cols)*size
	to := (*byte)(unsafe.Pointer(&done))
	switch formatOf[T]() {
	case f64AVX512:
		factorF64AVX512(rows, pointerTo(block.Data), step, width, pointerTo(pivots), to)
	case f32AVX512:
		factorF32AVX512(rows, pointerTo(block.Data), step, width, pointerTo(pivots), to)
	case f64AVX2:
		factorF64AVX2(rows, pointerTo(block.Data), step, width, pointerTo(pivots), to)
	case f32AVX2:
		factorF32AVX2(rows, pointerTo(block.Data), step, width, pointerTo(pivots), to)
	}
	return done
}
