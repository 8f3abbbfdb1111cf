package dense

import (
	"math"
	"unsafe"
)

// format is one combination of instruction set and element size that vector kernels exist for.
type format uint8

const (
	noKernel format = iota
	f64AVX512
	f32AVX512
	f64AVX2
	f32AVX2
)

func formatOf[T Float]() format {
	double := unsafe.Sizeof(*new(T)) == 8
	switch {
	case active == avx512 && double:
		return f64AVX512
	case active == avx512:
		return f32AVX512
	case active == avx2 && double:
		return f64AVX2
	case active == avx2:
		return f32AVX2
	}
	return noKernel
}

func pointerTo[T Float](x []T) *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(x))) }

func scaleKernel[T Float](alpha T, x, dst []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		scaleF64AVX512(uintptr(len(x)), float64(alpha), pointerTo(x), pointerTo(dst))
	case f32AVX512:
		scaleF32AVX512(uintptr(len(x)), float32(alpha), pointerTo(x), pointerTo(dst))
	case f64AVX2:
		scaleF64AVX2(uintptr(len(x)), float64(alpha), pointerTo(x), pointerTo(dst))
	case f32AVX2:
		scaleF32AVX2(uintptr(len(x)), float32(alpha), pointerTo(x), pointerTo(dst))
	default:
		return false
	}
	return true
}

func blendKernel[T Float](a T, x []T, b T, z, y []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		blendF64AVX512(uintptr(len(y)), float64(a), pointerTo(x), float64(b), pointerTo(z), pointerTo(y))
	case f32AVX512:
		blendF32AVX512(uintptr(len(y)), float32(a), pointerTo(x), float32(b), pointerTo(z), pointerTo(y))
	case f64AVX2:
		blendF64AVX2(uintptr(len(y)), float64(a), pointerTo(x), float64(b), pointerTo(z), pointerTo(y))
	case f32AVX2:
		blendF32AVX2(uintptr(len(y)), float32(a), pointerTo(x), float32(b), pointerTo(z), pointerTo(y))
	default:
		return false
	}
	return true
}

func multiplyKernel[T Float](x, z, y []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		multiplyF64AVX512(uintptr(len(y)), pointerTo(x), pointerTo(z), pointerTo(y))
	case f32AVX512:
		multiplyF32AVX512(uintptr(len(y)), pointerTo(x), pointerTo(z), pointerTo(y))
	case f64AVX2:
		multiplyF64AVX2(uintptr(len(y)), pointerTo(x), pointerTo(z), pointerTo(y))
	case f32AVX2:
		multiplyF32AVX2(uintptr(len(y)), pointerTo(x), pointerTo(z), pointerTo(y))
	default:
		return false
	}
	return true
}

