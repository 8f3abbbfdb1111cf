package solve

import (
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
// One evaluation and one retraction per iteration when the first trial is accepted.
func Steepest(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, err := begin("steepest", m, f, start, o)
	if err != nil {
		return nil, err
	}
	d := r.vector(len(r.x.grad))
	t := 1.0
	if g := r.status.GradientNorm; g > 0 {
		t = r.firstStep() / g
	}
	reference, weight := r.x.cost, 1.0
	if err := r.keep(func(c *codec) { c.float(&t); c.float(&reference); c.float(&weight) }); err != nil {
		return nil, err
	}
	for !r.done() {
		dense.Scale(-1, r.x.grad, d)
		norm := r.status.GradientNorm
		var ok bool
		t, ok, err = r.lineSearch(d, -norm*norm, t, reference, r.status.Iteration == 0)
		if err != nil {
			return nil, err
		}
		if !ok {
			r.stalled("no step along the gradient decreases the cost")
			break
		}
		r.accept(t * norm)
		reference = (averaging*weight*reference + r.x.cost) / (averaging*weight + 1)
		weight = averaging*weight + 1
		r.carry(r.y.grad) // the old gradient
		t = barzilaiBorwein(r, r.y.grad, t, norm)
	}
	return r.result()
}

// barzilaiBorwein returns the next first trial after a step t along minus old (already carried to x).
func barzilaiBorwein(r *run, old []float64, t, norm float64) float64 {
	sy := t * (norm*norm - r.m.Inner(r.x.point, old, r.x.grad))
	if !(sy > 0) {
		return 2 * t
	}
	return min(max(t*t*norm*norm/sy, 0.05*t), 20*t)
}
