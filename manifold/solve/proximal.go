package solve

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/manifold"
)

var proximal = Solver{
	Name:  "proximal",
	What:  "proximal gradient for a smooth cost plus a penalty that has a proximal map, with backtracking",
	Needs: "a Penalized; a manifold with Exp and Distance",
	Run:   ProximalGradient,
}

// Penalized is implemented by objectives f + h: Evaluate gives the smooth f and its gradient, h need not be smooth.
type Penalized interface {
	Objective
	// Penalty returns h(p); +Inf outside its domain.
	Penalty(p manifold.Point) (float64, error)
	// Prox writes to dst, which is not p, the minimizer over q of h(q) + d(q,p)^2/(2t).
	Prox(dst, p manifold.Point, t float64) error
}

const (
	proximalDecrease = 0.25  // of d^2/t: the decrease of f + h that a step must have; a step t of at most 1/(2L) has it on flat spaces
	proximalGrowth   = 1.5   // of the step after a first trial that was accepted
	distanceRounding = 1e-15 // times the root of VectorLen: error of a distance, which keeps a tiny t from feigning a small mapping
	maxProximal      = 60
)

// ProximalGradient minimizes f + h of a Penalized by p+ = Prox(exp_p(-t grad f(p)), t) (the intrinsic method of Bergmann, Jasa, John and
// Pfeffer, 2025), with t halved until f + h falls by d(p,p+)^2/(4t). Where that is below the rounding of the cost, t no longer grows, and
// falls when the gradient mapping did not. A retraction in place of exp would move the fixed points, since grad f need not vanish there.
// Status.Cost is f + h, and the gradient norm is that of the gradient mapping, d(p,p+)/t of the last step, relative to the first one: it
// vanishes exactly at stationary points, and is the gradient norm where h = 0. No certificate. Each trial costs one Exp, evaluation, Prox
// and distance.
func ProximalGradient(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	g, ok := f.(Penalized)
	if !ok {
		return nil, fmt.Errorf("solve: proximal needs an objective that is Penalized, not %T", f)
	}
	dist, ok1 := m.(manifold.Distancer)
	exp, ok2 := m.(manifold.Exponential)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("solve: proximal needs a manifold with Exp and Distance, not %T", m)
	}
	r, err := begin("proximal", m, f, start, o)
	if err != nil {
		return nil, err
	}
	r.certifier, r.hess, r.status.NaturalScale = nil, nil, false // they are about f alone
	s := &forwardBackward{r: r, f: g, dist: dist, exp: exp, between: start.Clone(), t: 1}
	if n := r.norm(&r.x); n > 0 {
		s.t = r.firstStep() / n
	}
	if s.total, err = s.cost(&r.x); err != nil {
		return nil, fmt.Errorf("solve: the penalty of the start: %w", err)
	}
	if !finite(s.total) {
		return nil, fmt.Errorf("solve: the penalized cost of the start is %v; it must be finite", s.total)
	}
	r.observe(r.x.point, s.total, math.Inf(1), 1)
	if err := r.keep(func(c *codec) { c.float(&s.t); c.float(&s.scale); c.float(&s.total) }); err != nil {
		return nil, err
	}
	for !r.done() {
		ok, err := s.step()
		if err != nil {
			return nil, fmt.Errorf("solve: iteration %d: %w", r.status.Iteration+1, err)
		}
		if !ok {
			r.stalled("no proximal step decreases the cost")
			break
		}
	}
	return r.result()
}

type forwardBackward struct {
	r       *run
	f       Penalized
	dist    manifold.Distancer
	exp     manifold.Exponential
	between manifold.Point // after the gradient step
	t       float64        // the step
	scale   float64        // norm of the first gradient mapping
	total   float64        // f + h at x
}

// cost returns f + h at p, where f has been evaluated.
func (s *forwardBackward) cost(p *place) (float64, error) {
	h, err := s.f.Penalty(p.point)
	return p.cost + h, err
}

// step moves x by one proximal gradient step; ok is false if no t decreases the cost.
func (s *forwardBackward) step() (ok bool, err error) {
	r := s.r
	for trial := range maxProximal {
		total, d, err := s.try()
		if err != nil {
			return false, err
		}
		promised := proximalDecrease * d * d / s.t
		rounding := ratioRounding * 0x1p-52 * math.Max(1, math.Abs(s.total))
		blurred := promised < rounding
		if total > s.total-promised && !(blurred && total <= s.total+rounding) {
			s.t /= 2
			continue
		}
		mapping, last := (d+distanceRounding*math.Sqrt(float64(len(r.step))))/s.t, r.status.GradientNorm
		if s.scale == 0 {
			s.scale = mapping
		}
		r.x, r.y = r.y, r.x
		s.total = total
		r.status.Iteration++
		r.status.StepNorm = d
		r.observe(r.x.point, total, mapping, s.scale)
		switch {
		case blurred && mapping > last:
			s.t /= 2
		case !blurred && trial == 0:
			s.t *= proximalGrowth
		}
		return true, nil
	}
	return false, nil
}

// prox sets y to the proximal point of the end of the gradient step.
func (s *forwardBackward) prox() (err error) {
	defer s.r.singular(s.between, &err)
	return s.f.Prox(s.r.y.point, s.between, s.t)
}

// try moves y to the end of a step t and returns f + h there and the distance from x; +Inf if the step cannot be used.
func (s *forwardBackward) try() (total, d float64, err error) {
	r := s.r
	for i, g := range r.x.grad {
		r.step[i] = -s.t * g
	}
	err = s.exp.Exp(s.between, r.x.point, r.step)
	if err == nil {
		err = s.prox()
	}
	if err == nil && r.check != nil {
		err = r.check.Check(r.y.point)
	}
	if err == nil {
		err = r.evaluate(&r.y)
	}
	if err == nil {
		total, err = s.cost(&r.y)
	}
	if err == nil {
		d, err = s.dist.Distance(r.x.point, r.y.point)
	}
	switch {
	case err != nil && !mendable(err):
		return 0, 0, err
	case err != nil || !finite(total) || !finite(d):
		return math.Inf(1), 0, nil
	case !finite(r.norm(&r.y)):
		return 0, 0, fmt.Errorf("the gradient is not finite after a step of length %.3g, where the cost is %v; check the gradient of the objective", d, total)
	}
	return total, d, nil
}
