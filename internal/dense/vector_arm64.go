package dense

import "unsafe"

// format is the element size for which vector kernels exist on the path in use.
type format uint8

const (
	noKernel format = iota
	f64NEON
	f32NEON
)

func formatOf[T Float]() format {
	switch {
	case active != neon:
		return noKernel
	case unsafe.Sizeof(*new(T)) == 8:
		return f64NEON
	}
	return f32NEON
}

func pointerTo[T Float](x []T) *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(x))) }

func scaleKernel[T Float](alpha T, x, dst []T) bool {
	switch formatOf[T]() {
	case f64NEON:
		scaleF64NEON(uintptr(len(x)), float64(alpha), pointerTo(x), pointerTo(dst))
	case f32NEON:
		scaleF32NEON(uintptr(len(x)), float32(alpha), pointerTo(x), pointerTo(dst))
	default:
		return false
	}
	return true
}

func blendKernel[T Float](a T, x []T, b T, z, y []T) bool {
	switch formatOf[T]() {
	case f64NEON:
		blendF64NEON(uintptr(len(y)), float64(a), pointerTo(x), float64(b), pointerTo(z), pointerTo(y))
	case f32NEON:
		blendF32NEON(uintptr(len(y)), float32(a), pointerTo(x), float32(b), pointerTo(z), pointerTo(y))
	default:
		return false
	}
	return true
}

func multiplyKernel[T Float](x, z, y []T) bool {
	switch formatOf[T]() {
	case f64NEON:
		multiplyF64NEON(uintptr(len(y)), pointerTo(x), pointerTo(z), pointerTo(y))
	case f32NEON:
		multiplyF32NEON(uintptr(len(y)), pointerTo(x), pointerTo(z), pointerTo(y))
	default:
		return false
	}
	return true
}

func sqrtKernel[T Float](x, dst []T) bool {
	switch formatOf[T]() {
	case f64NEON:
		sqrtF64NEON(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	case f32NEON:
		sqrtF32NEON(uintptr(len(x)), pointerTo(x), pointerTo(dst))
	default:
		return false
	}
	return true
}

func dotRowsKernel[T Float](a []T, stride int, dst, x []T) bool {
	switch formatOf[T]() {
	case f64NEON:
		dotRowsF64NEON(uintptr(len(x)), uintptr(len(dst)), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(x), pointerTo(dst))
	case f32NEON:
		dotRowsF32NEON(uintptr(len(x)), uintptr(len(dst)), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(x), pointerTo(dst))
	default:
		return false
	}
	return true
}

func axpyRowsKernel[T Float](coef, a []T, stride int, y []T) bool {
	switch formatOf[T]() {
	case f64NEON:
		axpyRowsF64NEON(uintptr(len(y)), uintptr(len(coef)), pointerTo(coef), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(y))
	case f32NEON:
		axpyRowsF32NEON(uintptr(len(y)), uintptr(len(coef)), pointerTo(coef), pointerTo(a), uintptr(stride)*unsafe.Sizeof(*new(T)), pointerTo(y))
	default:
		return false
	}
	return true
}

func anglesKernel[T Float](si, ri, xi T, s, r, x, t, out []T) bool {
	switch formatOf[T]() {
	case f64NEON:
		anglesF64NEON(uintptr(len(out)), float64(si), float64(ri), float64(xi), pointerTo(s), pointerTo(r), pointerTo(x), pointerTo(t), pointerTo(out))
	case f32NEON:
		anglesF32NEON(uintptr(len(out)), float32(si), float32(ri), float32(xi), pointerTo(s), pointerTo(r), pointerTo(x), pointerTo(t), pointerTo(out))
	default:
		return false
	}
	return true
}

func firstOrderKernel[T Float](si, ri T, s, r, t, out []T) bool {
	switch formatOf[T]() {
	case f64NEON:
		firstOrderF64NEON(uintptr(len(out)), float64(si), float64(ri), pointerTo(s), pointerTo(r), pointerTo(t), pointerTo(out))
	case f32NEON:
		firstOrderF32NEON(uintptr(len(out)), float32(si), float32(ri), pointerTo(s), pointerTo(r), pointerTo(t), pointerTo(out))
	default:
		return false
	}
	return true
}

func normsKernel[T Float](x []T, dst *[2]T) bool {
	switch formatOf[T]() {
	case f64NEON:
		normsF64NEON(uintptr(len(x)), pointerTo(x), pointerTo(dst[:]))
	case f32NEON:
		normsF32NEON(uintptr(len(x)), pointerTo(x), pointerTo(dst[:]))
	default:
		return false
	}
	return true
}

func weightedSquaresKernel[T Float](x, w []T, dst *[2]T) bool {
	switch formatOf[T]() {
	case f64NEON:
		weightedSquaresF64NEON(uintptr(len(x)), pointerTo(x), pointerTo(w), pointerTo(dst[:]))
	case f32NEON:
		weightedSquaresF32NEON(uintptr(len(x)), pointerTo(x), pointerTo(w), pointerTo(dst[:]))
	default:
		return false
	}
	return true
}

func rayleighKernel[T Float](m T, q, w, d []T) bool {
	switch formatOf[T]() {
	case f64NEON:
		rayleighF64NEON(uintptr(len(d)), float64(m), pointerTo(q), pointerTo(w), pointerTo(d))
	case f32NEON:
		rayleighF32NEON(uintptr(len(d)), float32(m), pointerTo(q), pointerTo(w), pointerTo(d))
	default:
		return false
	}
	return true
}
