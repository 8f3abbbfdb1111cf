package solve

import (
	"errors"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

const trustName = "trust"

var trust = Solver{
	Name: trustName,
	What: "trust region with truncated conjugate gradients; exact Hessian products where the problem has them, otherwise differences",
	Run:  Trust,
}

// Constants of the trust region, after Absil, Baker and Gallivan, Found. Comput. Math. 7 (2007), algorithm 1.
const (
	acceptRatio  = 0.1
	shrinkRatio  = 0.25
	growRatio    = 0.75
	innerLinear  = 0.1 // kappa of the truncated CG stopping rule
	innerMaximum = 500
	innerLeast   = 1e-15 // share of the gradient's scale below which a residual is rounding: along flat directions it would grow to steps that mean nothing
)

// Trust runs the Riemannian trust-region method with the truncated conjugate gradients of Steihaug and Toint. Without Hessian the product is
// a difference of gradients along the retraction, carried back. Per iteration: one evaluation and a few Hessian products.
func Trust(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, err := begin(trustName, m, f, start, o)
	if err != nil {
		return nil, err
	}
	return trustRegion(r)
}

// trustRegion runs the method on r, with whatever Hessian r has.
func trustRegion(r *run) (*Result, error) {
	m, c, first := r.m, newTruncatedCG(r), r.x.cost
	radius := r.firstStep()
	largest := math.Max(radius, 8*math.Sqrt(math.Sqrt(float64(len(r.x.grad)))))
	if err := r.keep(func(c *codec) { c.float(&radius); c.float(&largest) }); err != nil {
		return nil, err
	}
	for !r.done() {
		err := c.solve(radius)
		if errors.Is(err, errEdge) {
			r.atEdge()
			break
		}
		if err != nil {
			return nil, err
		}
		length := math.Sqrt(m.Inner(r.x.point, c.s, c.s))
		if err := r.finiteStep(length, c.model); err != nil {
			return nil, err
		}
		slope, err := r.try(1, c.s)
		if err != nil {
			return nil, err
		}
		ratio := r.ratio(c.model, slope, c.s)
		switch {
		case !(ratio >= shrinkRatio):
			radius = length / 4
		case ratio > growRatio && c.atBoundary:
			radius = min(2*radius, largest)
		}
		if ratio > acceptRatio {
			r.accept(length)
		} else if radius < 1e-16*math.Sqrt(float64(len(c.s))) || length == 0 {
			r.stalled("the trust region shrank to nothing")
			break
		}
	}
	r.suspectGradient(first)
	return r.result()
}

// truncatedCG minimizes the quadratic model at x within the radius.
type truncatedCG struct {
	r          *run
	curvature  curvature
	s          []float64 // step
	res, d, hd []float64 // res is the gradient of the model at the step
	z          []float64 // preconditioned residual; res itself without preconditioner
	model      float64   // decrease that the model promises, positive
	atBoundary bool
}

func newTruncatedCG(r *run) *truncatedCG {
	n := len(r.x.grad)
	c := &truncatedCG{r: r, curvature: newCurvature(r), s: r.vector(n), res: r.vector(n), d: r.vector(n), hd: r.vector(n)}
	c.z = c.res
	if r.prec != nil {
		c.z = r.vector(n)
	}
	return c
}

func (c *truncatedCG) solve(radius float64) error {
	r, m, p := c.r, c.r.m, c.r.x.point
	clear(c.s)
	copy(c.res, r.x.grad)
	c.atBoundary = false
	if err := c.precondition(); err != nil {
		return err
	}
	dense.Scale(-1, c.z, c.d)
	zr, ss := m.Inner(p, c.z, c.res), 0.0
	norm0 := r.status.GradientNorm
	target := norm0 * min(innerLinear, norm0/r.start)
	target = max(target, r.innerFloor())
	for range innerMaximum {
		if err := c.curvature.product(c.hd, c.d); err != nil {
			return err
		}
		curvature := m.Inner(p, c.d, c.hd)
		alpha := zr / curvature
		sd, dd := m.Inner(p, c.s, c.d), m.Inner(p, c.d, c.d)
		longer := ss + 2*alpha*sd + alpha*alpha*dd
		if !(curvature > 0) || longer >= radius*radius {
			c.atBoundary = true
			alpha = (-sd + math.Sqrt(sd*sd+dd*(radius*radius-ss))) / dd
		}
		dense.Axpy(alpha, c.d, c.s)
		dense.Axpy(alpha, c.hd, c.res)
		next := m.Inner(p, c.res, c.res)
		if c.atBoundary || math.Sqrt(next) <= target {
			break
		}
		ss = longer
		if r.prec != nil {
			if err := c.precondition(); err != nil {
				return err
			}
			next = m.Inner(p, c.z, c.res)
		}
		dense.Blend(-1, c.z, next/zr, c.d, c.d)
		zr = next
	}
	c.model = -0.5 * (m.Inner(p, r.x.grad, c.s) + m.Inner(p, c.res, c.s)) // H s = res - grad
	return nil
}

// innerFloor is the residual of a model at which its minimization ends in any case.
func (r *run) innerFloor() float64 {
	return 0.1 * max(r.o.Tolerance, innerLeast) * r.status.GradientScale
}

func (c *truncatedCG) precondition() error {
	if c.r.prec == nil {
		return nil
	}
	return c.r.precondition(c.z, c.res)
}
