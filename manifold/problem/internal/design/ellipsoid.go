package design

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// Ellipsoid returns the center L c and the triangular T of the ellipsoid |T (L x - L c)| <= 1 for the whitened points x: with c = sum u x it is
// (T L)' (T L) = (n (sum u x x' - c c'))^-1, no larger than any that contains all points, over farthest, so that it contains them to rounding.
func (s *Design) Ellipsoid(l, x dense.Matrix[float64]) (center []float64, t dense.Matrix[float64], farthest float64, err error) {
	n, m := x.Cols, s.Moment()
	c, scatter := m.Row(n)[:n], m.View(0, 0, n, n).Clone()
	dense.Ger(-1, c, c, scatter)
	dense.Scale(float64(n), scatter.Data, scatter.Data)
	f, err := manifold.NewFrame(mat.NewSymDense(n, scatter.Data))
	if err != nil {
		return nil, t, 0, err
	}
	farthest = s.farthest(dense.Of(f.Inverse().RawMatrix()), x, c)
	t = dense.New[float64](n, n)
	dense.MulLower(dense.NoTrans, l, dense.Of(f.F().RawMatrix()), t)
	dense.Scale(math.Sqrt(farthest), t.Data, t.Data)
	dense.InvertLower(t)
	center = make([]float64, n)
	dense.Gemv(dense.NoTrans, 1, l, c, 0, center)
	return center, t, farthest, nil
}

// farthest returns the largest |L (x - c)|^2 of the rows x.
func (s *Design) farthest(l, x dense.Matrix[float64], c []float64) float64 {
	n := x.Cols
	moved, z, lengths := dense.Wrap(x.Rows, n, s.rest.Data), dense.Wrap(x.Rows, n, s.z), s.p[0]
	s.parts.Run(x.Rows, productRows(x.Rows, n), func(_, from, to int) {
		for i := from; i < to; i++ {
			dense.Blend(1, x.Row(i), -1, c, moved.Row(i))
		}
		z := z.View(from, 0, to-from, n)
		dense.MulLowerRight(dense.Transposed, l, moved.View(from, 0, to-from, n), z)
		dense.RowDots(z, z, lengths[from:to])
	})
	return slices.Max(lengths)
}
