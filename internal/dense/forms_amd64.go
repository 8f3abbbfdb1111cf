package dense

import "unsafe"

// block adds what the given number of points, of groups with these pairs, give to the sums.
func (f *RoundedForms) block(pairs []uint32, points int) {
	tiles, side, stride := uintptr(roundUp(f.n, formRows)/formRows), uintptr(roundUp(f.n, momentRows)/momentRows), 2*uintptr(f.points)
	word := func(x []uint32) *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(x))) }
	q := pointerTo(f.q)
	for first := 0; first < points; first += formGroup {
		group := pairs[first/formGroup*f.groupWords():]
		formsAVX512(word(f.h), word(group), uintptr(f.skip), tiles, q)
		weighAVX512(word(group[f.skip*formGroup:]), q, uintptr((f.n+1)/2), stride, word(f.rows[first/2:]), word(f.weighted[first/2:]))
	}
	momentAVX512(word(f.weighted), word(f.rows), stride, uintptr(points/formStep), side, pointerTo(f.sums))
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

// forms adds the forms of the given number of points of a block to q.
func (f *SingleForms) forms(rows []float32, points int) {
	tiles := uintptr(roundUp(f.n, formRows) / formRows)
	kernel := singleFormsF32AVX2
	if f.shape.lanes == 16 {
		kernel = singleFormsF32AVX512
	}
	kernel(pointerTo(f.h), pointerTo(rows), 4*uintptr(f.points), uintptr(f.skip), tiles, uintptr(points/f.shape.group), pointerTo(f.q))
}

// moment adds what the given number of points of a block, weighted by q, give to the sums.
func (f *SingleForms) moment(rows []float32, points int) {
	s, stride, own := f.shape, 4*uintptr(f.points), pointerTo(rows[f.skip*f.points:])
	side, steps := uintptr(roundUp(f.n, s.moment)/s.moment), uintptr(points/s.lanes)
	if s.lanes == 16 {
		singleWeighF32AVX512(own, stride, pointerTo(f.q), steps, uintptr(f.n), pointerTo(f.weighted))
		singleMomentF32AVX512(pointerTo(f.weighted), own, stride, steps, side, pointerTo(f.sums))
		return
	}
	singleWeighF32AVX2(own, stride, pointerTo(f.q), steps, uintptr(f.n), pointerTo(f.weighted))
	singleMomentF32AVX2(pointerTo(f.weighted), own, stride, steps, side, pointerTo(f.sums))
}
