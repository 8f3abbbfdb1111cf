package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// member is as many matrices of a class as its panels are for, one after the other, each in the storage of its pattern. No operation forms an n x n matrix unless the
// class is dense. All of them are calls of an engine, products for all matrices at once; operands that are no members are batches of one for each matrix.
type member[T Float] struct {
	*pattern
	data  []T
	panel *panels[T]
}

// gemm is the product of matrices where the member computes.
func (a member[T]) gemm(ta, tb dense.Trans, alpha T, x, y engine.Batch[T], beta T, z engine.Batch[T]) {
	if x.Rows > 0 && x.Cols > 0 && z.Rows > 0 && z.Cols > 0 {
		a.panel.e.Gemm(ta, tb, alpha, x, y, beta, z)
	}
}

// view returns the rows x cols elements from (i, j) on of each matrix.
func view[T Float](b engine.Batch[T], i, j, rows, cols int) engine.Batch[T] {
	if rows > 0 && cols > 0 {
		b.Data = b.Data[i*b.Stride+j:]
	}
	b.Rows, b.Cols = rows, cols
	return b
}

// isWhole says whether the class is that of all matrices.
func (p *pattern) isWhole() bool {
	return len(p.rects) == 1 && p.rects[0].rows == p.n && p.rects[0].cols == p.n
}

// zero clears packed numbers.
func (a member[T]) zero(y []T) { a.panel.e.Blend(0, nil, 0, nil, y) }

// clear makes a batch zero.
func (a member[T]) clear(y engine.Batch[T]) {
	if n := y.Rows * y.Cols; y.Count == 1 || y.Step == n {
		a.zero(y.Data[:y.Count*n])
		return
	}
	for k := range y.Count {
		a.zero(y.At(k).Data)
	}
}

// own is what matrix k has of x, which holds an equal part for each.
func (a member[T]) own(x []T, k int) []T { return partOf(x, a.panel.count, k) }

func (a member[T]) rect(r *rect) engine.Batch[T] {
	return engine.Batch[T]{Count: a.panel.count, Rows: r.rows, Cols: r.cols, Stride: r.cols, Step: a.size, Data: a.data[r.at:]}
}

// middle is the numbers of the rows with a diagonal element only, of those from the i-th on, as columns.
func (a member[T]) middle(i, rows int) engine.Batch[T] {
	return a.spaced(rows, 1, a.size, a.data[a.diag+i-a.from:])
}

// middles returns those of all matrices, one after the other.
func (a member[T]) middles() []T {
	n := a.to - a.from
	if a.panel.count == 1 || n == a.size {
		return a.data[a.diag : a.diag+a.panel.count*n]
	}
	line := a.panel.line[:a.panel.count*n]
	a.panel.e.Copy(a.middle(a.from, n), a.spaced(n, 1, n, line))
	return line
}

// addMiddle adds c times what line holds for them.
func (a member[T]) addMiddle(c T, line []T) {
	for k := range a.panel.count {
		own := a.own(a.data, k)[a.diag : a.diag+a.to-a.from]
		a.panel.e.Blend(1, own, c, a.own(line, k), own)
	}
}

// spaced views every stride-th of the numbers from the first on as a column, those of the next matrix step further.
func (a member[T]) spaced(n, stride, step int, first []T) engine.Batch[T] {
	return engine.Batch[T]{Count: a.panel.count, Rows: n, Cols: 1, Stride: stride, Step: step, Data: first}
}

// rowPanel returns rows [i, i+rows) in dense form, of a Toeplitz matrix those of the upper triangular one that holds the same numbers.
func (a member[T]) rowPanel(i, rows int) engine.Batch[T] {
	e, p := a.panel.e, a.panel.packed(a.panel.rows, rows, a.n)
	if a.toeplitz {
		count := a.panel.count
		e.Gather(a.panel.steps(a.n), a.panel.order[count*i:count*(i+rows)], dense.Wrap(count*rows, a.n, p.Data))
		return p
	}
	a.zero(p.Data)
	for k := range a.rects {
		r := &a.rects[k]
		if from, to := max(i, r.row), min(i+rows, r.row+r.rows); from < to {
			e.Copy(view(a.rect(r), from-r.row, 0, to-from, r.cols), view(p, from-i, r.col, to-from, r.cols))
		}
	}
	if from, to := max(i, a.from), min(i+rows, a.to); from < to {
		e.Copy(a.middle(from, to-from), a.spaced(to-from, a.n+1, p.Step, p.Data[(from-i)*a.n+from:]))
	}
	return p
}

