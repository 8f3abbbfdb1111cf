package dense

import "unsafe"

// block adds what the given number of points of a block give to the sums.
func (f *RoundedForms) block(pairs, rows []uint32, points int) {
	stride := uintptr(f.points)
	tiles, side := uintptr(roundUp(f.n, formRows)/formRows), uintptr(roundUp(f.n, momentRows)/momentRows)
	word := func(x []uint32) *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(x))) }
	q := (*byte)(unsafe.Pointer(unsafe.SliceData(f.q)))
	formsAVX512(word(f.h), word(pairs), 4*stride, uintptr(f.skip), tiles, uintptr(points/formGroup), q)
	weighAVX512(word(rows), q, stride/formStep, uintptr(f.n), word(f.weighted))
	momentAVX512(word(f.weighted), word(rows), 2*stride, uintptr(points/formStep), side, (*byte)(unsafe.Pointer(unsafe.SliceData(f.sums))))
}

// addLanes sets the totals to the sums of the lanes.
func (f *RoundedForms) addLanes() {
	totalAVX512(pointerTo(f.sums), uintptr(len(f.totals)/4), pointerTo(f.totals))
}

func singleFormShape() formShape {
	switch active {
	case avx512:
		return formShape{formGroup, momentRows, 16}
	case avx2:
		return formShape{24, 3, 8}
	}
	return formShape{}
}

// block adds what the given number of points of a block give to the sums.
func (f *SingleForms) block(rows []float32, points int) {
	s, stride := f.shape, 4*uintptr(f.points)
	tiles, side := uintptr(roundUp(f.n, formRows)/formRows), uintptr(roundUp(f.n, s.moment)/s.moment)
	steps, own := uintptr(points/s.lanes), pointerTo(rows[f.skip*f.points:])
	if s.lanes == 16 {
		singleFormsF32AVX512(pointerTo(f.h), pointerTo(rows), stride, uintptr(f.skip), tiles, uintptr(points/s.group), pointerTo(f.q))
		singleWeighF32AVX512(own, stride, pointerTo(f.q), steps, uintptr(f.n), pointerTo(f.weighted))
		momentF32AVX512(pointerTo(f.weighted), own, stride, steps, 0, side, pointerTo(f.sums))
		return
	}
	singleFormsF32AVX2(pointerTo(f.h), pointerTo(rows), stride, uintptr(f.skip), tiles, uintptr(points/s.group), pointerTo(f.q))
	singleWeighF32AVX2(own, stride, pointerTo(f.q), steps, uintptr(f.n), pointerTo(f.weighted))
	singleMomentF32AVX2(pointerTo(f.weighted), own, stride, steps, side, pointerTo(f.sums))
}
