package manifold

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
)

// Distance returns the affine-invariant distance (sum of log^2 of the eigenvalues of a^-1 b)^(1/2) between two SPD matrices of the same
// size. A matrix that is not SPD is an error.
func Distance(a, b mat.Symmetric) (float64, error) {
	m, p, q, err := pair(a, b)
	if err != nil {
		return 0, err
	}
	return m.Distance(p, q)
}

// Log returns the tangent matrix xi at a for which Exp(a, xi) = b: xi = a^1/2 log(a^-1/2 b a^-1/2) a^1/2.
func Log(a, b mat.Symmetric) (*mat.SymDense, error) {
	m, p, q, err := pair(a, b)
	if err != nil {
		return nil, err
	}
	v := make([]float64, m.VectorLen())
	if err := m.Log(v, p, q); err != nil {
		return nil, err
	}
	var xi mat.SymDense
	m.Embed(&xi, p, v)
	return &xi, nil
}

// Exp returns the end of the geodesic that leaves the SPD matrix a with velocity xi: a^1/2 exp(a^-1/2 xi a^-1/2) a^1/2. A velocity that is
// not finite or too long is a *StepError.
func Exp(a, xi mat.Symmetric) (*mat.SymDense, error) {
	p, err := NewFrame(a)
	if err != nil {
		return nil, fmt.Errorf("manifold: %w", err)
	}
	if err := tangentRows(xi, p.Dim()); err != nil {
		return nil, err
	}
	m := affine(p.Dim())
	v := make([]float64, m.VectorLen())
	m.Whiten(v, p, xi)
	q := IdentityFrame(p.Dim(), 1)
	if err := m.Exp(q, p, v); err != nil {
		return nil, fmt.Errorf("manifold: %w", err)
	}
	return formed(q)
}

// Geodesic returns the point at time t on the geodesic from a (t = 0) to b (t = 1), a^1/2 (a^-1/2 b a^-1/2)^t a^1/2; t may lie outside
// [0, 1]. t = 1/2 is the geometric mean a # b. A time that is not finite, or at which the point leaves the range of float64, is an error.
func Geodesic(a, b mat.Symmetric, t float64) (*mat.SymDense, error) {
	m, p, q, err := pair(a, b)
	if err != nil {
		return nil, err
	}
	if math.IsNaN(t) || math.IsInf(t, 0) {
		return nil, fmt.Errorf("manifold: the time is %v, want a finite number", t)
	}
	out := IdentityFrame(p.Dim(), 1)
	if err := m.Between(out, p, q, t); err != nil {
		return nil, fmt.Errorf("manifold: %w", err)
	}
	return formed(out)
}

// Transport carries the tangent matrix xi from a to b by parallel transport along the geodesic: E xi E^T with E = (b a^-1)^1/2.
func Transport(a, b, xi mat.Symmetric) (*mat.SymDense, error) {
	m, p, q, err := pair(a, b)
	if err != nil {
		return nil, err
	}
	if err := tangentRows(xi, m.Dim()); err != nil {
		return nil, err
	}
	v, eta := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
	m.Whiten(eta, p, xi)
	if err := m.Log(v, p, q); err != nil {
		return nil, err
	}
	if err := m.Exp(q, p, v); err != nil {
		return nil, fmt.Errorf("manifold: %w", err)
	}
	var out mat.SymDense
	m.Embed(&out, q, eta)
	return &out, nil
}

func affine(n int) *Affine {
	m, err := NewAffine(n, AffineOptions{})
	if err != nil {
		panic(Error(err.Error()))
	}
	return m
}

func pair(a, b mat.Symmetric) (m *Affine, p, q *Frame, err error) {
	switch {
	case absent.Matrix(a):
		return nil, nil, nil, fmt.Errorf("manifold: first matrix: %w", errNil)
	case absent.Matrix(b):
		return nil, nil, nil, fmt.Errorf("manifold: second matrix: %w", errNil)
	case a.SymmetricDim() != b.SymmetricDim():
		return nil, nil, nil, fmt.Errorf("manifold: the matrices have %d and %d rows, want the same size", a.SymmetricDim(), b.SymmetricDim())
	}
	if p, err = NewFrame(a); err != nil {
		return nil, nil, nil, fmt.Errorf("manifold: first matrix: %w", err)
	}
	if q, err = NewFrame(b); err != nil {
		return nil, nil, nil, fmt.Errorf("manifold: second matrix: %w", err)
	}
	return affine(p.Dim()), p, q, nil
}
