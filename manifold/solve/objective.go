package solve

import (
	"fmt"

	"github.com/spdopt/spdopt/manifold"
)

// Memo is what an Objective remembers about one point (factors, eigenvalues) so that the Hessian product at that point need not compute it
// again. Only the Objective that made it looks inside.
type Memo any

// Objective is the function to minimize. Evaluate returns the cost at p. If grad is not nil it writes the Riemannian gradient at p, in the
// coordinates of the manifold; the slice is zero or holds an earlier gradient, and is the solver's own: keep copies only. memo is nil, or came from NewMemo of the same Objective and is to be filled for p. A point outside the domain
// is an error, or a cost of +Inf; a line search answers both with a shorter step.
type Objective interface {
	Evaluate(p manifold.Point, grad []float64, memo Memo) (float64, error)
}

// StartError says that the first point of a run cannot be used.
type StartError struct {
	Cost, GradientNorm float64 // of which one is not finite
}

// Error states the numbers.
func (e *StartError) Error() string {
	return fmt.Sprintf("solve: the start has cost %v and gradient norm %v; both must be finite", e.Cost, e.GradientNorm)
}

// Memoizer is implemented by objectives that share work between the gradient and the Hessian product.
type Memoizer interface {
	NewMemo() Memo
}

// Hessian is implemented by objectives with an exact Hessian product.
type Hessian interface {
	// HessianVec writes the Riemannian Hessian at p applied to v to dst. memo was filled by Evaluate at p with a gradient.
	HessianVec(dst []float64, p manifold.Point, v []float64, memo Memo) error
}

// Preconditioner is implemented by objectives that know an approximate inverse of their Hessian, symmetric positive definite in the metric.
type Preconditioner interface {
	// Precondition writes the approximate inverse Hessian at p applied to v to dst. memo was filled by Evaluate at p with a gradient.
	Precondition(dst []float64, p manifold.Point, v []float64, memo Memo) error
}

// Newtonian is implemented by objectives whose Preconditioner may be nearly the inverse of the Hessian at the point itself, so that what differences of gradients over
// longer steps tell about the Hessian is worth less.
type Newtonian interface {
	// Newtonian reports whether the relative error of the preconditioner is a few hundredths at most where steps are short.
	Newtonian() bool
}

// Scaler is implemented by objectives with a natural scale for their gradient, which then takes the place of the gradient norm at the start
// as the reference of a relative gradient.
type Scaler interface {
	// GradientScale returns the reference at a point with the given cost.
	GradientScale(cost float64) float64
}

// Rounder is implemented by objectives that can tell what rounding leaves of their gradient where that ought to vanish, because its terms cancel.
type Rounder interface {
	// GradientRounding returns the norm of a gradient that may be nothing but rounding, rather too large than too small; memo was filled by Evaluate with a gradient.
	GradientRounding(memo Memo) float64
}

// Certifier is implemented by objectives that can bound the distance from p to the minimizer.
type Certifier interface {
	Certify(p manifold.Point, gradientNorm float64, memo Memo) Certificate
}

// Certificate says how far a point can be from the minimizer.
type Certificate struct {
	// Kind names the argument: "strong-convexity", "newton-step", "closed-form", "none".
	Kind string `json:"kind"`
	// Value is the distance in the metric of the manifold.
	Value float64 `json:"value"`
	// Bound is true if the distance is proved (up to rounding of the gradient), false if Value is an estimate.
	Bound bool `json:"bound"`
}
