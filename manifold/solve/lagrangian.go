package solve

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/manifold"
)

var augmented = Solver{
	Name:  "augmented-lagrangian",
	What:  "augmented Lagrangian for equality and inequality constraints, L-BFGS inside",
	Needs: "a Constrained",
	Run:   AugmentedLagrangian,
}

// Constrained is implemented by objectives with constraints: c_i(p) = 0 for the equalities, which come first, and c_i(p) <= 0 for the
// inequalities. Scale them so that a violation of Options.Tolerance is small; that their gradients differ in size does not matter, as the solvers divide
// each by the norm that it has at the start, where that is above 1. In both methods memo was filled by Evaluate at p with a gradient.
type Constrained interface {
	Objective
	// Constraints returns the numbers of constraints.
	Constraints() (equalities, inequalities int)
	// Constrain writes the values c_i(p), all finite, to c.
	Constrain(c []float64, p manifold.Point, memo Memo) error
	// ConstraintGradient adds to grad the sum of weights[i] times the Riemannian gradient of c_i at p.
	ConstraintGradient(grad []float64, p manifold.Point, weights []float64, memo Memo) error
}

const (
	penaltyFirst   = 10   // of the rule for the first penalty, Birgin and Martinez (2014), section 12.4
	penaltyGrowth  = 10   // of the penalty where the violation did not fall
	penaltyMaximum = 1e14 // in units of the first: beyond it the constraints are taken to contradict each other
	violationFall  = 0.25 // factor by which the violation must fall to keep the penalty
	innerFirst     = 1e-2 // relative gradient of the first inner run
	innerFall      = 0.1  // of the inner tolerance in each iteration
	multiplierMax  = 1e12 // safeguard of the multipliers, in units of the first penalty
)

// AugmentedLagrangian minimizes a Constrained by the safeguarded augmented Lagrangian method (Birgin and Martinez, Practical Augmented
// Lagrangian Methods, SIAM 2014, algorithm 4.1; on manifolds Liu and Boumal, Appl. Math. Optim. 82 (2020) 949-981). An iteration is a run of
// LBFGS on the cost plus multipliers and penalty, then an update of both. The run has converged when the gradient of the Lagrangian,
// relative to the gradient scale (from a start that minimizes the cost, the gradient of the sum of the constraints), and every violation and complementarity defect max(c_i, -multiplier_i/penalty) are at most
// Options.Tolerance; Status.GradientNorm is the larger of the two in the units of the gradient. Result.Multipliers and Result.Violation say
// more. MaxIterations holds for each inner run and for the number of them, callbacks and checkpoints come between them. No certificate.
func AugmentedLagrangian(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, g, err := beginConstrained("augmented-lagrangian", m, f, start, o, 0)
	if err != nil {
		return nil, err
	}
	l, err := newLagrangian(r, g)
	if err != nil {
		return nil, err
	}
	if err := r.keep(l.fields); err != nil {
		return nil, err
	}
	for !r.done() {
		if err := l.iterate(); err != nil {
			return nil, fmt.Errorf("solve: outer iteration %d: %w", r.status.Iteration+1, err)
		}
		if l.penalty > penaltyMaximum*l.first {
			r.reason = infeasible(l.violation, l.penalty)
			break
		}
	}
	out, err := r.result()
	if err != nil {
		return nil, err
	}
	out.Multipliers, out.Violation = l.multipliersOf(l.multipliers), l.violation
	return out, nil
}

// beginConstrained is begin for the methods for constraints, with the tolerance that is the default of the method; 0 is that of Options.
func beginConstrained(name string, m manifold.Manifold, f Objective, start manifold.Point, o *Options, tolerance float64) (*run, Constrained, error) {
	g, ok := f.(Constrained)
	if !ok {
		return nil, nil, fmt.Errorf("solve: %s needs an objective that is Constrained, not %T", name, f)
	}
	var d Options
	if o != nil {
		d = *o
	}
	if d.Tolerance == 0 {
		d.Tolerance = tolerance
	}
	r, err := begin(name, m, f, start, &d)
	if err != nil {
		return nil, nil, err
	}
	r.certifier, r.hess = nil, nil // they are about the cost alone
	return r, g, nil
}

// infeasible is the reason of a run whose penalty has grown without end.
func infeasible(violation, penalty float64) Reason {
	return Reason{Name: "infeasible", Detail: fmt.Sprintf("violation %.3g at penalty %.3g", violation, penalty),
		Advice: "the constraints seem to contradict each other, or their gradients vanish at the solution: look at the violated ones"}
}