// right sets y to x op(A).
func (a member[T]) right(op dense.Trans, x, y engine.Batch[T]) {
	if a.toeplitz {
		op = op != dense.Trans(!a.upper)
		a.spread()
		for i := 0; i < a.n; i += panelRows {
			p := a.rowPanel(i, min(panelRows, a.n-i))
			if op == dense.Transposed {
				a.gemm(dense.NoTrans, op, 1, x, p, 0, view(y, 0, i, y.Rows, p.Rows))
				continue
			}
			a.gemm(dense.NoTrans, op, 1, view(x, 0, i, x.Rows, p.Rows), p, one[T](i > 0), y)
		}
		return
	}
	a.clear(y)
	for k := range a.rects {
		r := &a.rects[k]
		from, width, to, height := r.row, r.rows, r.col, r.cols
		if op == dense.Transposed {
			from, width, to, height = to, height, from, width
		}
		a.gemm(dense.NoTrans, op, 1, view(x, 0, from, x.Rows, width), a.rect(r), 1, view(y, 0, to, y.Rows, height))
	}
	if width := a.to - a.from; width > 0 {
		a.panel.e.ScaleCols(a.middles(), view(x, 0, a.from, x.Rows, width), 1, view(y, 0, a.from, y.Rows, width))
	}
}

// left sets y to op(A) x.
func (a member[T]) left(op dense.Trans, x, y engine.Batch[T]) {
	if a.toeplitz {
		op = op != dense.Trans(!a.upper)
		a.spread()
		for i := 0; i < a.n; i += panelRows {
			p := a.rowPanel(i, min(panelRows, a.n-i))
			if op == dense.Transposed {
				a.gemm(op, dense.NoTrans, 1, p, view(x, i, 0, p.Rows, x.Cols), one[T](i > 0), y)
				continue
			}
			a.gemm(op, dense.NoTrans, 1, p, x, 0, view(y, i, 0, p.Rows, y.Cols))
		}
		return
	}
	a.clear(y)
	for k := range a.rects {
		r := &a.rects[k]
		from, width, to, height := r.col, r.cols, r.row, r.rows
		if op == dense.Transposed {
			from, width, to, height = to, height, from, width
		}
		a.gemm(op, dense.NoTrans, 1, a.rect(r), view(x, from, 0, width, x.Cols), 1, view(y, to, 0, height, y.Cols))
	}
	if height := a.to - a.from; height > 0 {
		a.panel.e.ScaleRows(a.middles(), view(x, a.from, 0, height, x.Cols), 1, view(y, a.from, 0, height, y.Cols))
	}
}

func one[T Float](yes bool) T {
	if yes {
		return 1
	}
	return 0
}

// addColumnGram adds c times the projection of z^T z.
func (a member[T]) addColumnGram(c T, z engine.Batch[T]) {
	if a.toeplitz {
		for i := 0; i < a.n; i += panelRows {
			rows := min(panelRows, a.n-i)
			a.gemm(dense.Transposed, dense.NoTrans, 1, view(z, 0, i, z.Rows, rows), view(z, 0, i, z.Rows, a.n-i), 0, view(a.panel.skew, 0, i, rows, a.n-i))
			a.panel.addDiagonals(i, rows, a.n)
		}
		a.takeDiagonals(c)
		return
	}
	for k := range a.rects {
		r := &a.rects[k]
		a.addGram(c, dense.Transposed, view(z, 0, r.row, z.Rows, r.rows), view(z, 0, r.col, z.Rows, r.cols), r)
	}
	if width := a.to - a.from; width > 0 {
		part, line := view(z, 0, a.from, z.Rows, width), a.panel.line[:a.panel.count*width]
		a.zero(line)
		a.panel.e.ColDots(part, part, line)
		a.addMiddle(c, line)
	}
}

// addRowGram adds c times the projection of z z^T.
func (a member[T]) addRowGram(c T, z engine.Batch[T]) {
	if a.toeplitz {
		for i := 0; i < a.n; i += panelRows {
			rows := min(panelRows, a.n-i)
			a.gemm(dense.NoTrans, dense.Transposed, 1, view(z, i, 0, rows, z.Cols), view(z, i, 0, a.n-i, z.Cols), 0, view(a.panel.skew, 0, i, rows, a.n-i))
			a.panel.addDiagonals(i, rows, a.n)
		}
		a.takeDiagonals(c)
		return
	}
	for k := range a.rects {
		r := &a.rects[k]
		a.addGram(c, dense.NoTrans, view(z, r.row, 0, r.rows, z.Cols), view(z, r.col, 0, r.cols, z.Cols), r)
	}
	if height := a.to - a.from; height > 0 {
		part, line := view(z, a.from, 0, height, z.Cols), a.panel.line[:a.panel.count*height]
		a.panel.e.RowDots(part, part, line)
		a.addMiddle(c, line)
	}
}

func (a member[T]) addGram(c T, op dense.Trans, x, y engine.Batch[T], r *rect) {
	if r.double {
		a.gemm(op, !op, 2*c, x, y, 1, a.rect(r))
		return
	}
	if x.Rows > 0 && x.Cols > 0 {
		a.panel.e.GemmSymmetric(op, !op, c, x, y, 1, a.rect(r))
	}
}

