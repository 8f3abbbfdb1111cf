package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// member is a matrix of a class in the storage of its pattern. No operation forms an n x n matrix unless the class is dense. All of them are calls of an engine.
type member[T Float] struct {
	*pattern
	data  []T
	panel *panels[T]
}

// gemm is the product of matrices where the member computes.
func (a member[T]) gemm(ta, tb dense.Trans, alpha T, x, y dense.Matrix[T], beta T, z dense.Matrix[T]) {
	if x.Rows > 0 && x.Cols > 0 && z.Rows > 0 && z.Cols > 0 {
		a.panel.e.Gemm(ta, tb, alpha, engine.One(x), engine.One(y), beta, engine.One(z))
	}
}

// isWhole says whether the class is that of all matrices.
func (p *pattern) isWhole() bool {
	return len(p.rects) == 1 && p.rects[0].rows == p.n && p.rects[0].cols == p.n
}

// zero clears packed numbers.
func (a member[T]) zero(y []T) { a.panel.e.Blend(0, nil, 0, nil, y) }

func (a member[T]) rect(r *rect) dense.Matrix[T] {
	return dense.Wrap(r.rows, r.cols, a.data[r.at:r.at+r.rows*r.cols])
}

func (a member[T]) middle() []T { return a.data[a.diag : a.diag+a.to-a.from] }

// spaced views every step-th of the numbers from the first on as a column.
func spaced[T Float](n, step int, first []T) engine.Batch[T] {
	return engine.Batch[T]{Count: 1, Rows: n, Cols: 1, Stride: step, Data: first}
}

// rowPanel returns rows [i, i+rows) in dense form, of a Toeplitz matrix those of the upper triangular one that holds the same numbers.
func (a member[T]) rowPanel(i, rows int) dense.Matrix[T] {
	e, p := a.panel.e, a.panel.rows.View(0, 0, rows, a.n)
	if a.toeplitz {
		e.Gather(a.panel.steps(a.n), a.panel.order[i:i+rows], p)
		return p
	}
	a.zero(p.Data)
	for k := range a.rects {
		r := &a.rects[k]
		if from, to := max(i, r.row), min(i+rows, r.row+r.rows); from < to {
			e.Copy(engine.One(a.rect(r).View(from-r.row, 0, to-from, r.cols)), engine.One(p.View(from-i, r.col, to-from, r.cols)))
		}
	}
	if from, to := max(i, a.from), min(i+rows, a.to); from < to {
		e.Copy(spaced(to-from, 1, a.data[a.diag+from-a.from:]), spaced(to-from, a.n+1, p.Data[(from-i)*a.n+from:]))
	}
	return p
}

// right sets y to x op(A).
func (a member[T]) right(op dense.Trans, x, y dense.Matrix[T]) {
	if a.toeplitz {
		op = op != dense.Trans(!a.upper)
		a.spread()
		for i := 0; i < a.n; i += panelRows {
			p := a.rowPanel(i, min(panelRows, a.n-i))
			if op == dense.Transposed {
				a.gemm(dense.NoTrans, op, 1, x, p, 0, y.View(0, i, y.Rows, p.Rows))
				continue
			}
			a.gemm(dense.NoTrans, op, 1, x.View(0, i, x.Rows, p.Rows), p, one[T](i > 0), y)
		}
		return
	}
	a.zero(y.Data[:y.Rows*y.Cols])
	for k := range a.rects {
		r := &a.rects[k]
		from, width, to, height := r.row, r.rows, r.col, r.cols
		if op == dense.Transposed {
			from, width, to, height = to, height, from, width
		}
		a.gemm(dense.NoTrans, op, 1, x.View(0, from, x.Rows, width), a.rect(r), 1, y.View(0, to, y.Rows, height))
	}
	if width := a.to - a.from; width > 0 {
		a.panel.e.ScaleCols(a.middle(), engine.One(x.View(0, a.from, x.Rows, width)), 1, engine.One(y.View(0, a.from, y.Rows, width)))
	}
}

