package solve

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/manifold"
)

var barrier = Solver{
	Name:  "barrier",
	What:  "interior point: logarithmic barrier for inequality constraints, every point strictly feasible, L-BFGS inside",
	Needs: "a Constrained without equalities; a strictly feasible start",
	Run:   Barrier,
}

const barrierFall = 0.1 // of the weight of the barrier in an iteration

// Barrier minimizes a Constrained without equalities by the cost minus mu times the sum of log(-c_i), with a weight mu that falls tenfold (Fiacco and McCormick,
// 1968; Boyd and Vandenberghe, Convex Optimization, 2004, section 11.3): an iteration is a run of LBFGS, whose points all satisfy c_i < 0, as the start must. The
// run has converged when the gradient of the barrier cost, relative to the gradient scale, and every complementarity defect min(-c_i, multiplier_i) are at most
// Options.Tolerance, by default 1e-6; Status.GradientNorm is the larger of the two in the units of the gradient. The multipliers are mu/(-c_i). Where cost and
// constraints are convex along geodesics the cost is above its minimum by at most mu times the number of constraints, up to the gradient that is left.
// MaxIterations, callbacks and checkpoints as in AugmentedLagrangian. No certificate. (The primal-dual method of Lai and Yoshise, J. Optim. Theory Appl. 201 (2024) 433-469,
// also takes equalities, and Hessians.)
func Barrier(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, g, err := beginConstrained("barrier", m, f, start, o, exactTolerance)
	if err != nil {
		return nil, err
	}
	b, err := newInterior(r, g)
	if err != nil {
		return nil, err
	}
	if err := r.keep(b.fields); err != nil {
		return nil, err
	}
	for !r.done() {
		if err := b.iterate(); err != nil {
			return nil, fmt.Errorf("solve: outer iteration %d: %w", r.status.Iteration+1, err)
		}
	}
	out, err := r.result()
	if err != nil {
		return nil, err
	}
	out.Multipliers, out.Violation = b.multipliersOf(b.weights), b.violation
	return out, nil
}

// interior is the objective of the inner runs, and the state of the outer one.
type interior struct {
	constraints
	r         *run
	mu        float64
	tolerance float64 // relative, of the next inner run
	violation float64 // complementarity defect at x
}

var (
	_ Memoizer = (*interior)(nil)
	_ Scaler   = (*interior)(nil)
)

func newInterior(r *run, f Constrained) (*interior, error) {
	k, err := newConstraints(r, f)
	if err != nil {
		return nil, err
	}
	if k.equalities > 0 {
		return nil, fmt.Errorf("solve: barrier takes no equality constraints, the objective has %d; use augmented-lagrangian", k.equalities)
	}
	b := &interior{constraints: k, r: r, tolerance: max(innerFirst, r.o.Tolerance/2)}
	for i, c := range b.c {
		if !(c < 0) {
			return nil, fmt.Errorf("solve: the start: constraint %d is %v, want less than 0: start inside, or use augmented-lagrangian", i, c/b.unit[i])
		}
	}
	b.mu = math.Max(1, r.status.GradientNorm) / float64(len(b.c))
	b.violation = b.defect()
	r.observe(r.x.point, r.x.cost, math.Inf(1), r.status.GradientScale)
	return b, nil
}

func (b *interior) fields(c *codec) {
	c.vector(b.unit)
	c.vector(b.weights)
	for _, v := range []*float64{&b.mu, &b.tolerance, &b.violation} {
		c.float(v)
	}
}

// defect returns the largest complementarity defect at the values c, in the units of the caller; it makes the weights the multipliers.
func (b *interior) defect() (most float64) {
	for i, c := range b.c {
		b.weights[i] = -b.mu / c
		most = max(most, min(-c/b.unit[i], b.weights[i]*b.unit[i]))
	}
	return most
}

// iterate minimizes the barrier cost from x and lowers the weight of the barrier and the tolerance.
func (b *interior) iterate() error {
	r := b.r
	out, err := r.inner(b, b.tolerance)
	if err != nil {
		return err
	}
	if err := b.constrain(&r.x); err != nil {
		return err
	}
	b.violation = b.defect()
	b.mu *= barrierFall
	b.tolerance = max(innerFall*b.tolerance, r.o.Tolerance/2)
	r.status.Iteration++
	scale := r.status.GradientScale
	r.observe(r.x.point, r.x.cost, max(out.GradientNorm, b.violation*scale), scale)
	return nil
}

// GradientScale implements Scaler with the scale of the outer run.
func (b *interior) GradientScale(float64) float64 { return b.r.status.GradientScale }

// Evaluate implements Objective; the cost of a point that is not strictly feasible is +Inf.
func (b *interior) Evaluate(x manifold.Point, grad []float64, memo Memo) (float64, error) {
	cost, err := b.f.Evaluate(x, grad, memo)
	if err != nil || !finite(cost) {
		return cost, err
	}
	if err := b.constrain(&place{point: x, memo: memo}); err != nil {
		return 0, err
	}
	for i, c := range b.c {
		if !(c < 0) {
			return math.Inf(1), nil
		}
		cost -= b.mu * math.Log(-c)
		b.weights[i] = -b.mu / c
	}
	return cost, b.addGradient(grad, x, memo)
}
