package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// coupledRoot computes A^(-q/p) of a symmetric positive definite matrix by products only: the coupled Newton iteration (Guo and Higham 2006), and its
// generalisation of higher order by a truncated binomial series, with the starting points and stopping rules of facebookresearch/optimizers.
type coupledRoot struct {
	e                engine.Backend[float64]
	m, x, t, w, step dense.Matrix[float64]
	diagonal         []float64
}

const (
	coupledSteps     = 100
	newtonTolerance  = 1e-6 // on max |M - I|
	seriesOrder      = 3
	seriesStall      = 1e-3 // below it the iteration ends when it makes no progress
	seriesGrowth     = 1.2
	largestRootError = 0.1 // of max |A X^p - I|
)

func newCoupledRoot(n int) *coupledRoot {
	c := &coupledRoot{diagonal: make([]float64, n)}
	c.place(engine.CPU[float64](), nil)
	return c
}

// place moves the iteration to an engine.
func (c *coupledRoot) place(e engine.Backend[float64], a *engine.Arena[float64]) {
	c.e = e
	n := len(c.diagonal)
	for _, m := range []*dense.Matrix[float64]{&c.m, &c.x, &c.t, &c.w, &c.step} {
		*m = dense.Wrap(n, n, a.Alloc(n*n))
	}
}

// newton sets x to A^(-1/p): X <- X M1, M <- M1^p M with M1 = (1 + 1/p) I - M/p, from M = z A, X = z^(1/p) I, z = (p+1)/(2 ||A||_F). It says whether it converged.
func (c *coupledRoot) newton(a dense.Matrix[float64], p int) bool {
	square, _ := c.e.SumSquares(a.Data)
	norm := math.Sqrt(square)
	if !(norm > 0) || math.IsInf(norm, 1) {
		return false
	}
	z := float64(p+1) / (2 * norm)
	c.e.Blend(z, a.Data, 0, nil, c.m.Data)
	c.e.Blend(0, nil, 0, nil, c.x.Data)
	c.affine(math.Pow(z, 1/float64(p)), 1, c.x, c.x)
	for k := 0; ; k++ {
		e := c.distance(c.m)
		if e <= newtonTolerance {
			return true
		}
		if k == coupledSteps || e-e != 0 {
			return e <= largestRootError
		}
		c.affine(1+1/float64(p), -1/float64(p), c.m, c.step)
		c.advance(p)
	}
}

// series sets x to A^(-q/p) by M1 = sum_(i < 3) b_i (I - M)^i, b_i the coefficients of (1 - s)^(-1/p), after one plain Newton step from z = 1/tr A. It
// fails when max |A X^p - I| stays above 0.1 before the power q is taken.
func (c *coupledRoot) series(a dense.Matrix[float64], p, q int) bool {
	var trace float64
	c.e.Diagonal(engine.One(a), c.diagonal)
	for _, v := range c.diagonal {
		trace += v
	}
	if !(trace > 0) || math.IsInf(trace, 1) {
		return false
	}
	z := 1 / trace
	c.e.Blend(z, a.Data, 0, nil, c.m.Data)
	c.e.Blend(0, nil, 0, nil, c.x.Data)
	c.affine(math.Pow(z, 1/float64(p)), 1, c.x, c.x)
	c.affine(1+1/float64(p), -1/float64(p), c.m, c.step)
	c.advance(p)
	last := c.distance(c.m)
	for k := 1; k < coupledSteps && last > 1e-20; k++ {
		c.binomial(p)
		c.advance(p)
		e := c.distance(c.m)
		if e-e != 0 || e > seriesGrowth*last || e < seriesStall && e >= last {
			break
		}
		last = e
	}
	if !c.checked(a, p) {
		return false
	}
	c.e.Copy(engine.One(c.x), engine.One(c.step))
	for range q - 1 {
		c.product(c.x, c.step)
		c.x, c.t = c.t, c.x
	}
	return true
}

// binomial sets step to sum_(i < seriesOrder) b_i (I - M)^i by Horner's rule.
func (c *coupledRoot) binomial(p int) {
	var b [seriesOrder]float64
	b[0] = 1
	for i := 1; i < seriesOrder; i++ {
		b[i] = b[i-1] * (1 + float64(i-1)*float64(p)) / (float64(i) * float64(p))
	}
	c.affine(1, -1, c.m, c.w)
	c.affine(0, b[seriesOrder-1], c.w, c.step)
	for i := seriesOrder - 2; ; i-- {
		c.affine(b[i], 1, c.step, c.step)
		if i == 0 {
			return
		}
		c.product(c.step, c.w)
		c.step, c.t = c.t, c.step
	}
}

// advance multiplies x by step and m by step^p.
func (c *coupledRoot) advance(p int) {
	c.product(c.x, c.step)
	c.x, c.t = c.t, c.x
	for range p {
		c.product(c.step, c.m)
		c.m, c.t = c.t, c.m
	}
}

// checked says whether max |A X^p - I| is small enough.
func (c *coupledRoot) checked(a dense.Matrix[float64], p int) bool {
	c.e.Copy(engine.One(a), engine.One(c.w))
	for range p {
		c.product(c.w, c.x)
		c.w, c.t = c.t, c.w
	}
	return c.distance(c.w) <= largestRootError
}

// affine sets y = c0 I + c1 m; y may be m.
func (c *coupledRoot) affine(c0, c1 float64, m, y dense.Matrix[float64]) {
	c.e.Combine(c0, c1, engine.One(m), 0, engine.One(m), engine.One(y))
}

// product sets t = x y.
func (c *coupledRoot) product(x, y dense.Matrix[float64]) {
	c.e.Gemm(dense.NoTrans, dense.NoTrans, 1, engine.One(x), engine.One(y), 0, engine.One(c.t))
}

// distance returns max |M - I|; t is scratch.
func (c *coupledRoot) distance(m dense.Matrix[float64]) float64 {
	c.affine(-1, 1, m, c.t)
	_, top := c.e.SumSquares(c.t.Data)
	return top
}

// fraction returns p and q with e = q/p, q at most most, or ok false where there are none below 64.
func fraction(e float64, most int) (p, q int, ok bool) {
	for q = 1; q <= most; q++ {
		r := float64(q) / e
		if p = int(math.Round(r)); p >= 1 && p <= 64 && math.Abs(r-float64(p)) < 1e-9*r {
			return p, q, true
		}
	}
	return 0, 0, false
}
