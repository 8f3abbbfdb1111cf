package dense

import "unsafe"

// forms sets q to the forms of a group.
func (f *RoundedForms) forms(group int, q []float32) {
	pairs := f.pairs[group*f.groupWords():]
	formsAVX512(wordPointer(f.h), wordPointer(pairs), uintptr(f.skip), uintptr(roundUp(f.n, formRows)/formRows), pointerTo(q))
}

// weigh sets the rows of a group, which starts there in its block, as they are and weighted by the forms.
func (f *RoundedForms) weigh(group, at int, s *formScratch) {
	pairs := f.pairs[group*f.groupWords()+f.skip*formGroup:]
	weighAVX512(wordPointer(pairs), pointerTo(s.q), uintptr((f.n+1)/2), 2*uintptr(f.points), pointerTo(s.rows[at/2:]), pointerTo(s.weighted[at/2:]))
}

// moment adds what the given number of points of a block give to the sums.
func (f *RoundedForms) moment(points int, s *formScratch, sums []float32) {
	side := uintptr(roundUp(f.n, momentRows) / momentRows)
	roundedMomentAVX512(pointerTo(s.weighted), pointerTo(s.rows), 2*uintptr(f.points), uintptr(points/formStep), side, pointerTo(sums))
}

// most sets x to the largest numbers of a group of points.
func (f *ByteForms) most(w Matrix[float32], x []float32) {
	byteMostAVX512(pointerTo(w.Data), uintptr(w.Rows), stride(&w), pointerTo(x))
}

// forms sets q to the forms of a group.
func (f *ByteForms) forms(group int, q []float32) {
	byteFormsAVX512(wordPointer(f.h), wordPointer(f.start), pointerTo(f.scales), wordPointer(f.quads[group*f.groupWords():]), uintptr(len(f.scales)), pointerTo(q))
}

// weigh sets the rows of a group, which starts there in its block, as they are and weighted by the forms, and adds them to their sums.
func (f *ByteForms) weigh(group, at int, s *formScratch) {
	byteWeighAVX512(wordPointer(f.quads[group*f.groupWords():]), pointerTo(s.q[at:]), uintptr(len(f.scales)), uintptr(f.points), pointerTo(s.rows[at/4:]), pointerTo(s.weighted[at/4:]), wordPointer(s.lanes))
}

// moment adds what the given number of points of a block give to the sums.
func (f *ByteForms) moment(points int, scale float32, s *formScratch, sums []float32) {
	side := uintptr(roundUp(f.n, momentRows) / momentRows)
	byteMomentAVX512(pointerTo(s.weighted), pointerTo(s.rows), uintptr(f.points), uintptr(points/byteGroup), side, wordPointer(s.start), scale, pointerTo(sums))
}

func wordPointer[T int32 | uint32](x []T) *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(x))) }

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
func (f *SingleForms) forms(rows []float32, points int, q []float32) {
	tiles := uintptr(roundUp(f.n, formRows) / formRows)
	kernel := singleFormsF32AVX2
	if f.shape.lanes == 16 {
		kernel = singleFormsF32AVX512
	}
	kernel(pointerTo(f.h), pointerTo(rows), 4*uintptr(f.points), uintptr(f.skip), tiles, uintptr(points/f.shape.group), pointerTo(q))
}

// moment adds what the given number of points of a block, weighted by the forms, give to the sums.
func (f *SingleForms) moment(rows []float32, points int, w *formScratch, sums []float32) {
	s, stride, own := f.shape, 4*uintptr(f.points), pointerTo(rows[f.skip*f.points:])
	side, steps := uintptr(roundUp(f.n, s.moment)/s.moment), uintptr(points/s.lanes)
	if s.lanes == 16 {
		singleWeighF32AVX512(own, stride, pointerTo(w.q), steps, uintptr(f.n), pointerTo(w.weighted))
		singleMomentF32AVX512(pointerTo(w.weighted), own, stride, steps, side, pointerTo(sums))
		return
	}
	singleWeighF32AVX2(own, stride, pointerTo(w.q), steps, uintptr(f.n), pointerTo(w.weighted))
	singleMomentF32AVX2(pointerTo(w.weighted), own, stride, steps, side, pointerTo(sums))
}
