package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// coupledRoots computes A^(-q/p) of symmetric positive definite matrices by products only: the coupled Newton iteration (Guo and Higham 2006), and its
// generalisation of higher order by a truncated binomial series, with the starting points and stopping rules of facebookresearch/optimizers.
type coupledRoots struct {
	e             engine.Backend[float64]
	pause         func() // waits for what is read
	m, x, t, w, s engine.Batch[float64]
	roots         engine.Batch[float64] // those that are found; of one matrix it is x
	diagonal      []float64
	measures      tallied
	going         []bool // the iteration of a matrix goes on
	last          []float64
}

const (
	coupledSteps     = 100
	newtonTolerance  = 1e-6 // on max |M - I|
	seriesOrder      = 3
	seriesStall      = 1e-3 // below it the iteration ends when it makes no progress
	seriesGrowth     = 1.2
	largestRootError = 0.1 // of max |A X^p - I|
)

// newCoupledRoots returns workspace for count matrices of n x n: five times theirs, six if there are several.
func newCoupledRoots(e engine.Backend[float64], a *engine.Arena[float64], count, n int) *coupledRoots {
	c := &coupledRoots{
		e: e, pause: func() { engine.Wait(e) }, diagonal: a.Alloc(count * n), measures: newTallied(a, count), going: make([]bool, count), last: make([]float64, count),
	}
	all := []*engine.Batch[float64]{&c.m, &c.x, &c.t, &c.w, &c.s, &c.roots}
	if count == 1 {
		all = all[:5]
	}
	for _, b := range all {
		*b = squares(a.Alloc(count*n*n), count, n)
	}
	return c
}

// find sets the roots by the method, and to the power, of o.
func (c *coupledRoots) find(a engine.Batch[float64], o *refreshing, ok []bool) {
	p, q, _ := fraction(o.exponent, 8)
	if o.roots == RootNewton {
		c.newton(a, p, ok)
	} else {
		c.series(a, p, q, ok)
	}
}

// newton sets the roots to A^(-1/p): X <- X M1, M <- M1^p M with M1 = (1 + 1/p) I - M/p, from M = z A, X = z^(1/p) I, z = (p+1)/(2 ||A||_F). It says which have
// converged.
func (c *coupledRoots) newton(a engine.Batch[float64], p int, ok []bool) {
	c.measure(a)
	for k := range c.going {
		norm := math.Sqrt(c.measures.squares[k])
		ok[k] = false
		if c.going[k] = norm > 0 && !math.IsInf(norm, 1); c.going[k] {
			c.begin(a, k, float64(p+1)/(2*norm), p)
		}
	}
	for step := 0; c.some(); step++ {
		c.distances(c.m)
		for k, goes := range c.going {
			if e := c.measures.tops[k]; goes && (e <= newtonTolerance || step == coupledSteps || e-e != 0) {
				ok[k] = e <= largestRootError
				c.end(k)
			}
		}
		if !c.some() {
			return
		}
		c.affine(1+1/float64(p), -1/float64(p), c.m, c.s)
		c.advance(p)
	}
}

// series sets the roots to A^(-q/p) by M1 = sum_(i < 3) b_i (I - M)^i, b_i the coefficients of (1 - s)^(-1/p), after one plain Newton step from z = 1/tr A. It
// fails where max |A X^p - I| stays above 0.1 before the power q is taken.
func (c *coupledRoots) series(a engine.Batch[float64], p, q int, ok []bool) {
	c.e.Diagonal(a, c.diagonal)
	c.pause()
	for k := range c.going {
		var trace float64
		for _, v := range c.diagonal[k*a.Rows : (k+1)*a.Rows] {
			trace += v
		}
		ok[k] = trace > 0 && !math.IsInf(trace, 1)
		if c.going[k] = ok[k]; ok[k] {
			c.begin(a, k, 1/trace, p)
		}
	}
	if !c.some() {
		return
	}
	c.affine(1+1/float64(p), -1/float64(p), c.m, c.s)
	c.advance(p)
	c.distances(c.m)
	for k := range c.last {
		if c.last[k] = c.measures.tops[k]; c.going[k] && !(c.last[k] > 1e-20) {
			c.end(k)
		}
	}
	for step := 1; c.some(); step++ {
		if step < coupledSteps {
			c.binomial(p)
			c.advance(p)
			c.distances(c.m)
		}
		for k, goes := range c.going {
			e, last := c.measures.tops[k], c.last[k]
			if c.last[k] = e; goes && (step == coupledSteps || e-e != 0 || e > seriesGrowth*last || e < seriesStall && e >= last || !(e > 1e-20)) {
				c.end(k)
			}
		}
	}
	c.check(a, p, ok)
	c.e.Copy(c.roots, c.s)
	for range q - 1 {
		c.product(c.roots, c.s)
		c.roots, c.t = c.t, c.roots
	}
	if len(c.going) == 1 {
		c.x = c.roots
	}
}

