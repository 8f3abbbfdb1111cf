package dense

import "unsafe"

func bundleUpdate[T Float](c, u, v []T, count, terms, next int, fresh bool) {
	if count == 0 {
		return
	}
	pc, pu, pv, n, t := pointerTo(c), pointerTo(u), pointerTo(v), uintptr(count), uintptr(terms)
	step := uintptr(next) * unsafe.Sizeof(*new(T))
	switch formatOf[T]() {
	case f64AVX512:
		bundleUpdateF64AVX512(pc, pu, pv, n, t, step, fresh)
	case f32AVX512:
		bundleUpdateF32AVX512(pc, pu, pv, n, t, step, fresh)
	case f64AVX2:
		bundleUpdateF64AVX2(pc, pu, pv, n, t, step, fresh)
	case f32AVX2:
		bundleUpdateF32AVX2(pc, pu, pv, n, t, step, fresh)
	default:
		portableBundleUpdate(c, u, v, count, terms, next, fresh)
	}
}

func bundleInvertTile[T Float](p, q, pivots []T) {
	switch {
	case active == portable:
		portableBundleInvertTile(p, q, pivots)
	case unsafe.Sizeof(*new(T)) == 8:
		bundleInvertTileF64(pointerTo(p), pointerTo(q), pointerTo(pivots))
	default:
		bundleInvertTileF32(pointerTo(p), pointerTo(q), pointerTo(pivots))
	}
}

func bundleTransposeTiles[T Float](dst []T, dstStep, dstChange int, src []T, srcStep, srcChange, count int) {
	if active == portable {
		portableBundleTranspose(dst, dstStep, dstChange, src, srcStep, srcChange, count)
		return
	}
	size := int(unsafe.Sizeof(*new(T)))
	bundleTranspose(pointerTo(dst), uintptr(dstStep*size), uintptr(dstChange*size), pointerTo(src), uintptr(srcStep*size), uintptr(srcChange*size), uintptr(count))
}

func bundleShiftKernel[T Float](dst, a, t, x []T) bool {
	switch tiles := uintptr(len(x) / tileVectors); {
	case active == portable:
		return false
	case unsafe.Sizeof(*new(T)) == 8:
		bundleShiftF64(pointerTo(dst), pointerTo(a), pointerTo(t), pointerTo(x), tiles)
	default:
		bundleShiftF32(pointerTo(dst), pointerTo(a), pointerTo(t), pointerTo(x), tiles)
	}
	return true
}

func bundleAddKernel[T Float](acc, m, w []T) bool {
	switch tiles := uintptr(len(m) / (tileVectors * Lanes[T]())); {
	case active == portable:
		return false
	case unsafe.Sizeof(*new(T)) == 8:
		bundleAddF64(pointerTo(acc), pointerTo(m), pointerTo(w), tiles)
	default:
		bundleAddF32(pointerTo(acc), pointerTo(m), pointerTo(w), tiles)
	}
	return true
}

func bundleAddSumKernel[T Float](dst, m, w []T) bool {
	switch tiles := uintptr(len(dst) / tileVectors); {
	case active == portable:
		return false
	case unsafe.Sizeof(*new(T)) == 8:
		bundleAddSumF64(pointerTo(dst), pointerTo(m), pointerTo(w), tiles)
	default:
		bundleAddSumF32(pointerTo(dst), pointerTo(m), pointerTo(w), tiles)
	}
	return true
}

func bundleInnerKernel[T Float](dst, m, x []T) bool {
	switch tiles := uintptr(len(x) / tileVectors); {
	case active == portable:
		return false
	case unsafe.Sizeof(*new(T)) == 8:
		bundleInnerF64(pointerTo(dst), pointerTo(m), pointerTo(x), tiles)
	default:
		bundleInnerF32(pointerTo(dst), pointerTo(m), pointerTo(x), tiles)
	}
	return true
}

func bundleSquaresKernel[T Float](dst, m []T) bool {
	switch tiles := uintptr(len(m) / (tileVectors * Lanes[T]())); {
	case active == portable:
		return false
	case unsafe.Sizeof(*new(T)) == 8:
		bundleSquaresF64(pointerTo(dst), pointerTo(m), tiles)
	default:
		bundleSquaresF32(pointerTo(dst), pointerTo(m), tiles)
	}
	return true
}
