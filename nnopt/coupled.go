package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// coupledRoot computes A^(-q/p) of a symmetric positive definite matrix by products only: the coupled Newton iteration (Guo and Higham 2006), and its
// generalisation of higher order by a truncated binomial series, with the starting points and stopping rules of facebookresearch/optimizers.
type coupledRoot struct {
	m, x, t, w, step dense.Matrix[float64]
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
	c := &coupledRoot{}
	for _, m := range []*dense.Matrix[float64]{&c.m, &c.x, &c.t, &c.w, &c.step} {
		*m = dense.New[float64](n, n)
	}
	return c
}

// newton sets x to A^(-1/p): X <- X M1, M <- M1^p M with M1 = (1 + 1/p) I - M/p, from M = z A, X = z^(1/p) I, z = (p+1)/(2 ||A||_F). It says whether it converged.
func (c *coupledRoot) newton(a dense.Matrix[float64], p int) bool {
	norm := math.Sqrt(dense.Dot(a.Data, a.Data))
	if !(norm > 0) || math.IsInf(norm, 1) {
		return false
	}
	z := float64(p+1) / (2 * norm)
	dense.Scale(z, a.Data, c.m.Data)
	c.x.Zero()
	c.shift(c.x, math.Pow(z, 1/float64(p)))
	for k := 0; ; k++ {
		e := c.distance(c.m)
		if e <= newtonTolerance {
			return true
		}
		if k == coupledSteps || e-e != 0 {
			return e <= largestRootError
		}
		dense.Scale(-1/float64(p), c.m.Data, c.step.Data)
		c.shift(c.step, 1+1/float64(p))
		c.advance(p)
	}
}

// series sets x to A^(-q/p) by M1 = sum_(i < 3) b_i (I - M)^i, b_i the coefficients of (1 - s)^(-1/p), after one plain Newton step from z = 1/tr A. It
// fails when max |A X^p - I| stays above 0.1 before the power q is taken.
func (c *coupledRoot) series(a dense.Matrix[float64], p, q int) bool {
	var trace float64
	for i := range a.Rows {
		trace += a.At(i, i)
	}
	if !(trace > 0) || math.IsInf(trace, 1) {
		return false
	}
	z := 1 / trace
	dense.Scale(z, a.Data, c.m.Data)
	c.x.Zero()
	c.shift(c.x, math.Pow(z, 1/float64(p)))
	dense.Scale(-1/float64(p), c.m.Data, c.step.Data)
	c.shift(c.step, 1+1/float64(p))
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
	c.step.Copy(c.x)
	for range q - 1 {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c.x, c.step, 0, c.t)
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
	dense.Scale(-1, c.m.Data, c.w.Data)
	c.shift(c.w, 1)
	dense.Scale(b[seriesOrder-1], c.w.Data, c.step.Data)
	for i := seriesOrder - 2; ; i-- {
		c.shift(c.step, b[i])
		if i == 0 {
			return
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c.step, c.w, 0, c.t)
		c.step, c.t = c.t, c.step
	}
}

// advance multiplies x by step and m by step^p.
func (c *coupledRoot) advance(p int) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c.x, c.step, 0, c.t)
	c.x, c.t = c.t, c.x
	for range p {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c.step, c.m, 0, c.t)
		c.m, c.t = c.t, c.m
	}
}

// checked says whether max |A X^p - I| is small enough.
func (c *coupledRoot) checked(a dense.Matrix[float64], p int) bool {
	c.w.Copy(a)
	for range p {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c.w, c.x, 0, c.t)
		c.w, c.t = c.t, c.w
	}
	return c.distance(c.w) <= largestRootError
}

func (c *coupledRoot) shift(m dense.Matrix[float64], v float64) {
	for i := range m.Rows {
		m.Data[i*m.Cols+i] += v
	}
}

// distance returns max |M - I|.
func (c *coupledRoot) distance(m dense.Matrix[float64]) (top float64) {
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			if i == j {
				v--
			}
			top = max(top, math.Abs(v))
		}
	}
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