// constraints is what the objectives of inner runs share: those of a Constrained, with their values and the weights of their gradients, both in units in
// which a gradient of more than 1 at the start has norm 1 (as Birgin and Martinez, section 12.2, scale), so that one penalty suits all.
type constraints struct {
	f          Constrained
	equalities int
	c          []float64
	weights    []float64
	unit       []float64 // a constraint in these units over that of the caller, at most 1
	own        []float64 // weights in units of the caller
}

// newConstraints sets c at x. A start that minimizes the cost, and so has no gradient to be the scale of others, leaves that to the constraints.
func newConstraints(r *run, f Constrained) (constraints, error) {
	eq, in := f.Constraints()
	if eq < 0 || in < 0 || eq+in == 0 {
		return constraints{}, fmt.Errorf("solve: the objective has %d equality and %d inequality constraints, want at least one", eq, in)
	}
	k := constraints{f: f, equalities: eq}
	for _, v := range []*[]float64{&k.c, &k.weights, &k.unit, &k.own} {
		*v = make([]float64, eq+in)
	}
	if err := k.setUnits(r); err != nil {
		return k, fmt.Errorf("solve: the start: %w", err)
	}
	if err := k.constrain(&r.x); err != nil {
		return k, fmt.Errorf("solve: the start: %w", err)
	}
	if s := &r.status; s.GradientScale <= r.o.AbsoluteTolerance/r.o.Tolerance && !s.NaturalScale {
		for i := range k.weights {
			k.weights[i] = 1
		}
		norm, err := k.gradientNorm(r)
		if err != nil {
			return k, fmt.Errorf("solve: the start: %w", err)
		}
		s.GradientScale = max(s.GradientScale, norm)
	}
	return k, nil
}

// setUnits sets unit by the gradients at x, one at a time.
func (k *constraints) setUnits(r *run) error {
	unit := make([]float64, len(k.unit))
	for i := range k.unit {
		k.unit[i] = 1
	}
	for i := range unit {
		clear(k.weights)
		k.weights[i] = 1
		norm, err := k.gradientNorm(r)
		if err != nil {
			return err
		}
		if !finite(norm) {
			return fmt.Errorf("the gradient of constraint %d has norm %v; it must be finite", i, norm)
		}
		unit[i] = 1 / math.Max(1, norm)
	}
	copy(k.unit, unit)
	return nil
}

// gradientNorm returns the norm of the weighted sum of the gradients at x.
func (k *constraints) gradientNorm(r *run) (float64, error) {
	clear(r.moved)
	err := k.addGradient(r.moved, r.x.point, r.x.memo)
	return math.Sqrt(r.m.Inner(r.x.point, r.moved, r.moved)), err
}

// addGradient adds to grad the weighted sum of the gradients at p.
func (k *constraints) addGradient(grad []float64, p manifold.Point, memo Memo) error {
	for i, w := range k.weights {
		k.own[i] = w * k.unit[i]
	}
	return k.f.ConstraintGradient(grad, p, k.own, memo)
}

// multipliersOf returns y in the units of the caller.
func (k *constraints) multipliersOf(y []float64) []float64 {
	out := make([]float64, len(y))
	for i, v := range y {
		out[i] = v * k.unit[i]
	}
	return out
}

// constrain sets c at p and checks that it is finite.
func (k *constraints) constrain(p *place) error {
	if err := k.f.Constrain(k.c, p.point, p.memo); err != nil {
		return err
	}
	for i, c := range k.c {
		if !finite(c) {
			return fmt.Errorf("constraint %d is %v; it must be finite", i, c)
		}
		k.c[i] = c * k.unit[i]
	}
	return nil
}

// NewMemo implements Memoizer: the memo is that of the cost.
func (k *constraints) NewMemo() Memo {
	if m, ok := k.f.(Memoizer); ok {
		return m.NewMemo()
	}
	return nil
}

// inner runs LBFGS on f from x to a relative gradient, with the options of the run, and moves x to the end.
func (r *run) inner(f Objective, tolerance float64) (*Result, error) {
	inner := Options{Tolerance: tolerance, AbsoluteTolerance: r.o.AbsoluteTolerance, MaxIterations: r.o.MaxIterations, Memory: r.o.Memory,
		FirstStep: r.o.FirstStep}
	if r.o.MaxTime > 0 {
		inner.MaxTime = max(r.o.MaxTime-r.status.Elapsed, 1)
	}
	out, err := LBFGS(r.m, f, r.x.point, &inner)
	if err != nil {
		return nil, err
	}
	r.status.Evaluations += out.Evaluations
	r.x.point = out.Point
	return out, r.evaluate(&r.x)
}

