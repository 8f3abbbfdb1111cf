package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// member is a matrix of a class in the storage of its pattern. No operation forms an n x n matrix unless the class is dense.
type member[T Float] struct {
	*pattern
	data  []T
	panel *panels[T]
}

// panels are the dense rows through which members of one size are multiplied, and where that is done.
type panels[T Float] struct {
	e             engine.Backend[T]
	rows, product dense.Matrix[T]
	line          []T // a number for each row, on a device
}

// away says whether it is a device.
func (p *panels[T]) away() bool { return p.e != engine.CPU[T]() }

// panelRows is how many rows of a member are formed at a time.
const panelRows = 64

func newPanels[T Float](n int) *panels[T] {
	return &panels[T]{e: engine.CPU[T](), rows: dense.New[T](min(panelRows, n), n), product: dense.New[T](min(panelRows, n), n)}
}

// place moves the rows to the memory of a device.
func (p *panels[T]) place(e engine.Backend[T], a *engine.Arena[T]) {
	p.e = e
	p.line = a.Alloc(p.rows.Cols)
	for _, m := range []*dense.Matrix[T]{&p.rows, &p.product} {
		m.Data = a.Alloc(len(m.Data))
	}
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

// zero clears y.
func (a member[T]) zero(y dense.Matrix[T]) {
	if y.Stride == y.Cols {
		a.panel.e.Blend(0, nil, 0, nil, y.Data[:y.Rows*y.Cols])
		return
	}
	y.Zero()
}

func (a member[T]) rect(r *rect) dense.Matrix[T] {
	return dense.Wrap(r.rows, r.cols, a.data[r.at:r.at+r.rows*r.cols])
}

func (a member[T]) middle() []T { return a.data[a.diag : a.diag+a.to-a.from] }

// rowPanel returns rows [i, i+rows) in dense form.
func (a member[T]) rowPanel(i, rows int) dense.Matrix[T] {
	p := a.panel.rows.View(0, 0, rows, a.n)
	p.Zero()
	if a.toeplitz {
		for k := range rows {
			row := p.Row(k)
			if a.upper {
				copy(row[i+k:], a.data)
				continue
			}
			for j := range i + k + 1 {
				row[j] = a.data[i+k-j]
			}
		}
		return p
	}
	for k := range a.rects {
		r := &a.rects[k]
		from, to := max(i, r.row), min(i+rows, r.row+r.rows)
		for row := from; row < to; row++ {
			copy(p.Row(row - i)[r.col:], a.rect(r).Row(row-r.row))
		}
	}
	for j := max(i, a.from); j < min(i+rows, a.to); j++ {
		p.Set(j-i, j, a.data[a.diag+j-a.from])
	}
	return p
}

// right sets y to x op(A).
func (a member[T]) right(op dense.Trans, x, y dense.Matrix[T]) {
	if a.toeplitz {
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
	a.zero(y)
	for k := range a.rects {
		r := &a.rects[k]
		from, width, to, height := r.row, r.rows, r.col, r.cols
		if op == dense.Transposed {
			from, width, to, height = to, height, from, width
		}
		a.gemm(dense.NoTrans, op, 1, x.View(0, from, x.Rows, width), a.rect(r), 1, y.View(0, to, y.Rows, height))
	}
	if width := a.to - a.from; a.panel.away() && width > 0 {
		a.panel.e.ScaleCols(a.middle(), engine.One(x.View(0, a.from, x.Rows, width)), 1, engine.One(y.View(0, a.from, y.Rows, width)))
		return
	}
	for i := range x.Rows {
		in, out := x.Row(i)[a.from:a.to], y.Row(i)[a.from:a.to]
		for j, d := range a.middle() {
			out[j] += d * in[j]
		}
	}
}

// left sets y to op(A) x.
func (a member[T]) left(op dense.Trans, x, y dense.Matrix[T]) {
	if a.toeplitz {
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
	a.zero(y)
	for k := range a.rects {
		r := &a.rects[k]
		from, width, to, height := r.col, r.cols, r.row, r.rows
		if op == dense.Transposed {
			from, width, to, height = to, height, from, width
		}
		a.gemm(op, dense.NoTrans, 1, a.rect(r), x.View(from, 0, width, x.Cols), 1, y.View(to, 0, height, y.Cols))
	}
	if height := a.to - a.from; a.panel.away() && height > 0 {
		a.panel.e.ScaleRows(a.middle(), engine.One(x.View(a.from, 0, height, x.Cols)), 1, engine.One(y.View(a.from, 0, height, y.Cols)))
		return
	}
	for j, d := range a.middle() {
		dense.Axpy(d, x.Row(a.from+j), y.Row(a.from+j))
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
		for i := range z.Rows {
			row := z.Row(i)
			for k := range row {
				a.data[k] += c * a.share(k) * dense.Dot(row[:a.n-k], row[k:])
			}
		}
		return
	}
	for k := range a.rects {
		r := &a.rects[k]
		a.addGram(c, dense.Transposed, z.View(0, r.row, z.Rows, r.rows), z.View(0, r.col, z.Rows, r.cols), r)
	}
	if width := a.to - a.from; a.panel.away() && width > 0 {
		part, line := engine.One(z.View(0, a.from, z.Rows, width)), a.panel.line[:width]
		a.panel.e.Blend(0, nil, 0, nil, line)
		a.panel.e.ColDots(part, part, line)
		a.panel.e.Blend(1, a.middle(), c, line, a.middle())
		return
	}
	for i := range z.Rows {
		row := z.Row(i)[a.from:a.to]
		for j, d := range a.middle() {
			a.data[a.diag+j] = d + c*row[j]*row[j]
		}
	}
}

// addRowGram adds c times the projection of z z^T.
func (a member[T]) addRowGram(c T, z dense.Matrix[T]) {
	if a.toeplitz {
		for k := range a.n {
			var sum T
			for i := range a.n - k {
				sum += dense.Dot(z.Row(i), z.Row(i+k))
			}
			a.data[k] += c * a.share(k) * sum
		}
		return
	}
	for k := range a.rects {
		r := &a.rects[k]
		a.addGram(c, dense.NoTrans, z.View(r.row, 0, r.rows, z.Cols), z.View(r.col, 0, r.cols, z.Cols), r)
	}
	if height := a.to - a.from; a.panel.away() && height > 0 {
		part, line := engine.One(z.View(a.from, 0, height, z.Cols)), a.panel.line[:height]
		a.panel.e.RowDots(part, part, line)
		a.panel.e.Blend(1, a.middle(), c, line, a.middle())
		return
	}
	for j := range a.middle() {
		row := z.Row(a.from + j)
		a.data[a.diag+j] += c * dense.Dot(row, row)
	}
}

// share is the weight of an element in the mean of its diagonal, twice for both sides.
func (a member[T]) share(k int) T {
	if k == 0 {
		return 1 / T(a.n)
	}
	return 2 / T(a.n-k)
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
	if a.isWhole() {
		a.addColumnGram(c, b.rect(&b.rects[0]))
		return
	}
	if !a.toeplitz {
		for i := 0; i < b.n; i += panelRows {
			a.addColumnGram(c, b.rowPanel(i, min(panelRows, b.n-i)))
		}
		return
	}
	for k := range a.n { // diagonal k of b^T b sums b_s b_(s-k) over s, n-s times
		var sum T
		for s := k; s < a.n; s++ {
			sum += T(a.n-s) * b.data[s] * b.data[s-k]
		}
		a.data[k] += c * a.share(k) * sum
	}
}

// addProduct sets a to a + c a b.
func (a member[T]) addProduct(c T, b member[T]) {
	if a.toeplitz { // products of polynomials, from the top down
		for k := a.n - 1; k >= 0; k-- {
			var sum T
			for s := range k + 1 {
				sum += a.data[s] * b.data[k-s]
			}
			a.data[k] += c * sum
		}
		return
	}
	for i := 0; i < a.n; i += panelRows {
		rows := min(panelRows, a.n-i)
		y := a.panel.product.View(0, 0, rows, a.n)
		if a.isWhole() {
			own := a.rect(&a.rects[0]).View(i, 0, rows, a.n)
			a.gemm(dense.NoTrans, dense.NoTrans, 1, own, b.rect(&b.rects[0]), 0, y)
			a.panel.e.Blend(1, own.Data, c, y.Data, own.Data)
			continue
		}
		b.right(dense.NoTrans, a.rowPanel(i, rows), y)
		for k := range a.rects {
			r := &a.rects[k]
			for row := max(i, r.row); row < min(i+rows, r.row+r.rows); row++ {
				dense.Axpy(c, y.Row(row - i)[r.col:r.col+r.cols], a.rect(r).Row(row-r.row))
			}
		}
		for j := max(i, a.from); j < min(i+rows, a.to); j++ {
			a.data[a.diag+j-a.from] += c * y.At(j-i, j)
		}
	}
}

// addDiagonal adds c to the diagonal.
func (a member[T]) addDiagonal(c T) {
	if a.toeplitz {
		a.data[0] += c
		return
	}
	for k := range a.rects {
		r := &a.rects[k]
		switch {
		case r.double:
		case a.panel.away():
			m := engine.One(a.rect(r))
			a.panel.e.Combine(c, 1, m, 0, m, m)
		default:
			for i := range r.rows {
				a.data[r.at+i*r.cols+i] += c
			}
		}
	}
	for i := range a.middle() {
		a.data[a.diag+i] += c
	}
}

// meanTrace returns tr(A)/n.
func (a member[T]) meanTrace() float64 {
	if a.toeplitz {
		return float64(a.data[0])
	}
	var sum float64
	for k := range a.rects {
		r := &a.rects[k]
		switch {
		case r.double:
		case a.panel.away():
			line := a.panel.line[:r.rows]
			a.panel.e.Diagonal(engine.One(a.rect(r)), line)
			for _, v := range line {
				sum += float64(v)
			}
		default:
			for i := range r.rows {
				sum += float64(a.data[r.at+i*r.cols+i])
			}
		}
	}
	for _, v := range a.middle() {
		sum += float64(v)
	}
	return sum / float64(a.n)
}

// norms returns the Frobenius norm and the largest absolute value of an element; both are NaN or infinite when an element is.
func (a member[T]) norms() (frobenius, largest float64) {
	if a.panel.away() && !a.toeplitz {
		square, top := a.panel.e.SumSquares(a.data)
		return math.Sqrt(square), top
	}
	var sum float64
	for k, v := range a.data {
		w := 1.0
		if a.toeplitz {
			w = float64(a.n - k)
		}
		sum += w * float64(v) * float64(v)
		largest = max(largest, math.Abs(float64(v)))
	}
	return math.Sqrt(sum), largest
}

// finite says whether all elements are numbers, with a norm whose square can be represented.
func (a member[T]) finite() bool {
	norm, _ := a.norms()
	return norm < math.Sqrt(largestGradient[T]())
}