// left sets y to op(A) x.
func (a member[T]) left(op dense.Trans, x, y dense.Matrix[T]) {
	if a.toeplitz {
		op = op != dense.Trans(!a.upper)
		a.spread()
		for i := 0; i < a.n; i += panelRows {
			p := a.rowPanel(i, min(panelRows, a.n-i))
			if op == dense.Transposed {
				a.gemm(op, dense.NoTrans, 1, p, x.View(i, 0, p.Rows, x.Cols), one[T](i > 0), y)
				continue
			}
			a.gemm(op, dense.NoTrans, 1, p, x, 0, y.View(i, 0, p.Rows, y.Cols))
		}
		return
	}
	a.zero(y.Data[:y.Rows*y.Cols])
	for k := range a.rects {
		r := &a.rects[k]
		from, width, to, height := r.col, r.cols, r.row, r.rows
		if op == dense.Transposed {
			from, width, to, height = to, height, from, width
		}
		a.gemm(op, dense.NoTrans, 1, a.rect(r), x.View(from, 0, width, x.Cols), 1, y.View(to, 0, height, y.Cols))
	}
	if height := a.to - a.from; height > 0 {
		a.panel.e.ScaleRows(a.middle(), engine.One(x.View(a.from, 0, height, x.Cols)), 1, engine.One(y.View(a.from, 0, height, y.Cols)))
	}
}

func one[T Float](yes bool) T {
	if yes {
		return 1
	}
	return 0
}

// addColumnGram adds c times the projection of z^T z.
func (a member[T]) addColumnGram(c T, z dense.Matrix[T]) {
	if a.toeplitz {
		for i := 0; i < a.n; i += panelRows {
			rows := min(panelRows, a.n-i)
			a.gemm(dense.Transposed, dense.NoTrans, 1, z.View(0, i, z.Rows, rows), z.View(0, i, z.Rows, a.n-i), 0, a.panel.skew.View(0, i, rows, a.n-i))
			a.panel.addDiagonals(i, rows, a.n)
		}
		a.takeDiagonals(c)
		return
	}
	for k := range a.rects {
		r := &a.rects[k]
		a.addGram(c, dense.Transposed, z.View(0, r.row, z.Rows, r.rows), z.View(0, r.col, z.Rows, r.cols), r)
	}
	if width := a.to - a.from; width > 0 {
		e, part, line := a.panel.e, engine.One(z.View(0, a.from, z.Rows, width)), a.panel.line[:width]
		a.zero(line)
		e.ColDots(part, part, line)
		e.Blend(1, a.middle(), c, line, a.middle())
	}
}

// addRowGram adds c times the projection of z z^T.
func (a member[T]) addRowGram(c T, z dense.Matrix[T]) {
	if a.toeplitz {
		for i := 0; i < a.n; i += panelRows {
			rows := min(panelRows, a.n-i)
			a.gemm(dense.NoTrans, dense.Transposed, 1, z.View(i, 0, rows, z.Cols), z.View(i, 0, a.n-i, z.Cols), 0, a.panel.skew.View(0, i, rows, a.n-i))
			a.panel.addDiagonals(i, rows, a.n)
		}
		a.takeDiagonals(c)
		return
	}
	for k := range a.rects {
		r := &a.rects[k]
		a.addGram(c, dense.NoTrans, z.View(r.row, 0, r.rows, z.Cols), z.View(r.col, 0, r.cols, z.Cols), r)
	}
	if height := a.to - a.from; height > 0 {
		part, line := engine.One(z.View(a.from, 0, height, z.Cols)), a.panel.line[:height]
		a.panel.e.RowDots(part, part, line)
		a.panel.e.Blend(1, a.middle(), c, line, a.middle())
	}
}

