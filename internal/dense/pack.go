package dense

import "unsafe"

// packColumns copies the k x n matrix src into panels of width columns: panel after panel, and in each the rows one after the other,
// width elements apart. What the last panel holds beyond its columns is left as it is.
func packColumns(src operand, dst unsafe.Pointer, k, n, width int, size uintptr) {
	if size == 8 {
		packElements[float64](src, dst, k, n, width)
	} else {
		packElements[float32](src, dst, k, n, width)
	}
}

func packElements[T Float](src operand, dst unsafe.Pointer, k, n, width int) {
	size := unsafe.Sizeof(*new(T))
	for j := 0; j < n; j += width {
		cols := min(width, n-j)
		block := unsafe.Slice((*T)(unsafe.Add(dst, uintptr(j*k)*size)), k*width)
		from := src.at(0, j)
		if src.col == size {
			for l := range k {
				copy(block[l*width:l*width+cols], unsafe.Slice((*T)(from.at(l, 0).p), cols))
			}
			continue
		}
		packTransposed(from, block, k, cols, width)
	}
}

// packTransposed packs one panel whose columns are contiguous in memory.
func packTransposed[T Float](src operand, block []T, k, cols, width int) {
	for q := range cols {
		column := unsafe.Slice((*T)(src.at(0, q).p), k)
		for l, v := range column {
			block[l*width+q] = v
		}
	}
}
