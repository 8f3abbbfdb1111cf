package nnopt

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/kronecker"
)

// kfacGround is where KFAC computes: statistics in the precision of the network, factors and inverses in float64.
type kfacGround[T Float] struct {
	e       engine.Backend[T]
	arena   *engine.Arena[T]
	wide    wideGround
	figures *engine.Reckoning[float64] // of the whole model
	rows    []float64                  // sums of rows
	ones    []float64
	flat    [2][]float64
	x       []T // rows with a number appended, on a device
}

func newKFACGround[T Float]() kfacGround[T] {
	return kfacGround[T]{e: engine.CPU[T](), wide: wideGround{engine.CPU[float64](), nil}}
}

// away says whether it is a device.
func (g *kfacGround[T]) away() bool { return g.e != engine.CPU[T]() }

// grown returns n elements of a buffer, where the network's numbers are.
func (g *kfacGround[T]) grown(buffer *[]T, n int) []T { return grown(g.arena, buffer, n) }

// grown returns n elements of a buffer, from the arena where it has fewer.
func grown[T Float](a *engine.Arena[T], buffer *[]T, n int) []T {
	if cap(*buffer) < n {
		*buffer = a.Alloc(n)
	}
	return (*buffer)[:n]
}

// collapse sets dst to the sums of each reps neighbouring rows of x.
func (g *kfacGround[T]) collapse(x dense.Matrix[T], reps int, dst dense.Matrix[T]) {
	if g.away() {
		g.e.Reduce(engine.Pool{Weight: 1}, x, nil, dst)
		return
	}
	kronecker.Collapse(x, reps, dst)
}

// averaged returns the means of the equally wide groups of columns of x, in dst.
func (g *kfacGround[T]) averaged(x, dst dense.Matrix[T]) dense.Matrix[T] {
	if !g.away() {
		kronecker.AverageGroups(x, dst)
		return dst
	}
	groups := x.Cols / dst.Cols
	for k := range groups {
		part := engine.One(x.View(0, k*dst.Cols, x.Rows, dst.Cols))
		packed := engine.One(dense.Wrap(dst.Rows, dst.Cols, g.grown(&g.x, dst.Rows*dst.Cols)))
		g.e.Copy(part, packed)
		keep := T(1)
		if k == 0 {
			keep = 0
		}
		g.e.Blend(keep, dst.Data, 1/T(groups), packed.Data, dst.Data)
	}
	return dst
}

// gram sets sum to that of x1 x1^T over the rows x of a matrix, x1 being x or, where sum has a row more, x with one appended. On a device.
func (g *kfacGround[T]) gram(x dense.Matrix[T], one float64, sum dense.Matrix[T]) {
	if n := sum.Rows; n > x.Cols {
		bordered := dense.Wrap(x.Rows, n, g.grown(&g.x, x.Rows*n))
		g.e.Copy(engine.One(x), engine.One(bordered.View(0, 0, x.Rows, x.Cols)))
		g.e.AddRow([]T{T(one)}, 0, engine.One(bordered.View(0, n-1, x.Rows, 1)))
		x = bordered
	}
	engine.Fast(g.e).GemmSymmetric(dense.Transposed, dense.NoTrans, 1, engine.One(x), engine.One(x), 0, engine.One(sum))
}

// meanTrace finds tr(M)/n of each matrix.
func (g *kfacGround[T]) meanTrace(q *engine.Reckoning[float64], m engine.Batch[float64]) engine.Figure {
	diagonal := grown(g.wide.arena, &g.rows, m.Count*m.Rows)
	g.wide.e.Diagonal(m, diagonal)
	return q.Over(q.Tally(diagonal).Sum, q.Number(float64(m.Rows)))
}

// dot finds the inner product of each matrix of x with that of y.
func (g *kfacGround[T]) dot(q *engine.Reckoning[float64], x, y engine.Batch[float64]) engine.Figure {
	rows := grown(g.wide.arena, &g.rows, x.Count*x.Rows)
	g.wide.e.RowDots(x, y, rows)
	return q.Tally(rows).Sum
}

// flatDot finds the inner product of two vectors, in float64.
func (g *kfacGround[T]) flatDot(x, y []T) engine.Figure {
	const width = 1024
	n := len(x)
	for i, v := range [][]T{x, y} {
		toDouble(g.wide.e, v, grown(g.wide.arena, &g.flat[i], n))
	}
	sum := g.figures.Number(0)
	whole := n / width * width
	for _, part := range [][3]int{{0, n / width, width}, {whole, 1, n - whole}} {
		if rows, cols := part[1], part[2]; rows > 0 && cols > 0 {
			sum = g.figures.Plus(sum, g.dot(g.figures, engine.One(dense.Wrap(rows, cols, g.flat[0][part[0]:])), engine.One(dense.Wrap(rows, cols, g.flat[1][part[0]:]))))
		}
	}
	return sum
}

// sandwich sets y to op(Q0) x op(Q1)^T through t, where y may be x.
func (g *kfacGround[T]) sandwich(op dense.Trans, q [2]engine.Batch[float64], x, t, y engine.Batch[float64]) {
	g.wide.e.Gemm(op, dense.NoTrans, 1, q[0], x, 0, t)
	g.wide.e.Gemm(dense.NoTrans, !op, 1, t, q[1], 0, y)
}

// reserveOnes makes so many ones.
func (g *kfacGround[T]) reserveOnes(n int) {
	if len(g.ones) >= n {
		return
	}
	g.ones = g.wide.arena.Alloc(n)
	for i := range g.ones {
		g.ones[i] = 1
	}
}

// divide divides y_ij by l_i m_j + damping; t is scratch.
func (g *kfacGround[T]) divide(values [2][]float64, damping float64, t, y dense.Matrix[float64]) {
	g.reserveOnes(y.Rows * y.Cols)
	all := engine.One(dense.Wrap(y.Rows, y.Cols, g.ones))
	g.wide.e.ScaleRows(values[0], all, 0, engine.One(t))
	g.wide.e.ScaleCols(values[1], engine.One(t), 0, engine.One(t))
	g.wide.e.Multiply(t.Data, t.Data, 0, t.Data)
	g.wide.e.DivideRoot(t.Data, 1, damping, y.Data)
}
