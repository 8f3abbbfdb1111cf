package manifold

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Bounds of the eigenvalues of a step up to which retractTriangular takes the series of exp(eta) to second and to fourth order. The errors in an eigenvalue
// there are 4e-5 and 3e-4.
const (
	quadraticStep = 1.0 / 16
	quarticStep   = 1.0 / 2
)

// retractTriangular sets F+^-1 = C^-1 F^-1, C C^T = exp(eta) up to the order of the step.
func retractTriangular(dst, p *Frame, eta dense.Matrix[float64]) error {
	c := dst.scratch(2)[0]
	if !dst.exponential(eta) || dense.Cholesky(c) >= 0 {
		return &PointError{What: "the step left the cone: the approximation to exp(eta) is not positive definite in floating point"}
	}
	inv := dst.inverse()
	inv.Copy(p.inverse())
	dst.lower = p.lower
	if p.lower {
		dense.SolveLowerTriangle(c, inv)
	} else {
		dense.SolveLower(dense.NoTrans, c, inv)
	}
	dst.logDet = p.logDet + 2*sumLogDiagonal(c)
	return nil
}

// exponential sets the lower triangle of the first scratch matrix to an approximation of exp(eta); F^-1 is scratch too. It returns false where that of a long
// step is not positive definite.
func (p *Frame) exponential(eta dense.Matrix[float64]) bool {
	w := p.scratch(2)
	c, square := w[0], w[1]
	if dense.Dot(eta.Data, eta.Data) <= quadraticStep*quadraticStep {
		dense.GemmLower(dense.NoTrans, dense.NoTrans, 0.5, eta, eta, 0, c)
		dense.Axpy(1, eta.Data, c.Data)
		addIdentity(c)
		return true
	}
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 0.5, eta, eta, 0, square)
	dense.Mirror(square)
	largest := math.Sqrt(2 * math.Sqrt(dense.Dot(square.Data, square.Data))) // at least the absolute value of every eigenvalue
	if largest > quarticStep {
		return rationalSquare(c, eta, square, p.inverse())
	}
	dense.Blend(1, eta.Data, 1, square.Data, c.Data)
	addIdentity(c)
	if largest > quadraticStep { // + eta^3/6 + eta^4/24
		rest := p.inverse()
		dense.Blend(1.0/3, eta.Data, 1.0/6, square.Data, rest.Data)
		dense.GemmLower(dense.NoTrans, dense.NoTrans, 1, square, rest, 1, c)
	}
	return true
}

// rationalSquare sets the lower triangle of c to the square of the rational approximant of exp(eta/2) that retractRational takes, and returns false if its
// denominator is not positive definite. half is eta^2/2 and overwritten.
func rationalSquare(c, eta, half, square dense.Matrix[float64]) bool {
	den := half
	dense.Scale(1.0/24, half.Data, half.Data)
	addIdentity(half)
	dense.Blend(1, half.Data, 0.25, eta.Data, c.Data)
	dense.Axpy(-0.25, eta.Data, den.Data)
	if dense.Cholesky(den) >= 0 {
		return false
	}
	dense.SolveLower(dense.NoTrans, den, c)
	dense.SolveLowerHalf(den, c)
	dense.MirrorLower(c)
	dense.GemmLower(dense.NoTrans, dense.Transposed, 1, c, c, 0, square)
	c.Copy(square)
	return true
}
