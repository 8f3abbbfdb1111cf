package engine

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// rowTask is an operation on one row after the other of equally shaped batches; a part is a run of rows.
type rowTask[T dense.Float] struct {
	do         interface{ row(t *rowTask[T], i int) }
	x, y, z, w Batch[T]
	s          []T
	beta       T
	causal     bool
	rows, each int // of all, and of a part
}

// RunPart works on the rows of a part.
func (t *rowTask[T]) RunPart(part int) {
	for i := part * t.each; i < min(t.rows, (part+1)*t.each); i++ {
		t.do.row(t, i)
	}
}

// rowWork returns the number of elementary operations of a part.
func rowWork() int { return parallelWork / 8 }

// runRows runs t on all rows of t.x, together when the work of an element times their number is worth it.
func (c *cpu[T]) runRows(t rowTask[T], work int) {
	t.rows = t.x.Count * t.x.Rows
	t.each = max(1, rowWork()/(work*max(1, t.x.Cols)))
	j := c.take()
	j.row = t
	j.parallel.Task = &j.row
	c.run(j, (t.rows+t.each-1)/t.each, t.rows*t.x.Cols*work)
	j.row = rowTask[T]{}
	c.release(j)
}

// ScaleRows implements Rows.
func (c *cpu[T]) ScaleRows(s []T, x Batch[T], beta T, y Batch[T]) {
	x.MustMatch("ScaleRows", &y)
	MustHave("ScaleRows", x.Count*x.Rows, len(s))
	c.runRows(rowTask[T]{do: scaleRow[T]{}, x: x, y: y, s: s, beta: beta}, 1)
}

type scaleRow[T dense.Float] struct{}

func (scaleRow[T]) row(t *rowTask[T], i int) {
	y := t.y.row(i)
	if t.beta == 0 {
		dense.Scale(t.s[i], t.x.row(i), y)
		return
	}
	if t.beta != 1 {
		dense.Scale(t.beta, y, y)
	}
	dense.Axpy(t.s[i], t.x.row(i), y)
}

// ScaleCols implements Rows.
func (c *cpu[T]) ScaleCols(s []T, x Batch[T], beta T, y Batch[T]) {
	x.MustMatch("ScaleCols", &y)
	MustHave("ScaleCols", x.Count*x.Cols, len(s))
	c.runRows(rowTask[T]{do: scaleColumns[T]{}, x: x, y: y, s: s, beta: beta}, 1)
}

type scaleColumns[T dense.Float] struct{}

func (scaleColumns[T]) row(t *rowTask[T], i int) {
	x, y := t.x.row(i), t.y.row(i)
	x, s := x[:len(y)], t.s[i/t.x.Rows*t.x.Cols:][:len(y)]
	if t.beta == 0 {
		dense.Multiply(x, s, y)
		return
	}
	for j, v := range x {
		y[j] = v*s[j] + t.beta*y[j]
	}
}

// ColSums implements Rows.
func (c *cpu[T]) ColSums(x Batch[T], sum []T) {
	MustHave("ColSums", x.Count*x.Cols, len(sum))
	c.runBlocks(blockTask[T]{do: columnSums[T]{}, a: x, s: sum}, x.Count, x.Count*x.Rows*x.Cols)
}

type columnSums[T dense.Float] struct{}

func (columnSums[T]) block(t *blockTask[T], k int) {
	x := t.a.At(k)
	for i := range x.Rows {
		dense.Axpy(1, x.Row(i), t.s[k*x.Cols:(k+1)*x.Cols])
	}
}

// ColDots implements Rows.
func (c *cpu[T]) ColDots(x, y Batch[T], sum []T) {
	x.MustMatch("ColDots", &y)
	MustHave("ColDots", x.Count*x.Cols, len(sum))
	c.runBlocks(blockTask[T]{do: columnDots[T]{}, a: x, b: y, s: sum}, x.Count, x.Count*x.Rows*x.Cols)
}

type columnDots[T dense.Float] struct{}

func (columnDots[T]) block(t *blockTask[T], k int) {
	x, y := t.a.At(k), t.b.At(k)
	sum := t.s[k*x.Cols : (k+1)*x.Cols]
	for i := range x.Rows {
		a, b := x.Row(i)[:len(sum)], y.Row(i)[:len(sum)]
		for j := range sum {
			sum[j] += a[j] * b[j]
		}
	}
}

// RowDots implements Rows.
func (c *cpu[T]) RowDots(x, y Batch[T], dst []T) {
	x.MustMatch("RowDots", &y)
	MustHave("RowDots", x.Count*x.Rows, len(dst))
	c.runRows(rowTask[T]{do: rowDot[T]{}, x: x, y: y, s: dst}, 1)
}

type rowDot[T dense.Float] struct{}

