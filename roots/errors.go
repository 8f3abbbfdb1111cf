package roots

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
)

// Error is what the functions of this package panic with when arguments of one call do not fit together.
type Error string

// Error returns the message.
func (e Error) Error() string { return "roots: " + string(e) }

func mistake(format string, args ...any) { panic(Error(fmt.Sprintf(format, args...))) }

// present returns an error that names the matrix if it is nil.
func present(what string, a mat.Matrix) error {
	if absent.Matrix(a) {
		return fmt.Errorf("roots: %s is nil", what)
	}
	return nil
}

// NotPositiveDefiniteError says that a function which needs a positive-definite matrix was given another one.
type NotPositiveDefiniteError struct {
	Kind              Kind
	Power             float64
	Smallest, Largest float64 // eigenvalues after the ridge
	Negligible        int     // how many eigenvalues are at or below n eps Largest
}

// Error names the smallest eigenvalue and the options that help.
func (e *NotPositiveDefiniteError) Error() string {
	what := e.Kind.String()
	if e.Kind == KindPow {
		what = fmt.Sprintf("power %g", e.Power)
	}
	return fmt.Sprintf("roots: %s needs a positive-definite matrix: smallest eigenvalue %.6g (largest %.6g, %d not positive to working precision); "+
		"add a ridge (Options.Ridge, Options.RelativeRidge) or drop them (Options.Cutoff)", what, e.Smallest, e.Largest, e.Negligible)
}

// NotFiniteError says where the input holds NaN or Inf.
type NotFiniteError struct {
	Row, Col int
	Value    float64
}

// Error names the entry.
func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("roots: entry (%d,%d) of the matrix is %v", e.Row, e.Col, e.Value)
}

// MethodError says that a method cannot do what was asked.
type MethodError struct{ Method, Reason string }

// Error names the method and the reason.
func (e *MethodError) Error() string { return fmt.Sprintf("roots: method %s: %s", e.Method, e.Reason) }

// AccuracyError says that the promised bound is above the tolerance asked for. The result was computed all the same.
type AccuracyError struct {
	Method     string
	Bound, Tol float64
	Cond       float64
}

// Error names the bound, the tolerance and the condition number.
func (e *AccuracyError) Error() string {
	return fmt.Sprintf("roots: method %s promises a relative error of %.3g where %.3g was asked for (condition number %.3g); "+
		"raise Options.Tol, add a ridge, or let the method be auto", e.Method, e.Bound, e.Tol, e.Cond)
}

// PrecisionError says that float32 cannot reach the tolerance and Options.KeepSingle forbids going on in float64.
type PrecisionError struct {
	Method     string
	Bound, Tol float64
	Cond       float64
}

// Error names the bound, the tolerance and the condition number.
func (e *PrecisionError) Error() string {
	return fmt.Sprintf("roots: float32 promises a relative error of %.3g with method %s where %.3g was asked for (condition number %.3g); "+
		"use float64, or leave Options.KeepSingle unset", e.Bound, e.Method, e.Tol, e.Cond)
}
