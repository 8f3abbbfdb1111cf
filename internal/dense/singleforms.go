package dense

import "fmt"

// singleFormPoints is the number of points that stay in the caches from one kernel to the next.
const singleFormPoints = 480

// formShape is what the kernels of SingleForms know beside formRows: points in a group, rows and columns in a tile of the moment, and points in a vector.
type formShape struct{ group, moment, lanes int }

// SingleForms computes A(Y) = sum (w'Yw) w w' in float32 over points w of n numbers, for symmetric Y: as many multiplications as two triangular halves of a product
// with the points. With e = 2^-24, N points and M = min(N, 60 + N/480) + 8 an element differs from the exact one by at most (2n + M) e sum |w|'|Y||w| |w_i w_j|, up to
// terms in e^2. Its bits depend on nothing but the points, Y and the kernels in use.
type SingleForms struct {
	n, count, points int
	shape            formShape
	skip             int       // rows of zeros that a block starts with
	rows             []float32 // of blocks: row after row, the points
	weighted         []float32 // rows of a block, weighted
	q, sums, h       []float32 // h is the triangle in the order of the kernel
	totals           []float32 // of the lanes of the sums
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
	tiles, side := roundUp(n, formRows)/formRows, roundUp(n, s.moment)/s.moment
	f := &SingleForms{n: n, count: count, shape: s, skip: tiles*formRows - n, points: min(singleFormPoints, roundUp(count, s.group))}
	blocks := (count + f.points - 1) / f.points
	f.rows, f.weighted = alignedSingles(blocks*f.high()*f.points), alignedSingles(side*s.moment*f.points)
	f.q, f.totals = make([]float32, f.points), make([]float32, roundUp(side*(side+1)/2*s.moment*s.moment, 4))
	f.sums = make([]float32, len(f.totals)*s.lanes)
	f.h = make([]float32, formRows*(tiles*(tiles+1)/2*formRows-tiles*f.skip))
	return f
}

// high returns the number of rows of a block.
func (f *SingleForms) high() int { return f.skip + roundUp(f.n, f.shape.moment) }

// Set makes the columns of w the points from the given one on.
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
	clear(f.sums)
	f.blocks(func(rows []float32, _, points int) {
		clear(f.q)
		f.forms(rows, points)
		f.moment(rows, points)
	})
	f.total(scale, out)
}

// Forms sets q to the w'Yw of the points, reading the lower triangle of y. It allocates nothing.
func (f *SingleForms) Forms(y Matrix[float32], q []float32) {
	y.mustHave(f.n, f.n, "SingleForms")
	mustCount(q, f.count, "SingleForms")
	f.pack(y)
	f.blocks(func(rows []float32, first, points int) {
		clear(f.q)
		f.forms(rows, points)
		copy(q[first:], f.q)
	})
}

// Moment sets out = scale sum q w w' for given q, with an error of at most M e sum |q| |w_i w_j| and what Apply's depends on. It allocates nothing.
func (f *SingleForms) Moment(scale float32, q []float32, out Matrix[float32]) {
	out.mustHave(f.n, f.n, "SingleForms")
	mustCount(q, f.count, "SingleForms")
	clear(f.sums)
	f.blocks(func(rows []float32, first, points int) {
		clear(f.q[copy(f.q, q[first:]):])
		f.moment(rows, points)
	})
	f.total(scale, out)
}

// blocks calls do with the rows of each block, its first point, and the number of its points in whole groups.
func (f *SingleForms) blocks(do func(rows []float32, first, points int)) {
	for b, first := 0, 0; first < f.count; b, first = b+1, first+f.points {
		do(f.rows[b*f.high()*f.points:], first, min(f.points, roundUp(f.count-first, f.shape.group)))
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

// total adds up the lanes of the sums.
func (f *SingleForms) total(scale float32, out Matrix[float32]) {
	if lanes := f.shape.lanes; lanes == formLanes {
		addLanes(f.sums, f.totals)
	} else {
		for i := range f.totals {
			f.totals[i] = sumHalves(f.sums[i*lanes : (i+1)*lanes])
		}
	}
	fromTiles(scale, f.totals, f.shape.moment, out)
}

// sumHalves returns the sum of up to 16 elements, a power of two, as the sum of those of both halves.
func sumHalves(x []float32) float32 {
	var s [16]float32
	copy(s[:], x)
	for h := len(x) / 2; h > 0; h /= 2 {
		for i := range h {
			s[i] += s[h+i]
		}
	}
	return s[0]
}
