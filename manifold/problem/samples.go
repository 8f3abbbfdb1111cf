package problem

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// lender lends the matrices that a problem works in, until recycle; their contents are unspecified.
type lender struct{ lent [][]float64 }

func (l *lender) matrix(rows, cols int) dense.Matrix[float64] {
	m := dense.RecycledMatrix(rows, cols)
	l.lent = append(l.lent, m.Data)
	return m
}

// vector is a matrix of one row.
func (l *lender) vector(n int) []float64 { return l.matrix(1, n).Data }

// single is matrix in single precision.
func (l *lender) single(rows, cols int) dense.Matrix[float32] {
	return dense.Wrap(rows, cols, dense.Singles(l.matrix(1, (rows*cols+1)/2).Data)[:rows*cols])
}

// pencil returns a pencil of the size of s and w that works in them.
func (l *lender) pencil(s, w dense.Matrix[float64]) *pencil {
	return &pencil{t: l.matrix(s.Rows, s.Rows), s: s, w: w, mu: make([]float64, s.Rows), lender: l}
}

// recycle implements recycler.
func (l *lender) recycle() {
	dense.Recycle(l.lent...)
	l.lent = nil
}

// whiten sets the rows of z to F^-1 x for the rows x: one product with the samples, half of one if F is lower triangular.
func whiten(z, x dense.Matrix[float64], f *manifold.Frame) {
	if inv := view(f.Inverse()); f.Lower() {
		dense.MulLowerRight(dense.Transposed, inv, x, z)
	} else {
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, x, inv, 0, z)
	}
}

// gramRows is the number of rows that gramUpper takes at a time, from caches, where the whole product has less than gramShared operations and so runs on one
// processor in any case.
const (
	gramRows   = 128
	gramShared = 1e8
)

// gramUpper sets the upper triangle of p to alpha a' b + beta p, which is known to be symmetric: half a product.
func gramUpper(alpha float64, a, b dense.Matrix[float64], beta float64, p dense.Matrix[float64]) {
	rows := a.Rows
	if float64(rows)*float64(a.Cols*a.Cols) < gramShared {
		rows = gramRows
	}
	for i := 0; i < a.Rows; i += rows {
		h := min(rows, a.Rows-i)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, alpha, a.View(i, 0, h, a.Cols), b.View(i, 0, h, b.Cols), beta, p)
		beta = 1
	}
}

// halfForms sets the rows of y such that z'y = z' eta z/2 for the rows z, from the lower triangle of eta: half a product. work is scratch.
func halfForms(y, z, eta, work dense.Matrix[float64]) {
	work.Copy(eta)
	for i := range work.Rows {
		work.Set(i, i, work.At(i, i)/2)
	}
	dense.MulLowerRight(dense.NoTrans, work, z, y)
}
