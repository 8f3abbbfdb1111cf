package eigen

import (
	"errors"
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
)

// ErrNotFinite is returned for matrices that hold NaN or Inf.
var ErrNotFinite = errors.New("eigen: the matrix holds NaN or Inf")

// PivotError says that a matrix is not positive definite: Index is the order of the leading block up to which it is.
type PivotError struct{ Index int }

// Error returns the message.
func (e PivotError) Error() string {
	return fmt.Sprintf("eigen: not positive definite: pivot %d of the Cholesky factor is not positive", e.Index)
}

// GeneralizedValues writes the eigenvalues, ascending, of the pencil a x = lambda b x to w: those of L^-1 a L^-T, b = L L^T. a is symmetric (its
// upper triangle is read), b symmetric positive definite (its lower triangle is read); a is overwritten with scratch, b with L. The error is
// a PivotError or ErrNotFinite. The eigenvalues are exact for matrices within a few units of rounding times cond(b) of the given ones.
// 11/3 n^3 flops.
func (s *Solver) GeneralizedValues(a, b dense.Matrix[float64], w []float64) error {
	if b.Rows != a.Rows || b.Cols != a.Rows {
		panic(dense.Error("eigen: the matrices of the pencil differ in size"))
	}
	if pivot := dense.Cholesky(b); pivot >= 0 {
		return PivotError{pivot}
	}
	dense.Mirror(a)
	dense.SolveLower(dense.NoTrans, b, a)
	dense.SolveLowerRight(dense.Transposed, b, a)
	if !s.Values(a, w) {
		return ErrNotFinite
	}
	return nil
}
