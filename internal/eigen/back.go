package eigen

import "github.com/spdopt/spdopt/internal/dense"

// backRows is the number of reflectors that one block of the back-transformation joins: wide blocks make long products, but cost more than
// they bring in a small matrix.
func backRows(n int) int {
	switch {
	case n < 256:
		return 8
	case n < 400:
		return 16
	}
	return 64
}

// backTransform is the workspace of the product with the reflectors of a reduction.
type backTransform struct {
	v []float64 // rows x n: the block of reflectors with its zeros and ones
	g []float64 // rows x rows: v v^T
	t []float64 // the triangular factor, transposed
	w []float64
	x []float64 // n x rows
	y []float64
}

func (b *backTransform) grow(n, rows int) {
	b.v = grow(b.v, rows*n)
	b.g, b.t, b.w = grow(b.g, rows*rows), grow(b.t, rows*rows), grow(b.w, rows*rows)
	b.x, b.y = grow(b.x, rows*n), grow(b.y, rows*n)
}

// apply overwrites vt, whose rows are eigenvectors of the tridiagonal matrix, with vt (H_0 ... H_{n-2})^T: rows are then eigenvectors of the
// matrix that reduce took. a and tau are as reduce left them. Blocks of reflectors go in compact WY form (Schreiber and Van Loan 1989).
// 2 n^3 flops.
func (b *backTransform) apply(a dense.Matrix[float64], tau []float64, vt dense.Matrix[float64]) {
	n := a.Rows
	last := n - 1 // number of reflectors
	if last <= 0 {
		return
	}
	rows := backRows(n)
	b.grow(n, rows)
	for j0 := (last - 1) / rows * rows; j0 >= 0; j0 -= rows {
		k, m := min(rows, last-j0), n-j0-1
		v, t := dense.Wrap(k, m, b.v), dense.Wrap(k, k, b.t)
		b.block(a, tau, j0, v, t)
		part := vt.View(0, j0+1, vt.Rows, m)
		x, y := dense.Wrap(vt.Rows, k, b.x), dense.Wrap(vt.Rows, k, b.y)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, part, v, 0, x)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, t, 0, y)
		dense.Gemm(dense.NoTrans, dense.NoTrans, -1, y, v, 1, part)
	}
}

// block sets the rows of v to the reflectors of a from j on, and t to the transpose of their triangular factor.
func (b *backTransform) block(a dense.Matrix[float64], tau []float64, j int, v, t dense.Matrix[float64]) {
	for i := range v.Rows {
		row := v.Row(i)
		clear(row[:i])
		copy(row[i:], a.Row(j + i)[j+i+1:])
	}
	b.factor(v, tau[j:j+v.Rows], t)
}

// factor sets t to the transpose of the upper triangular T of H_0 ... H_{k-1} = I - v^T T v.
func (b *backTransform) factor(v dense.Matrix[float64], tau []float64, t dense.Matrix[float64]) {
	k := v.Rows
	g := dense.Wrap(k, k, b.g)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, v, v, 0, g)
	b.triangle(g, tau, t)
}

// triangle is factor for the products g = v v^T: of two halves of the reflectors, the block that couples them is -T2^T g12^T T1^T.
func (b *backTransform) triangle(g dense.Matrix[float64], tau []float64, t dense.Matrix[float64]) {
	const base = 8
	k := len(tau)
	if k > base {
		h := (k/2 + base - 1) / base * base
		t1, t2, t21 := t.View(0, 0, h, h), t.View(h, h, k-h, k-h), t.View(h, 0, k-h, h)
		b.triangle(g.View(0, 0, h, h), tau[:h], t1)
		b.triangle(g.View(h, h, k-h, k-h), tau[h:], t2)
		w := dense.Wrap(k-h, h, b.w)
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, g.View(0, h, h, k-h), t1, 0, w)
		dense.Gemm(dense.NoTrans, dense.NoTrans, -1, t2, w, 0, t21)
		t.View(0, h, h, k-h).Zero()
		return
	}
	for i := range k {
		row := t.Row(i)
		clear(row)
		for l := range i {
			addScaled(-tau[i]*g.At(l, i), t.Row(l)[:l+1], row)
		}
		row[i] = tau[i]
	}
}

// addScaled is Axpy without the call, for a few elements.
func addScaled(alpha float64, x, y []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += alpha * v
	}
}
