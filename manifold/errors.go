package manifold

import "fmt"

// Error is what the package panics with when a caller passes points or vectors that do not fit.
type Error string

// Error returns the message.
func (e Error) Error() string { return "manifold: " + string(e) }

// StepError says that a step cannot be taken.
type StepError struct {
	Norm  float64 // Frobenius norm of the whitened step; NaN or Inf if an entry is
	Limit float64 // largest norm that is accepted
}

// Error states the norm and what to do.
func (e *StepError) Error() string {
	if e.Norm > e.Limit && e.Norm <= 1e300 {
		return fmt.Sprintf("the step is too long: norm %.4g, limit %.4g; shorten it (a step of norm %.0f multiplies an eigenvalue by up to e^%.0f)",
			e.Norm, e.Limit, e.Norm, e.Norm)
	}
	return fmt.Sprintf("the step is not finite (norm %v); check the gradient for NaN or Inf", e.Norm)
}

// PointError says that a matrix is not a usable SPD point.
type PointError struct {
	What     string  // what failed, for example "not positive definite"
	Min, Max float64 // extreme eigenvalues where they were computed, otherwise 0
}

var errNil error = &PointError{What: "the matrix is nil"}

// Error states what failed and the extreme eigenvalues where they are known.
func (e *PointError) Error() string {
	if e.Max == 0 && e.Min == 0 {
		return e.What
	}
	return fmt.Sprintf("%s: smallest eigenvalue %.4g (largest %.4g)", e.What, e.Min, e.Max)
}