func (rowDot[T]) row(t *rowTask[T], i int) { t.s[i] = dense.Dot(t.x.row(i), t.y.row(i)) }

// SumSquares implements Rows. The squares are added in four interleaved chains, in float64.
func (*cpu[T]) SumSquares(g []T) (sum, largest float64) {
	var s [4]float64
	var top [4]T
	n := len(g) &^ 3
	for i := 0; i < n; i += 4 {
		q := g[i : i+4 : i+4]
		for l, v := range q {
			s[l] += float64(v) * float64(v)
			top[l] = max(top[l], v, -v)
		}
	}
	for _, v := range g[n:] {
		s[0] += float64(v) * float64(v)
		top[0] = max(top[0], v, -v)
	}
	return (s[0] + s[1]) + (s[2] + s[3]), float64(max(top[0], top[1], top[2], top[3]))
}

// softmaxWork is the work of an element of a softmax in elementary operations.
const softmaxWork = 4

// Softmax implements Rows.
func (c *cpu[T]) Softmax(causal bool, x Batch[T], norms []T) {
	if norms != nil {
		MustHave("Softmax", x.Count*x.Rows, len(norms))
	}
	if causal && x.Rows > x.Cols {
		panic(Error("Softmax: a causal row has no column for itself"))
	}
	c.runRows(rowTask[T]{do: softmax[T]{}, x: x, s: norms, causal: causal}, softmaxWork)
}

type softmax[T dense.Float] struct{}

func (softmax[T]) row(t *rowTask[T], i int) {
	row := t.x.row(i)
	if t.causal {
		seen := i%t.x.Rows + 1
		clear(row[seen:])
		row = row[:seen]
	}
	top := row[0]
	for _, v := range row {
		top = max(top, v)
	}
	for j := range row {
		row[j] -= top
	}
	dense.Exp(row, row)
	total := sum(row)
	dense.Scale(1/total, row, row)
	if t.s != nil {
		t.s[i] = top + T(math.Log(float64(total)))
	}
}

// sum adds x up in four interleaved chains.
func sum[T dense.Float](x []T) T {
	var s [4]T
	n := len(x) &^ 3
	for i := 0; i < n; i += 4 {
		for l, v := range x[i : i+4 : i+4] {
			s[l] += v
		}
	}
	for _, v := range x[n:] {
		s[0] += v
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// SoftmaxMap implements Rows.
func (c *cpu[T]) SoftmaxMap(p, d Batch[T]) {
	p.MustMatch("SoftmaxMap", &d)
	c.runRows(rowTask[T]{do: softmaxMap[T]{}, x: p, y: d}, softmaxWork)
}

type softmaxMap[T dense.Float] struct{}

func (softmaxMap[T]) row(t *rowTask[T], i int) {
	p, d := t.x.row(i), t.y.row(i)
	d = d[:len(p)]
	if k := likely(p); k >= 0 {
		lower(d, d[k])
	}
	mean := dense.Dot(p, d)
	for j, v := range p {
		d[j] = v * (d[j] - mean)
	}
}

// likely returns the index of the probability above 1/2, or -1. Derivatives of a softmax do not change with what all of a row have in common; without the value there, nothing
// cancels that rounding of a probability near 1 would leave a part of.
func likely[T dense.Float](p []T) int {
	if dense.Dot(p, p) <= 0.25 {
		return -1
	}
	for k, v := range p {
		if v > 0.5 {
			return k
		}
	}
	return -1
}

// lower subtracts v from all elements.
func lower[T dense.Float](x []T, v T) {
	for j := range x {
		x[j] -= v
	}
}

// SoftmaxMapTangent implements Rows.
func (c *cpu[T]) SoftmaxMapTangent(p, dp, g, dg Batch[T]) {
	p.MustMatch("SoftmaxMapTangent", &dp, &g, &dg)
	c.runRows(rowTask[T]{do: softmaxMapTangent[T]{}, x: p, y: dp, z: g, w: dg}, softmaxWork)
}

type softmaxMapTangent[T dense.Float] struct{}

func (softmaxMapTangent[T]) row(t *rowTask[T], i int) {
	p, dp, g, dg := t.x.row(i), t.y.row(i), t.z.row(i), t.w.row(i)
	if k := likely(p); k >= 0 {
		lower(g, g[k])
		lower(dg, dg[k])
	}
	mean := dense.Dot(p, g)
	dmean := dense.Dot(dp, g) + dense.Dot(p, dg)
	dp, g, dg = dp[:len(p)], g[:len(p)], dg[:len(p)]
	for j, v := range p {
		dg[j] = dp[j]*(g[j]-mean) + v*(dg[j]-dmean)
		g[j] = v * (g[j] - mean)
	}
}