// lagrangian is the objective of the inner runs, and the state of the outer one.
type lagrangian struct {
	constraints
	r           *run
	multipliers []float64
	penalty     float64
	first       float64 // penalty
	tolerance   float64 // relative, of the next inner run
	violation   float64 // largest at x
}

var (
	_ Memoizer = (*lagrangian)(nil)
	_ Scaler   = (*lagrangian)(nil)
)

func newLagrangian(r *run, f Constrained) (*lagrangian, error) {
	k, err := newConstraints(r, f)
	if err != nil {
		return nil, err
	}
	l := &lagrangian{constraints: k, r: r, multipliers: make([]float64, len(k.c))}
	l.tolerance = max(innerFirst, r.o.Tolerance/2)
	var squares float64
	for i, c := range l.c {
		if i < k.equalities || c > 0 {
			squares += c * c
		}
		l.violation = max(l.violation, l.defect(i))
	}
	l.penalty = penaltyFirst * math.Max(1, math.Abs(r.x.cost)) / math.Max(1, squares/2)
	l.first = l.penalty
	r.observe(r.x.point, r.x.cost, math.Inf(1), r.status.GradientScale)
	return l, nil
}

func (l *lagrangian) fields(c *codec) {
	c.vector(l.unit)
	c.vector(l.multipliers)
	for _, v := range []*float64{&l.penalty, &l.first, &l.tolerance, &l.violation} {
		c.float(v)
	}
}

// defect returns how far constraint i with value c[i] is from being satisfied with complementarity, in the units of the caller.
func (l *lagrangian) defect(i int) float64 {
	d := l.c[i]
	if i >= l.equalities {
		if d = max(d, 0); l.penalty != 0 {
			d = max(l.c[i], -l.multipliers[i]/l.penalty)
		}
	}
	return math.Abs(d) / l.unit[i]
}

// iterate minimizes the augmented Lagrangian from x and updates multipliers, penalty and tolerance.
func (l *lagrangian) iterate() error {
	r := l.r
	out, err := r.inner(l, l.tolerance)
	if err != nil {
		return err
	}
	if err := l.constrain(&r.x); err != nil {
		return err
	}
	before := l.violation
	l.violation = 0
	for i := range l.c {
		l.violation = max(l.violation, l.defect(i))
	}
	l.update()
	if l.violation > max(violationFall*before, r.o.Tolerance) {
		l.penalty *= penaltyGrowth
	}
	l.tolerance = max(innerFall*l.tolerance, r.o.Tolerance/2)
	r.status.Iteration++
	scale := r.status.GradientScale
	r.observe(r.x.point, r.x.cost, max(out.GradientNorm, l.violation*scale), scale)
	return nil
}

// update makes the weights of the constraints at x the multipliers.
func (l *lagrangian) update() {
	most := multiplierMax * l.first
	for i := range l.multipliers {
		l.multipliers[i] = min(max(l.weight(i), -most), most)
	}
}

// weight returns the factor of the gradient of constraint i in the gradient of the augmented Lagrangian.
func (l *lagrangian) weight(i int) float64 {
	w := l.multipliers[i] + l.penalty*l.c[i]
	if i >= l.equalities {
		w = max(0, w)
	}
	return w
}

// GradientScale implements Scaler with the scale of the outer run.
func (l *lagrangian) GradientScale(float64) float64 { return l.r.status.GradientScale }

// Evaluate implements Objective: f plus, for each constraint, (w^2 - multiplier^2)/(2 penalty) with the weight w.
func (l *lagrangian) Evaluate(p manifold.Point, grad []float64, memo Memo) (float64, error) {
	cost, err := l.f.Evaluate(p, grad, memo)
	if err != nil || !finite(cost) {
		return cost, err
	}
	if err := l.constrain(&place{point: p, memo: memo}); err != nil {
		return 0, err
	}
	for i, y := range l.multipliers {
		l.weights[i] = l.weight(i)
		cost += (l.weights[i] - y) * (l.weights[i] + y) / (2 * l.penalty)
	}
	return cost, l.addGradient(grad, p, memo)
}
