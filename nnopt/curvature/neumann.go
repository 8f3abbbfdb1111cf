package curvature

import "github.com/spdopt/spdopt/internal/dense"

// NeumannOptions are the options of a Neumann series.
type NeumannOptions struct {
	Terms          int      // K; default 100
	Scale          float64  // alpha; default 1
	Preconditioner Operator // P, an approximate inverse; default none
}

// Neumann is the truncated series alpha sum_{k=0..K} (I - alpha P A)^k P for A^-1. It converges if the eigenvalues of I - alpha P A are below 1 in size. As
// an Operator its products keep the first error for Err.
type Neumann struct {
	a          Operator
	o          NeumannOptions
	n          int
	term, q, p []float64
	err        error
}

// NewNeumann returns the series for a square operator.
func NewNeumann(a Operator, o NeumannOptions) (*Neumann, error) {
	if a == nil {
		return nil, errNoOperator
	}
	n, cols := a.Dims()
	if n != cols {
		return nil, dataError("operator", "is %d x %d; a Neumann series needs a square one", n, cols)
	}
	if err := checkPreconditioner(o.Preconditioner, n); err != nil {
		return nil, err
	}
	if o.Terms < 0 || o.Scale-o.Scale != 0 {
		return nil, dataError("neumann", "the terms must not be negative, not %d, and the scale finite, not %v", o.Terms, o.Scale)
	}
	if o.Terms == 0 {
		o.Terms = 100
	}
	if o.Scale == 0 {
		o.Scale = 1
	}
	return &Neumann{a: a, o: o, n: n, term: make([]float64, n), q: make([]float64, n), p: make([]float64, n)}, nil
}

// Solve sets x to the truncated series applied to b; x must not overlap b. A series whose last term is larger than its first, or not finite, diverges: a
// *DataError. Slices that do not fit are an Error.
func (s *Neumann) Solve(x, b []float64) error {
	if err := fits(x, b, s.n, s.n); err != nil {
		return err
	}
	return s.series(x, b, false)
}

func (s *Neumann) series(x, b []float64, transposed bool) error {
	if transposed {
		copy(s.term, b)
	} else {
		s.precondition(s.term, b, false)
	}
	first := norm(s.term)
	copy(x, s.term)
	for range s.o.Terms {
		if transposed { // (I - alpha A^T P^T)^k, with P^T in front of the sum
			s.precondition(s.p, s.term, true)
			s.a.MulTransTo(s.q, s.p)
		} else {
			s.a.MulTo(s.p, s.term)
			s.precondition(s.q, s.p, false)
		}
		dense.Axpy(-s.o.Scale, s.q, s.term)
		dense.Axpy(1, s.term, x)
	}
	last := norm(s.term)
	if last-last != 0 || notFinite(x) >= 0 || last > first {
		return dataError("Neumann series", "diverges: the last term has norm %g, the first %g; lower the scale or add damping", last, first)
	}
	if transposed {
		copy(s.term, x)
		s.precondition(x, s.term, true)
	}
	dense.Scale(s.o.Scale, x, x)
	return nil
}

func (s *Neumann) precondition(dst, x []float64, transposed bool) {
	switch {
	case s.o.Preconditioner == nil:
		copy(dst, x)
	case transposed:
		s.o.Preconditioner.MulTransTo(dst, x)
	default:
		s.o.Preconditioner.MulTo(dst, x)
	}
}

// Dims implements Operator.
func (s *Neumann) Dims() (rows, cols int) { return s.n, s.n }

// MulTo implements Operator.
func (s *Neumann) MulTo(dst, x []float64) { s.product(dst, x, false) }

// MulTransTo implements Operator.
func (s *Neumann) MulTransTo(dst, x []float64) { s.product(dst, x, true) }

func (s *Neumann) product(dst, x []float64, transposed bool) {
	mustFit(dst, x, s.n, s.n)
	if err := s.series(dst, x, transposed); s.err == nil {
		s.err = err
	}
}

// Err returns the first error of the products so far.
func (s *Neumann) Err() error { return s.err }
