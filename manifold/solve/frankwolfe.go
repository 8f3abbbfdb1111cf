package solve

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/manifold"
)

var frankWolfe = Solver{
	Name:  "frank-wolfe",
	What:  "Frank-Wolfe on a geodesically convex set that has an oracle for its extreme points: no projection, and a gap that bounds the cost",
	Needs: "an Oracle; a manifold with Exp and Log",
	Run:   FrankWolfe,
}

// Oracle is implemented by objectives on a compact geodesically convex set, to which the points of a run belong: the start must.
type Oracle interface {
	Objective
	// Extreme writes to dst, which is not p, a point z of the set for which <grad, Log_p(z)> is least. It depends on p and grad alone.
	Extreme(dst, p manifold.Point, grad []float64) error
}

// StronglyConvex is implemented by an Oracle whose cost is strongly convex along the geodesics of its set.
type StronglyConvex interface {
	// Modulus returns mu > 0: the second derivative along unit speed geodesics is at least mu.
	Modulus() float64
}

const frankWolfeFlatness = 0.5 // of the slope along the geodesic that a step may leave

// FrankWolfe minimizes an Oracle: each iteration moves along the geodesic to the extreme point z that the gradient is steepest to, at most up to z (Weber and
// Sra, Math. Program. 199 (2023) 525-556), by a search on slopes. Status.GradientNorm is the gap -<grad, Log_x(z)>, which vanishes exactly at stationary points
// and, where the cost is convex along geodesics, is a bound on how far the cost is above its minimum; Options.Tolerance refers to it and the gap at the start.
// Linear convergence where the minimizer is inside the set, otherwise the gap falls like one over the number of iterations. The certificate is "gap", a bound on
// the distance, if the objective is StronglyConvex, otherwise "none". An iteration costs an oracle, a logarithm and a few evaluations on the way.
func FrankWolfe(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	g, ok := f.(Oracle)
	if !ok {
		return nil, fmt.Errorf("solve: frank-wolfe needs an objective that is an Oracle, not %T", f)
	}
	log, ok1 := m.(manifold.Logarithm)
	exp, ok2 := m.(manifold.Exponential)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("solve: frank-wolfe needs a manifold with Exp and Log, not %T", m)
	}
	r, err := begin("frank-wolfe", m, f, start, o)
	if err != nil {
		return nil, err
	}
	r.certifier, r.hess, r.m = nil, nil, geodesic{m, exp} // the set is convex along geodesics, not along retractions
	r.status.NaturalScale = false                         // gaps refer to the first one
	w := &conditional{r: r, f: g, log: log, z: start.Clone(), v: make([]float64, len(r.x.grad)), last: 1}
	if err := w.aim(); err != nil {
		return nil, fmt.Errorf("solve: the start: %w", err)
	}
	w.scale = w.gap
	r.observe(r.x.point, r.x.cost, w.gap, w.scale)
	if err := r.keep(func(c *codec) { c.float(&w.scale); c.float(&w.last); c.float(&w.gap) }); err != nil {
		return nil, err
	}
	if r.o.Restore != nil {
		if err := w.aim(); err != nil {
			return nil, err
		}
	}
	for !r.done() {
		ok, err := w.step()
		if err != nil {
			return nil, fmt.Errorf("solve: iteration %d: %w", r.status.Iteration+1, err)
		}
		if !ok {
			r.stalled("no step towards the extreme point decreases the cost")
			break
		}
	}
	r.m = m // knows how to complete a point
	out, err := r.result()
	if c, ok := f.(StronglyConvex); err == nil && ok && c.Modulus() > 0 {
		out.Certificate = Certificate{Kind: "gap", Value: math.Sqrt(2 * w.gap / c.Modulus()), Bound: true}
	}
	return out, err
}

// geodesic is a manifold whose steps follow geodesics.
type geodesic struct {
	manifold.Manifold
	exp manifold.Exponential
}

// Retract implements manifold.Manifold.
func (g geodesic) Retract(dst, p manifold.Point, v []float64) error { return g.exp.Exp(dst, p, v) }

// conditional is the state of FrankWolfe.
type conditional struct {
	r     *run
	f     Oracle
	log   manifold.Logarithm
	z     manifold.Point
	v     []float64 // logarithm of z at x
	gap   float64
	scale float64 // gap at the start
	last  float64 // share of the way that the last step went
}

// aim finds the extreme point at x and the gap.
func (w *conditional) aim() error {
	r := w.r
	if err := w.f.Extreme(w.z, r.x.point, r.x.grad); err != nil {
		return fmt.Errorf("the extreme point: %w", err)
	}
	if err := w.log.Log(w.v, r.x.point, w.z); err != nil {
		return fmt.Errorf("the extreme point: %w", err)
	}
	if w.gap = -r.m.Inner(r.x.point, r.x.grad, w.v); !finite(w.gap) {
		return fmt.Errorf("the gap is %v", w.gap)
	}
	w.gap = max(w.gap, 0)
	return nil
}

// step moves x towards z; ok is false if no step decreases the cost.
func (w *conditional) step() (ok bool, err error) {
	r := w.r
	t, ok, err := w.search()
	if err != nil || !ok {
		return ok, err
	}
	length := t * math.Sqrt(r.m.Inner(r.x.point, w.v, w.v))
	r.x, r.y = r.y, r.x
	w.last = t
	r.status.Iteration++
	r.status.StepNorm = length
	if err := w.aim(); err != nil {
		return false, err
	}
	r.observe(r.x.point, r.x.cost, w.gap, w.scale)
	return true, nil
}

// search finds a share t of the way to z, at most all of it, at which the cost has fallen and its slope is small, or still negative at z. On success y holds
// the point.
func (w *conditional) search() (t float64, ok bool, err error) {
	r, slope0 := w.r, -w.gap
	if !(slope0 < 0) {
		return 0, false, nil
	}
	slack := costSlack * math.Abs(r.x.cost)
	lo, slopeLo, hi, slopeHi := 0.0, slope0, 1.0, math.Inf(1)
	t = min(1, 4*w.last)
	for range maxLineTrials {
		slope, err := r.try(t, w.v)
		if err != nil {
			return 0, false, err
		}
		cost := r.y.cost
		fallen := cost <= r.x.cost+armijoSlope*t*slope0 || cost <= r.x.cost+slack && slope <= (2*armijoSlope-1)*slope0
		if fallen && (math.Abs(slope) <= frankWolfeFlatness*w.gap || t == 1 && slope < 0) {
			return t, true, nil
		}
		if slope >= 0 || cost > r.x.cost+slack {
			if hi, slopeHi = t, slope; cost > r.x.cost+slack {
				slopeHi = math.Inf(1)
			}
		} else {
			lo, slopeLo = t, slope
		}
		next := nextTrial(lo, hi, slopeLo, slopeHi, slope0, cost-r.x.cost, t)
		if hi == 1 && math.IsInf(slopeHi, 1) && lo == t {
			next = 1 // still falling, and nothing is known about z
		}
		if next == t || !(next > 0) {
			break
		}
		t = next
	}
	return 0, false, nil
}
