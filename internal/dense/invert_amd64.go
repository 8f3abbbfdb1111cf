package dense

// invertKernel is gaussJordan.
func invertKernel[T Float](block, pivots []T) bool {
	switch formatOf[T]() {
	case f64AVX512:
		invertBlockF64AVX512(pointerTo(block), pointerTo(pivots))
	case f32AVX512:
		invertBlockF32AVX512(pointerTo(block), pointerTo(pivots))
	default:
		return false
	}
	return true
}
