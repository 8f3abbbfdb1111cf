package dense

import "unsafe"

// forms sets q to the forms of the points of the block that starts with the given one.
func (f *RoundedForms) forms(first int) {
	clear(f.q)
	tiles := uintptr(roundUp(f.n, formRows) / formRows)
	pairs := f.pairs[first*int(tiles)*formRows/2:]
	formsAVX512(wordPointer(f.h), wordPointer(pairs), 4*uintptr(f.points), uintptr(f.skip), tiles, uintptr(f.taken(first)/formGroup), pointerTo(f.q))
}

// moment adds the points of the block that starts with the given one, with weights q, to the sums.
func (f *RoundedForms) moment(first int) {
	high, stride := roundUp(f.n, momentRows), uintptr(f.points)
	rows := wordPointer(f.rows[first*high/2:])
	weighAVX512(rows, pointerTo(f.q), stride/formStep, uintptr(f.n), wordPointer(f.weighted))
	momentAVX512(wordPointer(f.weighted), rows, 2*stride, uintptr(f.taken(first)/formStep), uintptr(high/momentRows), pointerTo(f.sums))
}

func wordPointer(x []uint32) *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(x))) }

// addLanes sets totals, whose number is a multiple of 4, to the sums of the 16 lanes of each.
func addLanes(sums, totals []float32) {
	totalAVX512(pointerTo(sums), uintptr(len(totals)/4), pointerTo(totals))
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

// forms sets q to the forms of the points of the block that starts with the given one.
func (f *SingleForms) forms(first int) {
	clear(f.q)
	rows, points := f.block(first)
	tiles, groups := uintptr(roundUp(f.n, formRows)/formRows), uintptr(points/f.shape.group)
	kernel := singleFormsF32AVX2
	if f.shape.lanes == 16 {
		kernel = singleFormsF32AVX512
	}
	kernel(pointerTo(f.h), pointerTo(rows), 4*uintptr(f.points), uintptr(f.skip), tiles, groups, pointerTo(f.q))
}

// moment adds the points of the block that starts with the given one, with weights q, to the sums.
func (f *SingleForms) moment(first int) {
	rows, points := f.block(first)
	own, stride, side := pointerTo(rows[f.skip*f.points:]), 4*uintptr(f.points), uintptr(roundUp(f.n, f.shape.moment)/f.shape.moment)
	steps, weighted := uintptr(points/f.shape.lanes), pointerTo(f.weighted)
	if f.shape.lanes == 16 {
		singleWeighF32AVX512(own, stride, pointerTo(f.q), steps, uintptr(f.n), weighted)
		momentF32AVX512(weighted, own, stride, steps, 0, side, pointerTo(f.sums))
		return
	}
	singleWeighF32AVX2(own, stride, pointerTo(f.q), steps, uintptr(f.n), weighted)
	singleMomentF32AVX2(weighted, own, stride, steps, side, pointerTo(f.sums))
}
