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