// begin sets M = z A and X = z^(1/p) I for matrix k.
func (c *coupledRoots) begin(a engine.Batch[float64], k int, z float64, p int) {
	m, x := c.m.At(k), c.x.At(k)
	c.e.Blend(z, a.At(k).Data, 0, nil, m.Data)
	c.e.Blend(0, nil, 0, nil, x.Data)
	c.affine(math.Pow(z, 1/float64(p)), 1, engine.One(x), engine.One(x))
}

// end takes X of matrix k for its root.
func (c *coupledRoots) end(k int) {
	if c.going[k] = false; len(c.going) == 1 {
		c.roots = c.x
		return
	}
	c.e.Copy(engine.One(c.x.At(k)), engine.One(c.roots.At(k)))
}

func (c *coupledRoots) some() bool {
	for _, goes := range c.going {
		if goes {
			return true
		}
	}
	return false
}

// binomial sets s to sum_(i < seriesOrder) b_i (I - M)^i by Horner's rule.
func (c *coupledRoots) binomial(p int) {
	var b [seriesOrder]float64
	b[0] = 1
	for i := 1; i < seriesOrder; i++ {
		b[i] = b[i-1] * (1 + float64(i-1)*float64(p)) / (float64(i) * float64(p))
	}
	c.affine(1, -1, c.m, c.w)
	c.affine(0, b[seriesOrder-1], c.w, c.s)
	for i := seriesOrder - 2; ; i-- {
		c.affine(b[i], 1, c.s, c.s)
		if i == 0 {
			return
		}
		c.product(c.s, c.w)
		c.s, c.t = c.t, c.s
	}
}

// advance multiplies x by s and m by s^p.
func (c *coupledRoots) advance(p int) {
	c.product(c.x, c.s)
	c.x, c.t = c.t, c.x
	for range p {
		c.product(c.s, c.m)
		c.m, c.t = c.t, c.m
	}
}

// check says of which roots max |A X^p - I| is small enough, of those that were ok.
func (c *coupledRoots) check(a engine.Batch[float64], p int, ok []bool) {
	c.e.Copy(a, c.w)
	for range p {
		c.product(c.w, c.roots)
		c.w, c.t = c.t, c.w
	}
	c.distances(c.w)
	for k := range ok {
		ok[k] = ok[k] && c.measures.tops[k] <= largestRootError
	}
}

// affine sets y = c0 I + c1 m; y may be m.
func (c *coupledRoots) affine(c0, c1 float64, m, y engine.Batch[float64]) {
	c.e.Combine(c0, c1, m, 0, m, y)
}

// product sets t = x y.
func (c *coupledRoots) product(x, y engine.Batch[float64]) {
	c.e.Gemm(dense.NoTrans, dense.NoTrans, 1, x, y, 0, c.t)
}

// distances finds max |M - I| of each matrix; t is scratch.
func (c *coupledRoots) distances(m engine.Batch[float64]) {
	c.affine(-1, 1, m, c.t)
	c.measure(c.t)
}

// measure tallies matrices, and waits.
func (c *coupledRoots) measure(b engine.Batch[float64]) {
	c.e.Tally(b.Data, b.Count, c.measures.all)
	c.pause()
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
