package curvature

import (
	"github.com/spdopt/spdopt/internal/dense"
)

// SolveOptions say when an iterative solver ends.
type SolveOptions struct {
	Tol            float64  // largest residual over the norm of the right-hand side; default 1e-6
	MaxIterations  int      // default 10 times the dimension
	Preconditioner Operator // symmetric positive definite, an approximate inverse; for CG only; default none
}

// Validate reports what cannot be.
func (o *SolveOptions) Validate() error {
	if !(o.Tol >= 0) || o.Tol-o.Tol != 0 {
		return dataError("tol", "must be a finite number that is not negative, not %v", o.Tol)
	}
	if o.MaxIterations < 0 {
		return dataError("iterations", "must not be negative, not %d", o.MaxIterations)
	}
	return nil
}

func (o SolveOptions) resolved(n int) SolveOptions {
	if o.Tol == 0 {
		o.Tol = 1e-6
	}
	if o.MaxIterations == 0 {
		o.MaxIterations = 10 * n
	}
	return o
}

// Solution says how a solver ended.
type Solution struct {
	Iterations int
	Residual   float64 // norm of b - A x, by the recurrence of the method, over the norm of b
}

// CG is the inverse of a symmetric positive definite operator by conjugate gradients (Hestenes and Stiefel 1952). As an Operator its products keep the
// first error for Err.
type CG struct {
	a          Operator
	o          SolveOptions
	n          int
	r, z, p, q []float64
	err        error
}

// NewCG returns the inverse of a. Options that cannot be are a *DataError.
func NewCG(a Operator, o SolveOptions) (*CG, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if a == nil {
		return nil, errNoOperator
	}
	n, cols := a.Dims()
	if n != cols {
		return nil, dataError("operator", "is %d x %d; conjugate gradients need a symmetric one", n, cols)
	}
	if err := checkPreconditioner(o.Preconditioner, n); err != nil {
		return nil, err
	}
	vector := func() []float64 { return make([]float64, n) }
	return &CG{a: a, o: o.resolved(n), n: n, r: vector(), z: vector(), p: vector(), q: vector()}, nil
}

// Solve sets x to A^-1 b, starting from 0. The error is a *ConvergenceError, with the last iterate in x, or a *DataError if A is not positive definite or
// a product not finite, or an Error if the slices do not fit.
func (c *CG) Solve(x, b []float64) (Solution, error) {
	if err := fits(x, b, c.n, c.n); err != nil {
		return Solution{}, err
	}
	copy(c.r, b)
	clear(x)
	size := norm(b)
	if size == 0 {
		return Solution{}, nil
	}
	var s Solution
	rho := c.precondition()
	copy(c.p, c.z)
	for {
		if s.Residual = norm(c.r) / size; s.Residual <= c.o.Tol {
			return s, nil
		}
		if s.Iterations == c.o.MaxIterations {
			return s, &ConvergenceError{"conjugate gradients", s.Residual, c.o.Tol, s.Iterations}
		}
		c.a.MulTo(c.q, c.p)
		bend := dense.Dot(c.p, c.q)
		if bend-bend != 0 {
			return s, dataError("operator", "a product is not finite")
		}
		if bend <= 0 {
			return s, dataError("operator", "is not positive definite: p^T A p = %g; add damping", bend)
		}
		alpha := rho / bend
		dense.Axpy(alpha, c.p, x)
		dense.Axpy(-alpha, c.q, c.r)
		before := rho
		rho = c.precondition()
		for i, v := range c.z {
			c.p[i] = v + rho/before*c.p[i]
		}
		s.Iterations++
	}
}

// precondition sets z to the preconditioned residual and returns their inner product.
func (c *CG) precondition() float64 {
	if c.o.Preconditioner == nil {
		copy(c.z, c.r)
	} else {
		c.o.Preconditioner.MulTo(c.z, c.r)
	}
	return dense.Dot(c.r, c.z)
}

// Dims implements Operator.
func (c *CG) Dims() (rows, cols int) { return c.n, c.n }

// MulTo implements Operator: Solve, with the error kept for Err.
func (c *CG) MulTo(dst, x []float64) {
	mustFit(dst, x, c.n, c.n)
	if _, err := c.Solve(dst, x); err != nil && c.err == nil {
		c.err = err
	}
}

// MulTransTo implements Operator.
func (c *CG) MulTransTo(dst, x []float64) { c.MulTo(dst, x) }

// Err returns the first error of the products so far.
func (c *CG) Err() error { return c.err }
