package curvature

import "fmt"

// Operator is a linear map given by its products. Vectors of parameters are in the order of the blocks of a network, each block row by row. An operator owns
// its workspace: it is used by one goroutine at a time. Slices of wrong length panic with Error, and so do functions that make an operator and return no
// error, such as Sum and NewHessian, for operators and risks that are nil or do not fit.
type Operator interface {
	Dims() (rows, cols int)
	// MulTo sets dst = A x; dst must not overlap x.
	MulTo(dst, x []float64)
	// MulTransTo sets dst = A^T x.
	MulTransTo(dst, x []float64)
}

// Error says that sizes do not fit. Functions that return an error return it, the others panic with it: a mistake in the calling program.
type Error string

// Error returns the message.
func (e Error) Error() string { return "curvature: " + string(e) }

func fail(format string, args ...any) { panic(Error(fmt.Sprintf(format, args...))) }

// fits checks the lengths of a product with a rows x cols matrix.
func fits(dst, x []float64, rows, cols int) error {
	if len(dst) != rows || len(x) != cols {
		return Error(fmt.Sprintf("product of a %d x %d operator with %d elements into %d", rows, cols, len(x), len(dst)))
	}
	return nil
}

// mustFit demands the lengths of a product with a rows x cols matrix.
func mustFit(dst, x []float64, rows, cols int) {
	if err := fits(dst, x, rows, cols); err != nil {
		panic(err)
	}
}

// mustExist demands the operators that another one is made of.
func mustExist(whole string, parts ...Operator) {
	for k, a := range parts {
		if a == nil {
			fail("operator %d of %s is nil", k, whole)
		}
	}
}

// symmetric makes MulTransTo of an operator its MulTo.
type symmetric struct {
	n  int
	to func(dst, x []float64)
}

// Dims implements Operator.
func (s *symmetric) Dims() (rows, cols int) { return s.n, s.n }

// MulTo implements Operator.
func (s *symmetric) MulTo(dst, x []float64) {
	mustFit(dst, x, s.n, s.n)
	s.to(dst, x)
}

// MulTransTo implements Operator.
func (s *symmetric) MulTransTo(dst, x []float64) { s.MulTo(dst, x) }

// DataError says which data or option cannot be used, and why.
type DataError struct{ What, Why string }

// Error returns "WHAT: why".
func (e *DataError) Error() string { return e.What + ": " + e.Why }

func dataError(what, format string, args ...any) error {
	return &DataError{what, fmt.Sprintf(format, args...)}
}

// ConvergenceError says that an iteration ended before it was as accurate as asked for. What was reached is returned all the same.
type ConvergenceError struct {
	What       string
	Reached    float64 // measure of error at the end
	Tol        float64
	Iterations int
}

// Error says what to do.
func (e *ConvergenceError) Error() string {
	return fmt.Sprintf("curvature: %s: %.3g after %d iterations where %.3g was asked for; allow more iterations, or more damping", e.What, e.Reached, e.Iterations, e.Tol)
}