func sqrtKernel[T Float](x, dst []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		sqrtF64AVX512(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	case f32AVX512:
		sqrtF32AVX512(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	case f64AVX2:
		sqrtF64AVX2(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	case f32AVX2:
		sqrtF32AVX2(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	default:
		return false
	}
	return true
}

func dotRowsKernel[T Float](a []T, stride int, dst, x []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		dotRowsF64AVX512(uintptr(len(x)), uintptr(len(dst)), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(x), pointerTo(dst))
	case f32AVX512:
		dotRowsF32AVX512(uintptr(len(x)), uintptr(len(dst)), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(x), pointerTo(dst))
	case f64AVX2:
		dotRowsF64AVX2(uintptr(len(x)), uintptr(len(dst)), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(x), pointerTo(dst))
	case f32AVX2:
		dotRowsF32AVX2(uintptr(len(x)), uintptr(len(dst)), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(x), pointerTo(dst))
	default:
		return false
	}
	return true
}

func rowDotsKernel[T Float](a, b Matrix[T], dst []T) bool {
	size := unsafe.Sizeof(*new(T))
	n, rows, aStep, bStep := uintptr(a.Cols), uintptr(a.Rows), uintptr(a.Stride)*size, uintptr(b.Stride)*size
	switch formatOf[T]() {
	case f64AVX512:
		rowDotsF64AVX512(n, rows, pointerTo(a.Data), aStep, pointerTo(b.Data), bStep, pointerTo(dst))
	case f32AVX512:
		rowDotsF32AVX512(n, rows, pointerTo(a.Data), aStep, pointerTo(b.Data), bStep, pointerTo(dst))
	case f64AVX2:
		rowDotsF64AVX2(n, rows, pointerTo(a.Data), aStep, pointerTo(b.Data), bStep, pointerTo(dst))
	case f32AVX2:
		rowDotsF32AVX2(n, rows, pointerTo(a.Data), aStep, pointerTo(b.Data), bStep, pointerTo(dst))
	default:
		return false
	}
	return true
}

func scaleRowsKernel[T Float](c []T, x, y Matrix[T]) bool {
	size := unsafe.Sizeof(*new(T))
	n, rows, xStep, yStep := uintptr(x.Cols), uintptr(x.Rows), uintptr(x.Stride)*size, uintptr(y.Stride)*size
	switch formatOf[T]() {
	case f64AVX512:
		scaleRowsF64AVX512(n, rows, pointerTo(c), pointerTo(x.Data), xStep, pointerTo(y.Data), yStep)
	case f32AVX512:
		scaleRowsF32AVX512(n, rows, pointerTo(c), pointerTo(x.Data), xStep, pointerTo(y.Data), yStep)
	case f64AVX2:
		scaleRowsF64AVX2(n, rows, pointerTo(c), pointerTo(x.Data), xStep, pointerTo(y.Data), yStep)
	case f32AVX2:
		scaleRowsF32AVX2(n, rows, pointerTo(c), pointerTo(x.Data), xStep, pointerTo(y.Data), yStep)
	default:
		return false
	}
	return true
}

func axpyRowsKernel[T Float](coef, a []T, stride int, y []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		axpyRowsF64AVX512(uintptr(len(y)), uintptr(len(coef)), pointerTo(coef), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(y))
	case f32AVX512:
		axpyRowsF32AVX512(uintptr(len(y)), uintptr(len(coef)), pointerTo(coef), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(y))
	case f64AVX2:
		axpyRowsF64AVX2(uintptr(len(y)), uintptr(len(coef)), pointerTo(coef), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(y))
	case f32AVX2:
		axpyRowsF32AVX2(uintptr(len(y)), uintptr(len(coef)), pointerTo(coef), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(y))
	default:
		return false
	}
	return true
}

func anglesKernel[T Float](si, ri, xi T, s, r, x, t, out []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		anglesF64AVX512(uintptr(len(out)), float64(si), float64(ri), float64(xi), pointerTo(s), pointerTo(r), pointerTo(x), pointerTo(t), pointerTo(out))
	case f32AVX512:
		anglesF32AVX512(uintptr(len(out)), float32(si), float32(ri), float32(xi), pointerTo(s), pointerTo(r), pointerTo(x), pointerTo(t), pointerTo(out))
	case f64AVX2:
		anglesF64AVX2(uintptr(len(out)), float64(si), float64(ri), float64(xi), pointerTo(s), pointerTo(r), pointerTo(x), pointerTo(t), pointerTo(out))
	case f32AVX2:
		anglesF32AVX2(uintptr(len(out)), float32(si), float32(ri), float32(xi), pointerTo(s), pointerTo(r), pointerTo(x), pointerTo(t), pointerTo(out))
	default:
		return false
	}
	return true
}

func firstOrderKernel[T Float](si, ri T, s, r, t, out []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		firstOrderF64AVX512(uintptr(len(out)), float64(si), float64(ri), pointerTo(s), pointerTo(r), pointerTo(t), pointerTo(out))
	case f32AVX512:
		firstOrderF32AVX512(uintptr(len(out)), float32(si), float32(ri), pointerTo(s), pointerTo(r), pointerTo(t), pointerTo(out))
	case f64AVX2:
		firstOrderF64AVX2(uintptr(len(out)), float64(si), float64(ri), pointerTo(s), pointerTo(r), pointerTo(t), pointerTo(out))
	case f32AVX2:
		firstOrderF32AVX2(uintptr(len(out)), float32(si), float32(ri), pointerTo(s), pointerTo(r), pointerTo(t), pointerTo(out))
	default:
		return false
	}
	return true
}

