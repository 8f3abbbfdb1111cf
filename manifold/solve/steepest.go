package solve

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var steepest = Solver{
	Name: "steepest",
	What: "steepest descent with Barzilai-Borwein steps and a nonmonotone line search; first derivatives, least memory",
	Run:  Steepest,
}

// averaging is the weight of the past in the reference cost of the nonmonotone search (Zhang and Hager, SIAM J. Optim. 14 (2004) 1043-1056).
const averaging = 0.85

// Steepest runs Riemannian steepest descent. The step is the Barzilai-Borwein quotient <s,s>/<s,y> of the last step s and gradient change y
// (IMA J. Numer. Anal. 8 (1988) 141-148; on manifolds: Iannazzo and Porcelli, IMA J. Numer. Anal. 38 (2018) 495-517), accepted against a running average of the cost.
// With a Preconditioner P the direction is -P times the gradient and the quotient <s,s>/<s,y> in the metric of P^-1; no step is tried first that is longer than usual and than
// that of Newton's method.
// One evaluation and one retraction per iteration when the first trial is accepted.
func Steepest(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, err := begin("steepest", m, f, start, o)
	if err != nil {
		return nil, err
	}
	d := r.vector(len(r.x.grad))
	var t float64 // of the next trial; 0 if nothing is known
	reference, weight := r.x.cost, 1.0
	if err := r.keep(func(c *codec) { c.float(&t); c.float(&reference); c.float(&weight) }); err != nil {
		return nil, err
	}
	for !r.done() {
		slope, norm, err := r.steepest(d)
		if err != nil {
			return nil, err
		}
		fresh := t == 0 && norm > 0
		if fresh {
			t = r.firstTrial(norm)
		} else if r.prec != nil {
			t = min(t, max(1, r.longStep()/norm))
		}
		var ok bool
		t, ok, err = r.lineSearch(d, slope, t, reference, r.status.Iteration == 0 && r.prec == nil)
		if err != nil {
			return nil, err
		}
		if !ok && !fresh {
			t = 0
			continue
		}
		if !ok {
			r.stalled("no step along the gradient decreases the cost")
			break
		}
		r.accept(t * norm)
		reference = (averaging*weight*reference + r.x.cost) / (averaging*weight + 1)
		weight = averaging*weight + 1
		r.carry(d)
		t = barzilaiBorwein(slope, m.Inner(r.x.point, d, r.x.grad), t)
	}
	return r.result()
}

// steepest sets d to minus the gradient at x, preconditioned, and returns its slope and its norm.
func (r *run) steepest(d []float64) (slope, norm float64, err error) {
	if r.prec == nil {
		dense.Scale(-1, r.x.grad, d)
		norm = r.status.GradientNorm
		return -norm * norm, norm, nil
	}
	if err := r.precondition(d, r.x.grad); err != nil {
		return 0, 0, err
	}
	dense.Scale(-1, d, d)
	return r.m.Inner(r.x.point, d, r.x.grad), math.Sqrt(r.m.Inner(r.x.point, d, d)), nil
}

// barzilaiBorwein returns the next first trial after a step t along a direction, given the slopes at its start and end.
func barzilaiBorwein(start, end, t float64) float64 {
	if !(end > start) {
		return 2 * t
	}
	return min(max(t*start/(start-end), 0.05*t), 20*t)
}
