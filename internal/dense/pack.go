package dense

import "unsafe"

// packedRows is the number of rows that are packed over the whole width before the next ones: their memory is then read in order.
const packedRows = 8

// packColumns copies the k x n matrix src into panels of width columns: panel after panel, and in each the rows one after the other,
// width elements apart. What the last panel holds beyond its columns is left as it is.
func packColumns(src operand, dst unsafe.Pointer, k, n, width int, size uintptr) {
	if src.col != size {
		for j := 0; j < n; j += width {
			packStrided(src.at(0, j), unsafe.Add(dst, uintptr(j*k)*size), k, min(width, n-j), width, size)
		}
		return
	}
	for l := 0; l < k; l += packedRows {
		for j := 0; j < n; j += width {
			to := unsafe.Add(dst, uintptr(j*k+l*width)*size)
			packContiguous(src.at(l, j), to, min(packedRows, k-l), min(width, n-j), width, size)
		}
	}
}

// packContiguous packs one panel whose rows are contiguous in memory.
func packContiguous(src operand, dst unsafe.Pointer, k, cols, width int, size uintptr) {
	step, bytes := uintptr(width)*size, uintptr(cols)*size
	if cols == width && packRows(dst, src, bytes, k) {
		return
	}
	for l := range k {
		copy(unsafe.Slice((*byte)(unsafe.Add(dst, uintptr(l)*step)), bytes), unsafe.Slice((*byte)(src.at(l, 0).p), bytes))
	}
}

// packStrided packs one panel whose columns are contiguous in memory.
func packStrided(src operand, dst unsafe.Pointer, k, cols, width int, size uintptr) {
	for done := 0; done < cols; {
		from, to := src.at(0, done), unsafe.Add(dst, uintptr(done)*size)
		c, l := transposeBlocks(to, from, k, cols-done, uintptr(width)*size, size)
		if c == 0 {
			c = cols - done
		}
		if l < k {
			packElements(from.at(l, 0), unsafe.Add(to, uintptr(l*width)*size), k-l, c, width, size)
		}
		done += c
	}
}

func packElements(src operand, dst unsafe.Pointer, k, cols, width int, size uintptr) {
	if size == 8 {
		copyTransposed[float64](src, dst, k, cols, width)
	} else {
		copyTransposed[float32](src, dst, k, cols, width)
	}
}

func copyTransposed[T Float](src operand, dst unsafe.Pointer, k, cols, width int) {
	to := unsafe.Slice((*T)(dst), (k-1)*width+cols)
	for q := range cols {
		column := unsafe.Slice((*T)(src.at(0, q).p), k)
		for l, v := range column {
			to[l*width+q] = v
		}
	}
}