func normsKernel[T Float](x []T, dst *[2]T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		normsF64AVX512(uintptr(len(x)), pointerTo(x), pointerTo(dst[:]))
	case f32AVX512:
		normsF32AVX512(uintptr(len(x)), pointerTo(x), pointerTo(dst[:]))
	case f64AVX2:
		normsF64AVX2(uintptr(len(x)), pointerTo(x), pointerTo(dst[:]))
	case f32AVX2:
		normsF32AVX2(uintptr(len(x)), pointerTo(x), pointerTo(dst[:]))
	default:
		return false
	}
	return true
}

func weightedSquaresKernel[T Float](x, w []T, dst *[2]T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		weightedSquaresF64AVX512(uintptr(len(x)), pointerTo(x), pointerTo(w), pointerTo(dst[:]))
	case f32AVX512:
		weightedSquaresF32AVX512(uintptr(len(x)), pointerTo(x), pointerTo(w), pointerTo(dst[:]))
	case f64AVX2:
		weightedSquaresF64AVX2(uintptr(len(x)), pointerTo(x), pointerTo(w), pointerTo(dst[:]))
	case f32AVX2:
		weightedSquaresF32AVX2(uintptr(len(x)), pointerTo(x), pointerTo(w), pointerTo(dst[:]))
	default:
		return false
	}
	return true
}

func rayleighKernel[T Float](m T, q, w, d []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		rayleighF64AVX512(uintptr(len(d)), float64(m), pointerTo(q), pointerTo(w), pointerTo(d))
	case f32AVX512:
		rayleighF32AVX512(uintptr(len(d)), float32(m), pointerTo(q), pointerTo(w), pointerTo(d))
	case f64AVX2:
		rayleighF64AVX2(uintptr(len(d)), float64(m), pointerTo(q), pointerTo(w), pointerTo(d))
	case f32AVX2:
		rayleighF32AVX2(uintptr(len(d)), float32(m), pointerTo(q), pointerTo(w), pointerTo(d))
	default:
		return false
	}
	return true
}

func expKernel[T Float](x, dst []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		expF64AVX512(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	case f32AVX512:
		expF32AVX512(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	case f64AVX2:
		expF64AVX2(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	case f32AVX2:
		expF32AVX2(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	default:
		return false
	}
	return true
}

func logKernel[T Float](x, dst []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		logF64AVX512(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	case f32AVX512:
		logF32AVX512(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	case f64AVX2:
		logF64AVX2(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	case f32AVX2:
		logF32AVX2(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	default:
		return false
	}
	return true
}

func powKernel[T Float](x, dst []T, p float64) bool {
	zero, inf := math.Pow(0, p), math.Pow(math.Inf(1), p)
	switch formatOf[T]() {
	case f64AVX512:
		powF64AVX512(uintptr(len(x)), p, zero, inf, pointerTo(x), pointerTo(dst))
	case f32AVX512:
		powF32AVX512(uintptr(len(x)), p, zero, inf, pointerTo(x), pointerTo(dst))
	case f64AVX2:
		powF64AVX2(uintptr(len(x)), p, zero, inf, pointerTo(x), pointerTo(dst))
	case f32AVX2:
		powF32AVX2(uintptr(len(x)), p, zero, inf, pointerTo(x), pointerTo(dst))
	default:
		return false
	}
	return true
}

func normalKernel[T Float](dst []T, key [2]uint64, block uint64) bool {
	switch formatOf[T]() {
	case f64AVX512:
		normalF64AVX512(uintptr(len(dst)/16), pointerTo(dst), key[0], key[1], block)
	case f32AVX512:
		normalF32AVX512(uintptr(len(dst)/16), pointerTo(dst), key[0], key[1], block)
	case f64AVX2:
		normalF64AVX2(uintptr(len(dst)/16), pointerTo(dst), key[0], key[1], block)
	case f32AVX2:
		normalF32AVX2(uintptr(len(dst)/16), pointerTo(dst), key[0], key[1], block)
	default:
		return false
	}
	return true
}
