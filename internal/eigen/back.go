package eigen

import "github.com/spdopt/spdopt/internal/dense"

// backRows is the number of reflectors that one block of the back-transformation joins.
const backRows = 64

// backTransform is the workspace of the product with the reflectors of a reduction.
type backTransform struct {
	v []float64 // backRows x n: the block with its zeros and ones
	g []float64 // backRows x backRows: v v^T
	t []float64 // the triangular factor, transposed
	x []float64 // n x backRows
	y []float64
}

func (b *backTransform) grow(n int) {
	b.v = grow(b.v, backRows*n)
	b.g, b.t = grow(b.g, backRows*backRows), grow(b.t, backRows*backRows)
	b.x, b.y = grow(b.x, backRows*n), grow(b.y, backRows*n)
}

// apply overwrites vt, whose rows are eigenvectors of the tridiagonal matrix, with vt (H_0 ... H_{n-2})^T: rows are then eigenvectors of the
// matrix that reduce took. a and tau are as reduce left them. Blocks of reflectors go in compact WY form (Schreiber and Van Loan 1989).
// 2 n^3 flops.
func (b *backTransform) apply(a dense.Matrix[float64], tau []float64, vt dense.Matrix[float64]) {
	n := a.Rows
	b.grow(n)
	last := n - 1 // number of reflectors
	for j0 := (last - 1) / backRows * backRows; j0 >= 0; j0 -= backRows {
		k, m := min(backRows, last-j0), n-j0-1
		v, t := dense.Wrap(k, m, b.v), dense.Wrap(k, k, b.t)
		for i := range k {
			row := v.Row(i)
			clear(row[:i])
			copy(row[i:], a.Row(j0 + i)[j0+i+1:])
		}
		b.factor(v, tau[j0:j0+k], t)
		part := vt.View(0, j0+1, vt.Rows, m)
		x, y := dense.Wrap(vt.Rows, k, b.x), dense.Wrap(vt.Rows, k, b.y)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, part, v, 0, x)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, t, 0, y)
		dense.Gemm(dense.NoTrans, dense.NoTrans, -1, y, v, 1, part)
	}
}

// factor sets t to the transpose of the upper triangular T of H_0 ... H_{k-1} = I - v^T T v.
func (b *backTransform) factor(v dense.Matrix[float64], tau []float64, t dense.Matrix[float64]) {
	k := v.Rows
	g := dense.Wrap(k, k, b.g)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, v, v, 0, g)
	t.Zero()
	for i := range k {
		row := t.Row(i)
		for l := range i {
			addScaled(-tau[i]*g.At(l, i), t.Row(l)[:l+1], row[:l+1])
		}
		row[i] = tau[i]
	}
}
