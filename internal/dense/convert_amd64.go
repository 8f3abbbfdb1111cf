package dense

func scaleSingleKernel(alpha float64, x []float64, dst []float32) (done int) {
	groups := len(x) / convertGroup
	if active == portable || groups == 0 {
		return 0
	}
	scaleSingleAVX2(uintptr(groups), alpha, pointerTo(x), pointerTo(dst))
	return groups * convertGroup
}

func addDoubleKernel(x, y []float32, dst []float64) (done int) {
	groups := len(x) / convertGroup
	if active == portable || groups == 0 {
		return 0
	}
	addDoubleAVX2(uintptr(groups), pointerTo(x), pointerTo(y), pointerTo(dst))
	return groups * convertGroup
}
