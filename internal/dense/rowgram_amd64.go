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

// rowGramRounded takes step elements of memory for each row of pairs, which end with zeros.
func rowGramRounded(w Matrix[float32], step int, memory, sums []float32) {
	for i := range w.Rows {
		row := unsafe.Slice((*BFloat16)(unsafe.Pointer(&memory[i*step])), 2*step)
		clear(row[w.Cols:])
		Narrow(w.Row(i), row[:w.Cols])
	}
	p := pointerTo(memory)
	momentAVX512(p, p, uintptr(4*step), uintptr(step*4/cacheLine), uintptr(RowGramRows(w.Rows)/momentRows), pointerTo(sums))
}
