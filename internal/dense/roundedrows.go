package dense

import (
	"fmt"
	"unsafe"
)

// RoundedRows is a matrix rounded to bfloat16: row after row, pairs of neighbours in 32 bits, zero after the last one of an odd number.
type RoundedRows struct {
	rows, cols int
	pairs      []float32 // 32 bits each, which are no numbers
}

// RoundRows returns the rounded w. It lies in memory, of which it takes (w.Cols+1)/2 elements a row.
func RoundRows(w Matrix[float32], memory []float32) RoundedRows {
	step := (w.Cols + 1) / 2
	if len(memory) < w.Rows*step {
		panic(Error(fmt.Sprintf("RoundRows: %d elements cannot hold %dx%d", len(memory), w.Rows, w.Cols)))
	}
	r := RoundedRows{w.Rows, w.Cols, memory[:w.Rows*step]}
	all := unsafe.Slice((*BFloat16)(unsafe.Pointer(unsafe.SliceData(memory))), 2*len(r.pairs))
	for i := range w.Rows {
		row := all[2*i*step:][:2*step]
		if w.Cols%2 == 1 {
			row[w.Cols] = 0
		}
		Narrow(w.Row(i), row[:w.Cols])
	}
	return r
}

// roundedPanel is the number of columns of a panel of a RoundedLower: two vectors.
const roundedPanel = 32

// RoundedLower is a lower triangular matrix L rounded to bfloat16, for products with its transpose.
type RoundedLower struct {
	n     int
	pairs []uint32 // for the first rows, which 32 leave of n, and then 32 after the other, the pairs of columns up to the last row: of all rows the first, of all the second, ...
}

// NewRoundedLower returns L, whose strict upper triangle is not read, or nil where the processor has no VDPBF16PS or other kernels than AVX-512 are in use.
func NewRoundedLower(l Matrix[float32]) *RoundedLower {
	l.mustHave(l.Rows, l.Rows, "RoundedLower")
	if !hasPairs() {
		return nil
	}
	t := &RoundedLower{n: l.Rows}
	row := make([]BFloat16, l.Rows+1)
	for j, width := 0, t.first(); j < t.n; j, width = j+width, roundedPanel {
		panel := make([]uint32, (j+width+1)/2*width)
		for i := range width {
			clear(row[j+i+1:])
			Narrow(l.Row(j + i)[:j+i+1], row[:j+i+1])
			for k := range len(panel) / width {
				panel[k*width+i] = uint32(row[2*k]) | uint32(row[2*k+1])<<16
			}
		}
		t.pairs = append(t.pairs, panel...)
	}
	return t
}

// first returns the number of columns of the first panel, which is the one that is not full since it is the shortest.
func (t *RoundedLower) first() int { return (t.n-1)%roundedPanel + 1 }

// MulTransposed sets dst = W L', in half the work of GemmRounded and with its errors.
func (t *RoundedLower) MulTransposed(w RoundedRows, dst Matrix[float32]) {
	if w.cols != t.n {
		panic(Error(fmt.Sprintf("RoundedLower: %d columns times %d", w.cols, t.n)))
	}
	dst.mustHave(w.rows, t.n, "RoundedLower")
	if w.rows == 0 {
		return
	}
	a := operand{unsafe.Pointer(unsafe.SliceData(w.pairs)), uintptr((w.cols+1)/2) * 4, 4}
	pairs := t.pairs
	for j, width := 0, t.first(); j < t.n; j, width = j+width, roundedPanel {
		k := (j + width + 1) / 2
		q := product{
			m: w.rows, n: width, k: k, pairs: true, size: 4,
			a: a, b: operand{unsafe.Pointer(unsafe.SliceData(pairs)), uintptr(width) * 4, 4}, c: operandOf(NoTrans, &dst).at(0, j),
			alpha: one(4), first: useOf[float32](1, 0), next: useOf[float32](1, 1),
		}
		q.start()
		pairs = pairs[k*width:]
	}
}
