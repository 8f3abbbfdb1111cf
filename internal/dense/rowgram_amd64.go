package dense

import "unsafe"

func rowGramKernel[T Float](w Matrix[T], lanes int, sums []T) {
	p, size := pointerTo(w.Data), unsafe.Sizeof(*new(T))
	stride, steps, mask := uintptr(w.Stride)*size, uintptr(w.Cols/lanes), uintptr(1)<<(w.Cols%lanes)-1
	tiles := uintptr(RowGramRows(w.Rows) / momentRows)
	if size == 8 {
		momentF64AVX512(p, p, stride, steps, mask, tiles, pointerTo(sums))
	} else {
		momentF32AVX512(p, p, stride, steps, mask, tiles, pointerTo(sums))
	}
}
