package dense

import (
	"fmt"
	"unsafe"
)

// The shapes that the kernels of RoundedForms know: rows in a tile of a triangle, rows in a tile of the moment, points in a group and in a step, and
// the points that stay in the caches from one kernel to the next.
const (
	formRows, momentRows = 4, 5
	formGroup, formStep  = 96, 32
	formPoints           = 960
)

// RoundedForms computes A(Y) = sum (w'Yw) w w' over points w of n numbers, for symmetric Y: as many multiplications as two triangular halves of a product
// with the points, at the speed of bfloat16 products, on as many threads as there are. The points, Y and the (w'Yw) w are rounded to bfloat16, sums are in float32: with u = 2^-8, e = 2^-24 and N
// points an element differs from the exact one by at most (6u + (n + N) e) sum |w|'|Y||w| |w_i w_j|, up to terms in u^2, and typically by u/2 of the whole. Its bits depend on
// nothing but the points and Y. Subnormal numbers count as zero.
type RoundedForms struct {
	n, count, points int
	skip             int       // pairs of rows of a block that are padding, before the others
	pairs            []uint32  // of groups: pair after pair of rows, the points
	h                []uint32  // the triangle in the order of the kernel
	row              []float32 // one of its rows, and that as pairs
	narrow           []uint32
	parts            *formParts
}

// NewRoundedForms returns a RoundedForms for count points of n numbers, all of them zero, or nil where the processor has no VDPBF16PS or other kernels than AVX-512
// are in use.
func NewRoundedForms(n, count int) *RoundedForms {
	if n < 1 || count < 1 {
		panic(Error(fmt.Sprintf("RoundedForms: %d points of %d numbers", count, n)))
	}
	if !hasPairs() {
		return nil
	}
	f := &RoundedForms{n: n, count: count, points: min(formPoints, roundUp(count, formGroup)), skip: roundUp(n, formRows)/2 - (n+1)/2}
	f.pairs = alignedWords(roundUp(count, formGroup) / formGroup * f.groupWords())
	f.parts = newFormParts(n, count, f.points, momentRows, f.block, func() *formScratch {
		size := max(roundUp(n, momentRows), n+n%2) * f.points / 2
		return &formScratch{rows: alignedSingles(size), weighted: alignedSingles(size), q: make([]float32, formGroup)}
	})
	words := 0
	for k := formRows/2 - f.skip; k <= (n+1)/2; k += formRows / 2 {
		words += k * formRows
	}
	f.h, f.row, f.narrow = make([]uint32, words), make([]float32, n+1), make([]uint32, (n+1)/2)
	return f
}

// alignedWords returns n words that start at a cache line.
func alignedWords(n int) []uint32 {
	x := make([]uint32, n+cacheLine/4)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(x))) % cacheLine / 4
	return x[skip:][:n]
}

func alignedSingles(n int) []float32 {
	x := alignedWords(n)
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), n)
}

// groupWords returns the size of a group of points.
func (f *RoundedForms) groupWords() int { return roundUp(f.n, formRows) / 2 * formGroup }

// Set makes the columns of w the points from the given one on. Calls for other points may run at the same time.
func (f *RoundedForms) Set(first int, w Matrix[float32]) {
	if w.Rows != f.n || first < 0 || first+w.Cols > f.count {
		panic(Error(fmt.Sprintf("RoundedForms: %d points of %d numbers from %d on, of %d of %d", w.Cols, w.Rows, first, f.count, f.n)))
	}
	var zero [formGroup]float32
	for done := 0; done < w.Cols; {
		group, at := (first+done)/formGroup, (first+done)%formGroup
		cols := min(formGroup-at, w.Cols-done)
		pairs := f.pairs[group*f.groupWords()+f.skip*formGroup+at:]
		for i := 0; i < f.n; i += 2 {
			next := zero[:cols]
			if i+1 < f.n {
				next = w.Row(i + 1)[done : done+cols]
			}
			interleave(w.Row(i)[done:done+cols], next, pairs[i/2*formGroup:][:cols])
		}
		done += cols
	}
}

// Apply sets out = scale A(y), reading the lower triangle of y. It allocates nothing.
func (f *RoundedForms) Apply(scale float32, y, out Matrix[float32]) {
	n := f.n
	y.mustHave(n, n, "RoundedForms")
	out.mustHave(n, n, "RoundedForms")
	f.pack(y)
	f.parts.run(formWork{forms: true, moment: true})
	f.parts.total(scale, out)
}

// Forms sets q to the w'Yw of the points, reading the lower triangle of y. It allocates nothing.
func (f *RoundedForms) Forms(y Matrix[float32], q []float32) {
	y.mustHave(f.n, f.n, "RoundedForms")
	mustCount(q, f.count, "RoundedForms")
	f.pack(y)
	f.parts.run(formWork{q: q, forms: true})
}

// Moment sets out = scale sum q w w' for a weight of every point. It allocates nothing.
func (f *RoundedForms) Moment(scale float32, q []float32, out Matrix[float32]) {
	out.mustHave(f.n, f.n, "RoundedForms")
	mustCount(q, f.count, "RoundedForms")
	f.parts.run(formWork{q: q, moment: true})
	f.parts.total(scale, out)
}

func mustCount(x []float32, count int, name string) {
	if len(x) != count {
		panic(Error(fmt.Sprintf("%s: %d numbers for %d points", name, len(x), count)))
	}
}

// block does the work on a block of points.
func (f *RoundedForms) block(b int, w formWork, s *formScratch, sums []float32) {
	first := b * f.points
	points := min(f.points, roundUp(f.count-first, formGroup))
	for at := 0; at < points; at += formGroup {
		group := (first + at) / formGroup
		if w.forms {
			f.forms(group, s.q)
		} else {
			clear(s.q[copy(s.q, w.q[first+at:]):])
		}
		if w.moment {
			f.weigh(group, at, s)
		} else {
			copy(w.q[first+at:], s.q)
		}
	}
	if w.moment {
		f.moment(points, s, sums)
	}
}

// pack writes the pairs of the triangle that stands for y in w'Yw, with its elements beside the diagonal twice, in the order of the kernel.
func (f *RoundedForms) pack(y Matrix[float32]) {
	clear(f.h)
	k, width := 0, 2*(formRows/2-f.skip)
	for first := -2 * f.skip; first < f.n; first += formRows {
		for r := max(0, -first); r < formRows && first+r < f.n; r++ {
			i := first + r
			row := f.row[:i+2]
			Scale(2, y.Row(i)[:i], row[:i])
			row[i], row[i+1] = y.At(i, i), 0
			narrow := f.narrow[:i/2+1]
			Narrow(row[:2*len(narrow)], unsafe.Slice((*BFloat16)(unsafe.Pointer(unsafe.SliceData(narrow))), 2*len(narrow)))
			for c, v := range narrow {
				f.h[k+c*formRows+r] = v
			}
		}
		k += width / 2 * formRows
		width += formRows
	}
}

// fromTiles sets both triangles of out to scale times a matrix whose square tiles on and above the diagonal follow one another, row after row of tiles.
func fromTiles(scale float32, tiles []float32, side int, out Matrix[float32]) {
	for i := 0; i < out.Rows; i += side {
		for j := i; j < out.Rows; j += side {
			for r := i; r < i+side; r++ {
				if r < out.Rows {
					row := out.Row(r)[j:min(j+side, out.Rows)]
					for c := range row {
						row[c] = scale * tiles[c]
					}
				}
				tiles = tiles[side:]
			}
		}
	}
	Mirror(out)
}
