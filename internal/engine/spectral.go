package engine

import "github.com/spdopt/spdopt/internal/dense"

// BoundedAngle implements Spectral.
func (c *cpu[T]) BoundedAngle(s, r, x []T, t, n Batch[T]) {
	t.MustMatch("BoundedAngle", &n)
	MustHave("BoundedAngle", n.Count*n.Rows, len(s), len(r), len(x))
	c.runBlocks(blockTask[T]{do: boundedAngle[T]{}, s: s, r: r, x: x, a: t, c: n}, n.Count, n.Count*n.Rows*n.Rows)
}

type boundedAngle[T dense.Float] struct{}

func (boundedAngle[T]) block(t *blockTask[T], k int) {
	m := t.c.Rows
	from, end := k*m, (k+1)*m
	dense.BoundedAngle(t.s[from:end], t.r[from:end], t.x[from:end], t.a.At(k), t.c.At(k))
}

// FirstOrderAngle implements Spectral.
func (c *cpu[T]) FirstOrderAngle(s, r []T, t, n Batch[T]) {
	t.MustMatch("FirstOrderAngle", &n)
	MustHave("FirstOrderAngle", n.Count*n.Rows, len(s), len(r))
	c.runBlocks(blockTask[T]{do: firstOrderAngle[T]{}, s: s, r: r, a: t, c: n}, n.Count, n.Count*n.Rows*n.Rows)
}

type firstOrderAngle[T dense.Float] struct{}

func (firstOrderAngle[T]) block(t *blockTask[T], k int) {
	m := t.c.Rows
	from, end := k*m, (k+1)*m
	dense.FirstOrderAngle(t.s[from:end], t.r[from:end], t.a.At(k), t.c.At(k))
}

// NormBound implements Spectral.
func (c *cpu[T]) NormBound(n Batch[T], bounds []float64) {
	MustHave("NormBound", n.Count, len(bounds))
	c.runBlocks(blockTask[T]{do: normBound[T]{}, a: n, bounds: bounds}, n.Count, n.Count*n.Rows*n.Rows)
}

type normBound[T dense.Float] struct{}

func (normBound[T]) block(t *blockTask[T], k int) { t.bounds[k] = dense.NormBound(t.a.At(k)) }

// NormEstimate implements Spectral.
func (c *cpu[T]) NormEstimate(n Batch[T], est []float64) {
	MustHave("NormEstimate", n.Rows, n.Cols)
	MustHave("NormEstimate", n.Count, len(est))
	c.runBlocks(blockTask[T]{do: normEstimate[T]{}, a: n, bounds: est}, n.Count, n.Count*n.Rows*n.Rows)
}

type normEstimate[T dense.Float] struct{}

func (normEstimate[T]) block(t *blockTask[T], k int) {
	work, loan := dense.Borrow[T](2 * t.a.Rows)
	t.bounds[k] = dense.NormEstimate(t.a.At(k), work)
	loan.Return()
}

// Cayley implements Spectral.
func (c *cpu[T]) Cayley(n Batch[T], terms int, q Batch[T]) {
	n.MustMatch("Cayley", &q)
	c.runBlocks(blockTask[T]{do: cayley[T]{}, a: n, c: q, terms: terms}, n.Count, n.Count*n.Rows*n.Rows*n.Rows/8)
}

type cayley[T dense.Float] struct{}

func (cayley[T]) block(t *blockTask[T], k int) {
	n, q := t.a.At(k), t.c.At(k)
	work, loan := dense.Borrow[T](dense.CayleyWork(n.Rows))
	if t.terms > 0 {
		dense.CayleyTruncated(n, t.terms, q, work)
	} else {
		dense.CayleyInverse(n, q, work)
		for i := range q.Rows {
			row := q.Row(i)
			dense.Scale(2, row, row)
			row[i]--
		}
	}
	loan.Return()
}

// RotatedDiagonal implements Spectral.
func (c *cpu[T]) RotatedDiagonal(q, m Batch[T], d []T) {
	q.MustMatch("RotatedDiagonal", &m)
	MustHave("RotatedDiagonal", q.Count*q.Cols, len(d))
	c.runBlocks(blockTask[T]{do: rotatedDiagonal[T]{}, a: q, b: m, s: d}, q.Count, q.Count*q.Rows*q.Rows*q.Rows/16)
}

type rotatedDiagonal[T dense.Float] struct{}

func (rotatedDiagonal[T]) block(t *blockTask[T], k int) {
	n := t.a.Rows
	work, loan := dense.Borrow[T](n * n)
	dense.RotatedDiagonal(t.a.At(k), t.b.At(k), t.s[k*n:(k+1)*n], work)
	loan.Return()
}
