package solve

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/manifold"
)

var trust = Solver{
	Name: "trust",
	What: "trust region with truncated conjugate gradients; exact Hessian products where the problem has them, otherwise differences",
	Run:  Trust,
}

// Constants of the trust region, after Absil, Baker and Gallivan, Found. Comput. Math. 7 (2007), algorithm 1.
const (
	acceptRatio   = 0.1
	shrinkRatio   = 0.25
	growRatio     = 0.75
	innerLinear   = 0.1 // kappa of the truncated CG stopping rule
	innerMaximum  = 500
	ratioRounding = 1e3 // in units of eps |cost|: added to both sides of the ratio so that rounding does not reject good steps
)

// Trust runs the Riemannian trust-region method with the truncated conjugate gradients of Steihaug and Toint. Without Hessian the product is
// a forward difference of gradients along the retraction, carried back. Per iteration: one evaluation and a few Hessian products.
func Trust(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, err := begin("trust", m, f, start, o)
	if err != nil {
		return nil, err
	}
	c := newTruncatedCG(r)
	radius := r.firstStep()
	largest := math.Max(radius, 8*math.Sqrt(math.Sqrt(float64(len(r.x.grad)))))
	for !r.done() {
		if err := c.solve(radius); err != nil {
			return nil, err
		}
		length := math.Sqrt(m.Inner(r.x.point, c.s, c.s))
		slope, err := r.try(1, c.s)
		if err != nil {
			return nil, err
		}
		ratio := c.ratio(slope)
		switch {
		case ratio < shrinkRatio:
			radius = length / 4
		case ratio > growRatio && c.atBoundary:
			radius = min(2*radius, largest)
		}
		if ratio > acceptRatio {
			if err := r.accept(length); err != nil {
				return nil, err
			}
		} else if radius < 1e-16*math.Sqrt(float64(len(c.s))) || length == 0 {
			r.stalled("the trust region shrank to nothing")
			break
		}
	}
	return r.result()
}

// truncatedCG minimizes the quadratic model at x within the radius.
type truncatedCG struct {
	r          *run
	s, hs      []float64 // step and Hessian times step
	res, d, hd []float64
	z          []float64 // preconditioned residual; res itself without preconditioner
	back       []float64
	model      float64 // decrease that the model promises, positive
	atBoundary bool
}

func newTruncatedCG(r *run) *truncatedCG {
	n := len(r.x.grad)
	c := &truncatedCG{r: r, s: make([]float64, n), hs: make([]float64, n), res: make([]float64, n), d: make([]float64, n), hd: make([]float64, n)}
	c.z = c.res
	if r.prec != nil {
		c.z = make([]float64, n)
	}
	if r.hess == nil {
		c.back = make([]float64, n)
	}
	return c
}

// ratio compares the decrease of the cost at y with the model's. Where the decrease is below the rounding of the cost, the trapezoidal rule
// on the slopes along the step takes its place.
func (c *truncatedCG) ratio(slope float64) float64 {
	r := c.r
	if math.IsInf(r.y.cost, 1) {
		return math.Inf(-1)
	}
	actual := r.x.cost - r.y.cost
	if rounding := ratioRounding * 0x1p-52 * math.Max(1, math.Abs(r.x.cost)); c.model < rounding {
		actual = -(r.m.Inner(r.x.point, r.x.grad, c.s) + slope) / 2
	}
	return actual / c.model
}

func (c *truncatedCG) solve(radius float64) error {
	r, m, p := c.r, c.r.m, c.r.x.point
	clear(c.s)
	clear(c.hs)
	copy(c.res, r.x.grad)
	c.atBoundary = false
	if err := c.precondition(); err != nil {
		return err
	}
	for i, v := range c.z {
		c.d[i] = -v
	}
	zr := m.Inner(p, c.z, c.res)
	norm0 := r.status.GradientNorm
	target := norm0 * min(innerLinear, norm0/r.start)
	target = max(target, 0.1*r.o.Tolerance*r.status.GradientScale)
	for range innerMaximum {
		if err := c.product(); err != nil {
			return err
		}
		curvature := m.Inner(p, c.d, c.hd)
		alpha := zr / curvature
		ss, sd, dd := m.Inner(p, c.s, c.s), m.Inner(p, c.s, c.d), m.Inner(p, c.d, c.d)
		if !(curvature > 0) || ss+2*alpha*sd+alpha*alpha*dd >= radius*radius {
			c.atBoundary = true
			tau := (-sd + math.Sqrt(sd*sd+dd*(radius*radius-ss))) / dd
			axpy(tau, c.d, c.s)
			axpy(tau, c.hd, c.hs)
			break
		}
		axpy(alpha, c.d, c.s)
		axpy(alpha, c.hd, c.hs)
		axpy(alpha, c.hd, c.res)
		if math.Sqrt(m.Inner(p, c.res, c.res)) <= target {
			break
		}
		if err := c.precondition(); err != nil {
			return err
		}
		next := m.Inner(p, c.z, c.res)
		for i, v := range c.z {
			c.d[i] = -v + next/zr*c.d[i]
		}
		zr = next
	}
	c.model = -m.Inner(p, r.x.grad, c.s) - 0.5*m.Inner(p, c.s, c.hs)
	return nil
}

func (c *truncatedCG) precondition() error {
	if c.r.prec == nil {
		return nil
	}
	return c.r.prec.Precondition(c.z, c.r.x.point, c.res, c.r.x.memo)
}

// product sets hd to the Hessian times d, exactly or by a forward difference of gradients.
func (c *truncatedCG) product() error {
	r := c.r
	if r.hess != nil {
		return r.hessian(c.hd, c.d)
	}
	norm := math.Sqrt(r.m.Inner(r.x.point, c.d, c.d))
	h := 0x1p-14 / norm
	r.status.HessianProducts++
	if _, err := r.try(h, c.d); err != nil {
		return err
	}
	if math.IsInf(r.y.cost, 1) {
		return fmt.Errorf("solve: iteration %d: the gradient difference of length %.2g left the domain; give the objective a Hessian product",
			r.status.Iteration+1, h*norm)
	}
	copy(c.back, r.y.grad)
	if !r.free {
		r.m.Transport(r.y.point, r.x.point, c.back)
	}
	for i, g := range c.back {
		c.hd[i] = (g - r.x.grad[i]) / h
	}
	return nil
}
