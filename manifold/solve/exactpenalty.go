package solve

import (
	"fmt"
	"math"
	"slices"

	"github.com/spdopt/spdopt/manifold"
)

var exactPenalty = Solver{
	Name:  "exact-penalty",
	What:  "exact penalty for equality and inequality constraints, smoothed less and less, L-BFGS inside",
	Needs: "a Constrained",
	Run:   ExactPenalty,
}

const (
	exactTolerance = 1e-6 // default: the smoothing costs digits
	exactFirst     = 1    // first penalty, in units of the gradient over the constraint gradients
	exactGrowth    = 3.3  // of the penalty while a violation exceeds the smoothing
	smoothFirst    = 0.1  // first width of the smoothing
	smoothFall     = 0.1  // its factor in an iteration
	smoothLeast    = 1e-2 // least width, in units of the tolerance
	vainMaximum    = 6    // inner runs of one problem that halve no gradient
)

// ExactPenalty minimizes a Constrained by the cost plus a penalty times the sum of |c_i| over the equalities and of max(0, c_i) over the inequalities, smoothed
// as u log(e^(c/u) + e^(-c/u)) and u log(1 + e^(c/u)) with a width u that falls (Liu and Boumal, Appl. Math. Optim. 82 (2020) 949-981, algorithm 2 with the
// log-sum-exp smoothing). An iteration is a run of LBFGS; then u falls tenfold, and the penalty grows while a violation exceeds u. The run has converged when the
// gradient of the smoothed cost, relative to the gradient scale, and every violation and complementarity defect min(-c_i, multiplier_i) are at most
// Options.Tolerance, by default 1e-6; Status.GradientNorm is the larger of the two in the units of the gradient. The multipliers are the slopes of the penalty.
// AugmentedLagrangian reaches more digits, and ExactPenalty needs no multiplier to stay bounded. MaxIterations, callbacks and checkpoints as there. No certificate.
func ExactPenalty(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, g, err := beginConstrained("exact-penalty", m, f, start, o, exactTolerance)
	if err != nil {
		return nil, err
	}
	p, err := newPenalized(r, g)
	if err != nil {
		return nil, err
	}
	if err := r.keep(p.fields); err != nil {
		return nil, err
	}
	for !r.done() {
		if p.vain == vainMaximum {
			r.stalled(fmt.Sprintf("the penalty of width %.2g, which a violation of %.2g needs, is sharper than rounding allows", p.width, p.violation))
			r.reason.Advice = "loosen the tolerance, scale the constraints down, or try the augmented-lagrangian solver"
			break
		}
		if err := p.iterate(); err != nil {
			return nil, fmt.Errorf("solve: outer iteration %d: %w", r.status.Iteration+1, err)
		}
		if p.penalty > penaltyMaximum*p.first {
			r.reason = infeasible(p.violation, p.penalty)
			break
		}
	}
	out, err := r.result()
	if err != nil {
		return nil, err
	}
	out.Multipliers, out.Violation = p.multipliersOf(p.weights), p.violation
	return out, nil
}

// penalized is the objective of the inner runs, and the state of the outer one.
type penalized struct {
	constraints
	r         *run
	penalty   float64
	first     float64 // penalty
	width     float64 // of the smoothing
	tolerance float64 // relative, of the next inner run
	violation float64 // largest at x
	vain      int     // inner runs so far that neither converged nor halved the gradient, of a problem that stays the same
}

var (
	_ Memoizer = (*penalized)(nil)
	_ Scaler   = (*penalized)(nil)
)

func newPenalized(r *run, f Constrained) (*penalized, error) {
	c, err := newConstraints(r, f)
	if err != nil {
		return nil, err
	}
	p := &penalized{constraints: c, r: r, width: smoothFirst, tolerance: max(innerFirst, r.o.Tolerance/2)}
	p.penalty = exactFirst * math.Max(1, r.status.GradientNorm)
	p.first = p.penalty
	p.violation = p.defect()
	r.observe(r.x.point, r.x.cost, math.Inf(1), r.status.GradientScale)
	return p, nil
}

func (p *penalized) fields(c *codec) {
	c.vector(p.unit)
	c.vector(p.weights)
	for _, v := range []*float64{&p.penalty, &p.first, &p.width, &p.tolerance, &p.violation} {
		c.float(v)
	}
	c.integer(&p.vain)
}

// slope returns the derivative of the smoothed penalty of constraint i.
func (p *penalized) slope(i int) float64 {
	t := p.c[i] / p.width
	if i < p.equalities {
		return p.penalty * math.Tanh(t)
	}
	return p.penalty / (1 + math.Exp(-t))
}

// value returns the smoothed penalty of constraint i, without overflow.
func (p *penalized) value(i int) float64 {
	c := p.c[i]
	if i < p.equalities {
		return p.penalty * (math.Abs(c) + p.width*math.Log1p(math.Exp(-2*math.Abs(c)/p.width)))
	}
	return p.penalty * (max(0, c) + p.width*math.Log1p(math.Exp(-math.Abs(c)/p.width)))
}

// defect returns the largest violation or complementarity defect at the values c, in the units of the caller; it makes the weights the multipliers.
func (p *penalized) defect() (most float64) {
	for i, c := range p.c {
		p.weights[i] = p.slope(i)
		c /= p.unit[i]
		if i < p.equalities {
			most = max(most, math.Abs(c))
		} else {
			most = max(most, c, min(-c, p.weights[i]*p.unit[i]))
		}
	}
	return most
}

// iterate minimizes the smoothed cost from x and updates width, penalty and tolerance.
func (p *penalized) iterate() error {
	r := p.r
	out, err := r.inner(p, p.tolerance)
	if err != nil {
		return err
	}
	if err := p.constrain(&r.x); err != nil {
		return err
	}
	p.violation = p.defect()
	penalty, width, tolerance, norm := p.penalty, p.width, p.tolerance, r.status.GradientNorm
	for i, c := range p.c {
		if v := c; i < p.equalities && math.Abs(v) > p.width || i >= p.equalities && v > p.width {
			p.penalty *= exactGrowth
			break
		}
	}
	if p.violation > r.o.Tolerance {
		p.width = max(smoothFall*p.width, smoothLeast*r.o.Tolerance*slices.Min(p.unit))
	}
	p.tolerance = max(innerFall*p.tolerance, r.o.Tolerance/2)
	r.status.Iteration++
	scale := r.status.GradientScale
	r.observe(r.x.point, r.x.cost, max(out.GradientNorm, p.violation*scale), scale)
	if same := penalty == p.penalty && width == p.width && tolerance == p.tolerance; same && !out.Converged && r.status.GradientNorm > norm/2 {
		p.vain++
	} else {
		p.vain = 0
	}
	return nil
}

// GradientScale implements Scaler with the scale of the outer run.
func (p *penalized) GradientScale(float64) float64 { return p.r.status.GradientScale }

// Evaluate implements Objective.
func (p *penalized) Evaluate(x manifold.Point, grad []float64, memo Memo) (float64, error) {
	cost, err := p.f.Evaluate(x, grad, memo)
	if err != nil || !finite(cost) {
		return cost, err
	}
	if err := p.constrain(&place{point: x, memo: memo}); err != nil {
		return 0, err
	}
	for i := range p.c {
		p.weights[i] = p.slope(i)
		cost += p.value(i)
	}
	return cost, p.addGradient(grad, x, memo)
}
