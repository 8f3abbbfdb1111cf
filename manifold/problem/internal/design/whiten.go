package design

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold/problem/internal/gram"
)

// whiteningSpread is the ratio of the pivots of a second moment from which on it is whitened twice: rounding leaves the first time up to the square of it.
const whiteningSpread = 1e3

// Whiten replaces the rows x by L^-1 x, whose second moment is near I, and returns the triangular L. Designs and enclosing ellipsoids are equivariant,
// so that the condition of the points matters no more than in this. It fails where the points lie in a subspace.
func Whiten(x dense.Matrix[float64]) (l dense.Matrix[float64], err error) {
	n := x.Cols
	m, z := dense.New[float64](n, n), dense.New[float64](x.Rows, n)
	var parts dense.RowParts
	for {
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/float64(x.Rows), x, x, 0, m)
		f, err := gram.Frame(mat.NewSymDense(n, m.Data), x)
		if err != nil {
			return l, err
		}
		if n == 1 { // a power of two brings no rounding
			_, e := math.Frexp(f.F().At(0, 0))
			m.Set(0, 0, math.Ldexp(1, e))
			dense.Scale(1/m.At(0, 0), x.Data, x.Data)
			return m, nil
		}
		parts.Run(x.Rows, productRows(x.Rows, n), func(_, from, to int) {
			x, z := x.View(from, 0, to-from, n), z.View(from, 0, to-from, n)
			dense.MulLowerRight(dense.Transposed, dense.Of(f.Inverse().RawMatrix()), x, z)
			x.Copy(z)
		})
		again := l.Rows == 0 && pivotSpread(dense.Of(f.F().RawMatrix())) > whiteningSpread
		if l.Rows == 0 {
			l = dense.Of(f.F().RawMatrix()).Clone()
		} else {
			dense.MulLower(dense.NoTrans, l, dense.Of(f.F().RawMatrix()), m)
			l.Copy(m)
		}
		if !again {
			return l, nil
		}
	}
}

// pivotSpread is the ratio of the largest to the smallest diagonal element.
func pivotSpread(l dense.Matrix[float64]) float64 {
	least, most := math.Inf(1), 0.0
	for i := range l.Rows {
		least, most = min(least, l.At(i, i)), max(most, l.At(i, i))
	}
	return most / least
}
