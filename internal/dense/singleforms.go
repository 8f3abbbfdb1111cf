package dense

import "fmt"

// singleFormPoints is the number of points that stay in the caches from one kernel to the next.
const singleFormPoints = 480

// formShape is what the kernels of SingleForms know beside formRows: points in a group, rows and columns in a tile of the moment, and points in a vector.
type formShape struct{ group, moment, lanes int }

// SingleForms computes A(Y) = sum (w'Yw) w w' in float32 over points w of n numbers, for symmetric Y: as many multiplications as two triangular halves of a product
// with the points, on as many threads as there are. With e = 2^-24, N points and M = min(N, 60 + N/480) + 8 an element differs from the exact one by at most (2n + M) e sum |w|'|Y||w| |w_i w_j|, up to
// terms in e^2. Its bits depend on nothing but the points, Y and the kernels in use.
type SingleForms struct {
	n, count, points int
	shape            formShape
	skip             int       // rows of zeros that a block starts with
	rows             []float32 // of blocks: row after row, the points
	h                []float32 // the triangle in the order of the kernel
	parts            *formParts
}

// NewSingleForms returns a SingleForms for count points of n numbers, all of them zero, or nil where there are no kernels.
func NewSingleForms(n, count int) *SingleForms {
	if n < 1 || count < 1 {
		panic(Error(fmt.Sprintf("SingleForms: %d points of %d numbers", count, n)))
	}
	s := singleFormShape()
	if s.lanes == 0 {
		return nil
	}
	tiles := roundUp(n, formRows) / formRows
	f := &SingleForms{n: n, count: count, shape: s, skip: tiles*formRows - n, points: min(singleFormPoints, roundUp(count, s.group))}
	blocks := (count + f.points - 1) / f.points
	f.rows = alignedSingles(blocks * f.high() * f.points)
	f.parts = newFormParts(n, count, f.points, s.moment, f.block, func() *formScratch {
		return &formScratch{weighted: alignedSingles(roundUp(n, s.moment) * f.points), q: make([]float32, f.points)}
	})
	f.h = make([]float32, formRows*(tiles*(tiles+1)/2*formRows-tiles*f.skip))
	return f
}

// high returns the number of rows of a block.
func (f *SingleForms) high() int { return f.skip + roundUp(f.n, f.shape.moment) }

// Set makes the columns of w the points from the given one on. Calls for other points may run at the same time.
func (f *SingleForms) Set(first int, w Matrix[float32]) {
	if w.Rows != f.n || first < 0 || first+w.Cols > f.count {
		panic(Error(fmt.Sprintf("SingleForms: %d points of %d numbers from %d on, of %d of %d", w.Cols, w.Rows, first, f.count, f.n)))
	}
	for done := 0; done < w.Cols; {
		b, at := (first+done)/f.points, (first+done)%f.points
		cols := min(f.points-at, w.Cols-done)
		for i := range f.n {
			copy(f.rows[(b*f.high()+f.skip+i)*f.points+at:], w.Row(i)[done:done+cols])
		}
		done += cols
	}
}

// Apply sets out = scale A(y), reading the lower triangle of y. It allocates nothing.
func (f *SingleForms) Apply(scale float32, y, out Matrix[float32]) {
	y.mustHave(f.n, f.n, "SingleForms")
	out.mustHave(f.n, f.n, "SingleForms")
	f.pack(y)
	f.parts.run(formWork{forms: true, moment: true})
	f.parts.total(scale, out)
}

// Forms sets q to the w'Yw of the points, reading the lower triangle of y. It allocates nothing.
func (f *SingleForms) Forms(y Matrix[float32], q []float32) {
	y.mustHave(f.n, f.n, "SingleForms")
	mustCount(q, f.count, "SingleForms")
	f.pack(y)
	f.parts.run(formWork{q: q, forms: true})
}

// Moment sets out = scale sum q w w' for given q, with an error of at most M e sum |q| |w_i w_j| and what Apply's depends on. It allocates nothing.
func (f *SingleForms) Moment(scale float32, q []float32, out Matrix[float32]) {
	out.mustHave(f.n, f.n, "SingleForms")
	mustCount(q, f.count, "SingleForms")
	f.parts.run(formWork{q: q, moment: true})
	f.parts.total(scale, out)
}

// block does the work on a block of points, in whole groups.
func (f *SingleForms) block(b int, w formWork, s *formScratch, sums []float32) {
	first := b * f.points
	rows, points := f.rows[b*f.high()*f.points:], min(f.points, roundUp(f.count-first, f.shape.group))
	if w.forms {
		clear(s.q)
		f.forms(rows, points, s.q)
	} else {
		clear(s.q[copy(s.q, w.q[first:]):])
	}
	if w.moment {
		f.moment(rows, points, s, sums)
	} else {
		copy(w.q[first:], s.q)
	}
}

// pack writes the triangle that stands for y in w'Yw, with its elements beside the diagonal twice, in the order of the kernel.
func (f *SingleForms) pack(y Matrix[float32]) {
	h := f.h
	for first := -f.skip; first < f.n; first += formRows {
		for r := max(0, -first); r < formRows; r++ {
			i := first + r
			for c, v := range y.Row(i)[:i] {
				h[c*formRows+r] = 2 * v
			}
			h[i*formRows+r] = y.At(i, i)
		}
		h = h[(first+formRows)*formRows:]
	}
}
