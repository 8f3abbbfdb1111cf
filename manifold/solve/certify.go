package solve

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// The Newton step of a certificate is computed to this share of the (preconditioned) residual, in so many Hessian products at most.
const (
	newtonAccuracy = 0.01
	newtonLimit    = 100
)

// Certify says how far p can be from a minimizer of f, given what an evaluation left there: what the objective claims (Certifier), otherwise the length of the
// Newton step, by conjugate gradients on its Hessian products (preconditioned where f is a Preconditioner), which estimates the distance; "none" for an
// objective without a Hessian, or where that is not positive along a direction met. It also returns the number of Hessian products taken.
// It panics if m, f or p is nil.
func Certify(m manifold.Manifold, f Objective, p manifold.Point, grad []float64, memo Memo) (Certificate, int) {
	c := certification{m: m}
	c.bound, _ = f.(Certifier)
	c.hess, _ = f.(Hessian)
	c.prec, _ = f.(Preconditioner)
	return c.at(p, grad, memo)
}

// certification is what Certify works with; everything but the manifold may be nil.
type certification struct {
	m     manifold.Manifold
	bound Certifier
	hess  Hessian
	prec  Preconditioner
	spare [][]float64 // scratch vectors; more are made as needed
	lent  [][]float64 // those made
}

// vector returns a scratch vector of length n, of zeros or what an earlier use has left.
func (c *certification) vector(n int) []float64 {
	if k := len(c.spare) - 1; k >= 0 {
		v := c.spare[k]
		c.spare = c.spare[:k]
		return v
	}
	v := dense.Recycled(n)
	clear(v)
	c.lent = append(c.lent, v)
	return v
}

func (c *certification) at(p manifold.Point, grad []float64, memo Memo) (Certificate, int) {
	m, none := c.m, Certificate{Kind: "none"}
	norm := math.Sqrt(m.Inner(p, grad, grad))
	switch {
	case c.bound != nil:
		return c.bound.Certify(p, norm, memo), 0
	case c.hess == nil:
		return none, 0
	}
	defer func() { dense.Recycle(c.lent...) }()
	n := len(grad)
	s, res, d, hd := c.vector(n), c.vector(n), c.vector(n), c.vector(n)
	clear(s)
	copy(res, grad)
	z := res
	if c.prec != nil && norm > 0 {
		z = c.vector(n)
		if c.prec.Precondition(z, p, res, memo) != nil || !(m.Inner(p, res, z) > 0) {
			return none, 0
		}
	}
	copy(d, z)
	zr := m.Inner(p, z, res)
	target := newtonAccuracy * newtonAccuracy * zr
	products := 0
	for ; products < newtonLimit && zr > target; products++ {
		if c.hess.HessianVec(hd, p, d, memo) != nil {
			return none, products + 1
		}
		curvature := m.Inner(p, d, hd)
		if !(curvature > 0) {
			return none, products + 1
		}
		alpha := zr / curvature
		dense.Axpy(alpha, d, s)
		dense.Axpy(-alpha, hd, res)
		if c.prec != nil && c.prec.Precondition(z, p, res, memo) != nil {
			return none, products + 1
		}
		next := m.Inner(p, z, res)
		dense.Blend(1, z, next/zr, d, d)
		zr = next
	}
	return Certificate{Kind: "newton-step", Value: math.Sqrt(m.Inner(p, s, s))}, products
}
