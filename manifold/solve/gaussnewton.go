package solve

import (
	"fmt"

	"github.com/spdopt/spdopt/manifold"
)

var gaussNewton = Solver{
	Name:  "gauss-newton",
	What:  "Gauss-Newton in a trust region for sums of squares; products with the Jacobian and its adjoint",
	Needs: "a LeastSquares",
	Run:   GaussNewton,
}

// LeastSquares is implemented by objectives |r|^2/2 of a vector of residuals r with the Jacobian J: J v is the derivative of r along the
// tangent vector v, and <J* w, v> in the metric is the sum of w_i (J v)_i, so that the Riemannian gradient is J* r.
type LeastSquares interface {
	Objective
	// Residuals returns the number of residuals.
	Residuals() int
	// JacobianVec writes J v at p to dst, of length Residuals. memo was filled by Evaluate at p with a gradient.
	JacobianVec(dst []float64, p manifold.Point, v []float64, memo Memo) error
	// AdjointVec writes J* w at p to dst. memo was filled by Evaluate at p with a gradient.
	AdjointVec(dst []float64, p manifold.Point, w []float64, memo Memo) error
}

// GaussNewton is Trust with J*J in place of the Hessian, the Riemannian Levenberg-Marquardt idea (Absil, Mahony and Sepulchre, Optimization
// Algorithms on Matrix Manifolds, Princeton 2008, section 8.4.2) with truncated conjugate gradients. It converges quadratically where the residuals vanish at the
// minimizer, linearly where they are small against the curvature, and may be slower than Trust with the exact Hessian where they are not.
// Result.HessianProducts counts products with J*J. A Hessian of the objective is not used.
func GaussNewton(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	l, ok := f.(LeastSquares)
	if !ok {
		return nil, fmt.Errorf("solve: gauss-newton needs an objective that is a LeastSquares, not %T", f)
	}
	r, err := begin("gauss-newton", m, f, start, o)
	if err != nil {
		return nil, err
	}
	r.hess = &normalOperator{l, make([]float64, l.Residuals())}
	return trustRegion(r)
}

// normalOperator is J*J.
type normalOperator struct {
	LeastSquares
	w []float64
}

// HessianVec implements Hessian.
func (n *normalOperator) HessianVec(dst []float64, p manifold.Point, v []float64, memo Memo) error {
	if err := n.JacobianVec(n.w, p, v, memo); err != nil {
		return err
	}
	return n.AdjointVec(dst, p, n.w, memo)
}
