// Package gram centres samples and factors their covariances, which may be singular.
package gram

import (
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
)

// Frame returns the triangular frame of s, a multiple of x^T x. Rounding makes s definite by luck where columns depend on others; pivots as small as that are
// held against the samples seen from the frame, whose columns are equally long unless a pivot is rounding alone.
func Frame(s *mat.SymDense, x dense.Matrix[float64]) (*manifold.Frame, error) {
	f, err := manifold.NewFrame(s)
	if err != nil || !smallPivots(f, s) {
		return f, err
	}
	z := dense.New[float64](x.Rows, x.Cols)
	dense.MulLowerRight(dense.Transposed, dense.Of(f.Inverse().RawMatrix()), x, z)
	squares := make([]float64, x.Cols)
	for i := range z.Rows {
		for j, v := range z.Row(i) {
			squares[j] += v * v
		}
	}
	if !(slices.Min(squares) > 0.5*slices.Max(squares)) {
		return nil, singular(s)
	}
	return f, nil
}

// roundingReach is the share of a diagonal entry above which a pivot is no rounding, amplifiedReach that where the smallest pivot before it is all of its diagonal
// entry: a pivot of a smaller share amplifies rounding by as much.
const roundingReach, amplifiedReach = 1e-9, 1e-12

func smallPivots(f *manifold.Frame, s *mat.SymDense) bool {
	smallest := 1.0
	for i := range f.Dim() {
		p := f.F().At(i, i)
		share := p * p / s.At(i, i)
		if share <= max(roundingReach, amplifiedReach/smallest) {
			return true
		}
		smallest = min(smallest, share)
	}
	return false
}

func singular(s *mat.SymDense) error {
	n := s.SymmetricDim()
	a, w := dense.New[float64](n, n), make([]float64, n)
	for i := range n {
		for j := range n {
			a.Set(i, j, s.At(i, j))
		}
	}
	if !eigen.SymValues(a, w) {
		return &manifold.PointError{What: "singular to rounding"}
	}
	return &manifold.PointError{What: "singular to rounding", Min: w[0], Max: w[n-1]}
}

// Centre subtracts the mean of the rows of x, of which there is one at least, from each of them, and returns it. A column of one number becomes zero, not what
// rounding leaves of its mean.
func Centre(x dense.Matrix[float64]) (mean []float64) {
	first := slices.Clone(x.Row(0))
	mean = make([]float64, x.Cols)
	for i := range x.Rows {
		dense.Axpy(-1, first, x.Row(i))
		dense.Axpy(1/float64(x.Rows), x.Row(i), mean)
	}
	for i := range x.Rows {
		dense.Axpy(-1, mean, x.Row(i))
	}
	dense.Axpy(1, first, mean)
	return mean
}