// addInner adds c times the projection of b^T b, b of the same class.
func (a member[T]) addInner(c T, b member[T]) {
	switch {
	case a.isWhole():
		a.addColumnGram(c, b.rect(&b.rects[0]))
	case a.toeplitz:
		a.panel.e.Multiply(a.panel.counts, b.data, 0, a.panel.line)
		b.correlate(dense.NoTrans, a.panel.line, a.panel.sums)
		a.takeDiagonals(c)
	default:
		for i := 0; i < b.n; i += panelRows {
			a.addColumnGram(c, b.rowPanel(i, min(panelRows, b.n-i)))
		}
	}
}

// addProduct sets a to a + c a b, with a number for each matrix in c; no c is 1.
func (a member[T]) addProduct(c []float64, b member[T]) {
	if a.toeplitz { // a product of polynomials
		b.correlate(dense.Transposed, a.data, a.panel.line)
		a.addBy(c, 0, a.n, a.panel.line)
		return
	}
	for i := 0; i < a.n; i += panelRows {
		rows := min(panelRows, a.n-i)
		y := a.panel.packed(a.panel.product, rows, a.n)
		if a.isWhole() {
			a.gemm(dense.NoTrans, dense.NoTrans, 1, view(a.rect(&a.rects[0]), i, 0, rows, a.n), b.rect(&b.rects[0]), 0, y)
			a.addBy(c, i*a.n, rows*a.n, y.Data)
			continue
		}
		b.right(dense.NoTrans, a.rowPanel(i, rows), y)
		for k := range a.rects {
			r := &a.rects[k]
			if from, to := max(i, r.row), min(i+rows, r.row+r.rows); from < to {
				a.addPart(c, r.at+(from-r.row)*r.cols, view(y, from-i, r.col, to-from, r.cols))
			}
		}
		if from, to := max(i, a.from), min(i+rows, a.to); from < to {
			a.addPart(c, a.diag+from-a.from, a.spaced(to-from, a.n+1, y.Step, y.Data[(from-i)*a.n+from:]))
		}
	}
}

// addPart adds c times a part of a panel to the numbers from the at-th on.
func (a member[T]) addPart(c []float64, at int, part engine.Batch[T]) {
	packed := a.panel.packed(a.panel.part, part.Rows, part.Cols)
	a.panel.e.Copy(part, packed)
	a.addBy(c, at, part.Rows*part.Cols, packed.Data)
}

// addBy adds c times what x holds for each matrix to its n numbers from the at-th on.
func (a member[T]) addBy(c []float64, at, n int, x []T) {
	own := blank[T](a.panel.count, 1, n)
	own.Step, own.Data = a.size, a.data[at:]
	a.panel.e.BlendBy(nil, own, c, lines(x, a.panel.count), own)
}

// addDiagonal adds c to the diagonal.
func (a member[T]) addDiagonal(c T) {
	a.panel.number[0] = c
	a.eachDiagonal(func(part engine.Batch[T]) { a.panel.e.AddRow(a.panel.number[:], 1, part) })
}

// eachDiagonal calls do for the parts that the diagonal is stored in, for the one number of a Toeplitz member.
func (a member[T]) eachDiagonal(do func(part engine.Batch[T])) {
	if a.toeplitz {
		do(a.spaced(1, 1, a.size, a.data))
		return
	}
	for k := range a.rects {
		if r := &a.rects[k]; !r.double {
			do(a.spaced(r.rows, r.cols+1, a.size, a.data[r.at:]))
		}
	}
	if n := a.to - a.from; n > 0 {
		do(a.middle(a.from, n))
	}
}

// meanTraces finds tr(A)/n of each matrix.
func (a member[T]) meanTraces(q *engine.Reckoning[T]) engine.Figure {
	n := a.n
	if a.toeplitz {
		n = 1
	}
	line, at := a.panel.line[:a.panel.count*n], 0
	a.eachDiagonal(func(part engine.Batch[T]) {
		a.panel.e.Copy(part, a.spaced(part.Rows, 1, n, line[at:]))
		at += part.Rows
	})
	return q.Over(q.Tally(line).Sum, q.Number(float64(n)))
}

// norms finds the Frobenius norm of each matrix and the largest absolute value of an element; both are NaN or infinite when an element is.
func (a member[T]) norms(q *engine.Reckoning[T]) (frobenius, largest engine.Figure) {
	m := q.Tally(a.data)
	squares := m.Squares
	if a.toeplitz {
		a.panel.e.Multiply(a.panel.roots, a.data, 0, a.panel.line)
		squares = q.Tally(a.panel.line).Squares
	}
	return q.Root(squares), m.Top
}

// finite finds whether all elements of each matrix are numbers, with a norm whose square can be represented.
func (a member[T]) finite(q *engine.Reckoning[T]) engine.Figure {
	norm, _ := a.norms(q)
	return q.Below(norm, q.Number(math.Sqrt(largestGradient[T]())))
}
