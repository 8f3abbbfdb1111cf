package net

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/nnopt"
)

// Float is the set of element types.
type Float = nnopt.Float

// Matrix is a row-major matrix, see nnopt.Matrix.
type Matrix[T Float] = nnopt.Matrix[T]

// Error is what a layer panics with when it is built or fed with sizes that do not fit.
type Error string

// Error returns the message.
func (e Error) Error() string { return "net: " + string(e) }

// Guard calls f and returns the panic of a pass whose sizes do not fit the network, or each other, as an error. Other panics go on.
func Guard(f func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case Error:
			err = p
		case dense.Error:
			err = p
		case engine.Error:
			err = p
		default:
			panic(p)
		}
	}()
	f()
	return nil
}

func fail(format string, args ...any) { panic(Error(fmt.Sprintf(format, args...))) }

// Dual is a matrix V and its derivative D along the direction of the pass; without D the derivative is zero. Both have the same shape and stride.
type Dual[T Float] struct{ V, D Matrix[T] }

func (x Dual[T]) dual() bool { return x.D.Data != nil }

// view returns a block of x that shares its memory.
func (x Dual[T]) view(i, j, rows, cols int) Dual[T] {
	v := Dual[T]{V: x.V.View(i, j, rows, cols)}
	if x.dual() {
		v.D = x.D.View(i, j, rows, cols)
	}
	return v
}

// reshaped views the contiguous x with other numbers of rows and columns.
func (x Dual[T]) reshaped(rows, cols int) Dual[T] {
	if x.V.Stride != x.V.Cols {
		fail("only contiguous matrices can be reshaped")
	}
	v := Dual[T]{V: dense.Wrap(rows, cols, x.V.Data)}
	if x.dual() {
		v.D = dense.Wrap(rows, cols, x.D.Data)
	}
	return v
}

// buffer is memory of a layer that grows when it must.
type buffer[T Float] struct{ v, d []T }

// take returns a rows x cols matrix with unspecified content, with D if the pass carries tangents.
func (b *buffer[T]) take(p *Pass[T], rows, cols int) Dual[T] {
	n := rows * cols
	b.v = p.grown(b.v, n)
	x := Dual[T]{V: dense.Wrap(rows, cols, b.v)}
	if p.Tangent {
		b.d = p.grown(b.d, n)
		x.D = dense.Wrap(rows, cols, b.d)
	}
	return x
}

func grown[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

// gemm sets c = alpha op(a) op(b) + beta c, and c.D by the product rule if c has one.
func gemm[T Float](p *Pass[T], ta, tb dense.Trans, alpha T, a, b Dual[T], beta T, c Dual[T]) {
	e := p.products()
	e.Gemm(ta, tb, alpha, engine.One(a.V), engine.One(b.V), beta, engine.One(c.V))
	if !c.dual() {
		return
	}
	if a.dual() {
		e.Gemm(ta, tb, alpha, engine.One(a.D), engine.One(b.V), beta, engine.One(c.D))
		beta = 1
	}
	if b.dual() {
		e.Gemm(ta, tb, alpha, engine.One(a.V), engine.One(b.D), beta, engine.One(c.D))
		beta = 1
	}
	if beta == 0 {
		zero(p, c.D)
	}
}

// linear applies a linear map of matrices to x and to its derivative.
func linear[T Float](p *Pass[T], x, y Dual[T], f func(x, y Matrix[T])) {
	f(x.V, y.V)
	if !y.dual() {
		return
	}
	if x.dual() {
		f(x.D, y.D)
	} else {
		zero(p, y.D)
	}
}

// addRow adds the single row of b to every row of keep y.
func addRow[T Float](p *Pass[T], b Dual[T], keep T, y Dual[T]) {
	e := p.engine()
	e.AddRow(b.V.Data, keep, engine.One(y.V))
	if y.dual() {
		e.AddRow(b.D.Data, keep, engine.One(y.D))
	}
}

// addColumnSums adds the sums of the columns of g to the single row of b.
func addColumnSums[T Float](p *Pass[T], g, b Dual[T]) {
	e := p.engine()
	e.ColSums(engine.One(g.V), b.V.Data)
	if b.dual() && g.dual() {
		e.ColSums(engine.One(g.D), b.D.Data)
	}
}

// add sets y = a + b.
func add[T Float](p *Pass[T], a, b, y Dual[T]) {
	sum(p, a.V, b.V, y.V)
	if !y.dual() {
		return
	}
	switch {
	case a.dual() && b.dual():
		sum(p, a.D, b.D, y.D)
	case a.dual():
		p.engine().Copy(engine.One(a.D), engine.One(y.D))
	case b.dual():
		p.engine().Copy(engine.One(b.D), engine.One(y.D))
	default:
		zero(p, y.D)
	}
}

// zero clears y.
func zero[T Float](p *Pass[T], y Matrix[T]) {
	e := p.engine()
	if y.Stride == y.Cols {
		e.Blend(0, nil, 0, nil, y.Data[:y.Rows*y.Cols])
		return
	}
	for i := range y.Rows {
		e.Blend(0, nil, 0, nil, y.Row(i))
	}
}

func sum[T Float](p *Pass[T], a, b, y Matrix[T]) {
	e, n := p.engine(), y.Rows*y.Cols
	if a.Stride == a.Cols && b.Stride == b.Cols && y.Stride == y.Cols {
		e.Blend(1, a.Data[:n], 1, b.Data[:n], y.Data[:n])
		return
	}
	for i := range y.Rows {
		e.Blend(1, a.Row(i), 1, b.Row(i), y.Row(i))
	}
}
