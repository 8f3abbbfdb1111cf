package dense

import "unsafe"

func bundleUpdate[T Float](c, u, v []T, count, terms, next int, fresh bool) {
	if count == 0 {
		return
	}
	var skip uintptr
	if fresh {
		skip = 1
	}
	step := uintptr(next) * unsafe.Sizeof(*new(T))
	switch formatOf[T]() {
	case f64NEON:
		bundleUpdateF64NEON(pointerTo(c), pointerTo(u), pointerTo(v), uintptr(count), uintptr(terms), step, skip)
	case f32NEON:
		bundleUpdateF32NEON(pointerTo(c), pointerTo(u), pointerTo(v), uintptr(count), uintptr(terms), step, skip)
	default:
		portableBundleUpdate(c, u, v, count, terms, next, fresh)
	}
}
