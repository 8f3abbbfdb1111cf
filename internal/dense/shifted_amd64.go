package dense

import "unsafe"

// from returns the address of element i.
func from[T Float](x []T, i int) *byte { return pointerTo(x[i:]) }

func shiftedStartKernel[T Float](q *Shifted[T], y Matrix[T], l int) bool {
	size := unsafe.Sizeof(*new(T))
	p := len(q.S)
	n, rows, stride, yStride := uintptr(p), uintptr(len(q.D)), uintptr(q.G.Stride)*size, uintptr(y.Stride)*size
	d, s, w := pointerTo(q.D), pointerTo(q.S), pointerTo(q.W.Data)
	g, z, prev := from(q.G.Data, l*p), from(q.Z.Data, l*p), from(q.Prev.Data, l*p)
	switch formatOf[T]() {
	case f64AVX512:
		shiftedStartF64AVX512(n, rows, stride, d, s, from(y.Data, l), yStride, w, g, z, prev)
	case f32AVX512:
		shiftedStartF32AVX512(n, rows, stride, d, s, from(y.Data, l), yStride, w, g, z, prev)
	case f64AVX2:
		shiftedStartF64AVX2(n, rows, stride, d, s, from(y.Data, l), yStride, w, g, z, prev)
	case f32AVX2:
		shiftedStartF32AVX2(n, rows, stride, d, s, from(y.Data, l), yStride, w, g, z, prev)
	default:
		return false
	}
	return true
}

func shiftedStepKernel[T Float](q *Shifted[T], l int, omega, step T, res []T) bool {
	p := len(q.S)
	n, rows, stride := uintptr(p), uintptr(len(q.D)), uintptr(q.G.Stride)*unsafe.Sizeof(*new(T))
	d, s, w, r := pointerTo(q.D), pointerTo(q.S), pointerTo(q.W.Data), pointerTo(res)
	g, z, mz, prev := from(q.G.Data, l*p), from(q.Z.Data, l*p), from(q.MZ.Data, l*p), from(q.Prev.Data, l*p)
	switch formatOf[T]() {
	case f64AVX512:
		shiftedStepF64AVX512(n, rows, stride, d, s, w, g, z, mz, prev, r, float64(omega), float64(step))
	case f32AVX512:
		shiftedStepF32AVX512(n, rows, stride, d, s, w, g, z, mz, prev, r, float32(omega), float32(step))
	case f64AVX2:
		shiftedStepF64AVX2(n, rows, stride, d, s, w, g, z, mz, prev, r, float64(omega), float64(step))
	case f32AVX2:
		shiftedStepF32AVX2(n, rows, stride, d, s, w, g, z, mz, prev, r, float32(omega), float32(step))
	default:
		return false
	}
	return true
}