func (a member[T]) addGram(c T, op dense.Trans, x, y dense.Matrix[T], r *rect) {
	if r.double {
		a.gemm(op, !op, 2*c, x, y, 1, a.rect(r))
		return
	}
	if x.Rows > 0 && x.Cols > 0 {
		a.panel.e.GemmSymmetric(op, !op, c, engine.One(x), engine.One(y), 1, engine.One(a.rect(r)))
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

// addProduct sets a to a + c a b; no c is 1.
func (a member[T]) addProduct(c []float64, b member[T]) {
	if a.toeplitz { // a product of polynomials
		b.correlate(dense.Transposed, a.data, a.panel.line)
		a.panel.e.BlendBy(nil, a.data, c, a.panel.line, a.data)
		return
	}
	for i := 0; i < a.n; i += panelRows {
		rows := min(panelRows, a.n-i)
		y := a.panel.product.View(0, 0, rows, a.n)
		if a.isWhole() {
			own := a.rect(&a.rects[0]).View(i, 0, rows, a.n)
			a.gemm(dense.NoTrans, dense.NoTrans, 1, own, b.rect(&b.rects[0]), 0, y)
			a.panel.e.BlendBy(nil, own.Data, c, y.Data, own.Data)
			continue
		}
		b.right(dense.NoTrans, a.rowPanel(i, rows), y)
		for k := range a.rects {
			r := &a.rects[k]
			if from, to := max(i, r.row), min(i+rows, r.row+r.rows); from < to {
				own := a.rect(r).View(from-r.row, 0, to-from, r.cols)
				a.addPart(c, own.Data, engine.One(y.View(from-i, r.col, to-from, r.cols)))
			}
		}
		if from, to := max(i, a.from), min(i+rows, a.to); from < to {
			at := a.diag + from - a.from
			a.addPart(c, a.data[at:at+to-from], spaced(to-from, a.n+1, y.Data[(from-i)*a.n+from:]))
		}
	}
}

// addPart adds c times a part of a panel to the numbers that belong there.
func (a member[T]) addPart(c []float64, own []T, part engine.Batch[T]) {
	packed := a.panel.packed[:len(own)]
	a.panel.e.Copy(part, engine.One(dense.Wrap(part.Rows, part.Cols, packed)))
	a.panel.e.BlendBy(nil, own, c, packed, own)
}

// addDiagonal adds c to the diagonal.
func (a member[T]) addDiagonal(c T) {
	a.panel.number[0] = c
	a.eachDiagonal(func(part engine.Batch[T]) { a.panel.e.AddRow(a.panel.number[:], 1, part) })
}

// eachDiagonal calls do for the parts that the diagonal is stored in, for the one number of a Toeplitz member.
func (a member[T]) eachDiagonal(do func(part engine.Batch[T])) {
	if a.toeplitz {
		do(spaced(1, 1, a.data))
		return
	}
	for k := range a.rects {
		if r := &a.rects[k]; !r.double {
			do(spaced(r.rows, r.cols+1, a.data[r.at:]))
		}
	}
	if n := a.to - a.from; n > 0 {
		do(spaced(n, 1, a.middle()))
	}
}

// meanTrace finds tr(A)/n.
func (a member[T]) meanTrace(q *engine.Reckoning[T]) engine.Figure {
	n := 0
	a.eachDiagonal(func(part engine.Batch[T]) {
		a.panel.e.Copy(part, spaced(part.Rows, 1, a.panel.line[n:]))
		n += part.Rows
	})
	return q.Over(q.Tally(a.panel.line[:n]).Sum, q.Number(float64(n)))
}

// norms finds the Frobenius norm and the largest absolute value of an element; both are NaN or infinite when an element is.
func (a member[T]) norms(q *engine.Reckoning[T]) (frobenius, largest engine.Figure) {
	m := q.Tally(a.data)
	squares := m.Squares
	if a.toeplitz {
		a.panel.e.Multiply(a.panel.roots, a.data, 0, a.panel.line)
		squares = q.Tally(a.panel.line).Squares
	}
	return q.Root(squares), m.Top
}

// finite finds whether all elements are numbers, with a norm whose square can be represented.
func (a member[T]) finite(q *engine.Reckoning[T]) engine.Figure {
	norm, _ := a.norms(q)
	return q.Below(norm, q.Number(math.Sqrt(largestGradient[T]())))
}
