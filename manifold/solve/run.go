package solve

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spdopt/spdopt/manifold"
)

// run is the state that every solver shares: the current point x, the trial point y, their gradients and memos, counters and stopping.
type run struct {
	m      manifold.Manifold
	f      Objective
	o      Options
	name   string
	hess   Hessian
	prec   Preconditioner
	scale  Scaler
	check  manifold.Checker
	free   bool
	began  time.Time
	status Status
	x, y   place
	step   []float64 // scratch: the vector that is retracted
	moved  []float64 // scratch: a direction carried to y
	reason Reason
	start  float64 // gradient norm at the start
}

// place is a point with what was evaluated there.
type place struct {
	point manifold.Point
	cost  float64
	grad  []float64
	memo  Memo
}

// begin checks the input and evaluates the start.
func begin(name string, m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*run, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	n := m.VectorLen()
	r := &run{m: m, f: f, o: o.WithDefaults(n), name: name, began: time.Now(), step: make([]float64, n), moved: make([]float64, n)}
	r.hess, _ = f.(Hessian)
	r.prec, _ = f.(Preconditioner)
	r.scale, _ = f.(Scaler)
	r.check, _ = m.(manifold.Checker)
	if t, ok := m.(manifold.FreeTransporter); ok {
		r.free = t.FreeTransport()
	}
	for _, p := range []*place{&r.x, &r.y} {
		p.point, p.grad = start.Clone(), make([]float64, n)
		if mm, ok := f.(Memoizer); ok {
			p.memo = mm.NewMemo()
		}
	}
	if r.check != nil {
		if err := r.check.Check(r.x.point); err != nil {
			return nil, fmt.Errorf("solve: the start: %w", err)
		}
	}
	if err := r.evaluate(&r.x); err != nil {
		return nil, fmt.Errorf("solve: evaluating the start: %w", err)
	}
	if !finite(r.x.cost) || !finite(r.norm(&r.x)) {
		return nil, fmt.Errorf("solve: the start has cost %v and gradient norm %v; both must be finite", r.x.cost, r.norm(&r.x))
	}
	r.start = r.norm(&r.x)
	r.refresh()
	return r, nil
}

func (r *run) evaluate(p *place) error {
	r.status.Evaluations++
	c, err := r.f.Evaluate(p.point, p.grad, p.memo)
	p.cost = c
	return err
}

func (r *run) norm(p *place) float64 { return math.Sqrt(r.m.Inner(p.point, p.grad, p.grad)) }

// try moves from x along t*d, evaluates y there and returns the directional derivative at y. A step or point that cannot be used has cost
// +Inf; only errors that a shorter step cannot mend are returned.
func (r *run) try(t float64, d []float64) (slope float64, err error) {
	for i, v := range d {
		r.step[i] = t * v
	}
	err = r.m.Retract(r.y.point, r.x.point, r.step)
	if err == nil {
		err = r.evaluate(&r.y)
	}
	if err != nil || !finite(r.y.cost) {
		r.y.cost = math.Inf(1)
		var s *manifold.StepError
		var p *manifold.PointError
		if err != nil && !errors.As(err, &s) && !errors.As(err, &p) {
			return 0, fmt.Errorf("solve: iteration %d: %w", r.status.Iteration+1, err)
		}
		return math.Inf(1), nil
	}
	if r.free {
		return r.m.Inner(r.y.point, r.y.grad, d), nil
	}
	copy(r.moved, d)
	r.m.Transport(r.x.point, r.y.point, r.moved)
	return r.m.Inner(r.y.point, r.y.grad, r.moved), nil
}

// accept makes y the current point after a step of the given length.
func (r *run) accept(length float64) error {
	if r.check != nil {
		if err := r.check.Check(r.y.point); err != nil {
			return fmt.Errorf("solve: iteration %d, step of norm %.3g: %w", r.status.Iteration+1, length, err)
		}
	}
	r.x, r.y = r.y, r.x
	r.status.Iteration++
	r.status.StepNorm = length
	r.refresh()
	return nil
}

func (r *run) refresh() {
	r.status.Cost, r.status.GradientNorm, r.status.Point = r.x.cost, r.norm(&r.x), r.x.point
	r.status.GradientScale = r.start
	if r.scale != nil {
		r.status.GradientScale = r.scale.GradientScale(r.x.cost)
	}
	r.status.Elapsed = time.Since(r.began)
	r.status.Note()
}

// done applies the stopping criteria and keeps the reason.
func (r *run) done() (stop bool) {
	r.reason, stop = r.o.Done(&r.status)
	return stop
}

// stalled ends the run because no step improves the point.
func (r *run) stalled(what string) {
	r.reason = Reason{Name: "stalled", Detail: fmt.Sprintf("%s at gradient norm %.3g", what, r.status.GradientNorm),
		Advice: "if the relative gradient is small this is the rounding level of the problem; otherwise check the gradient (spdopt check gradient) or try the trust solver"}
}

// result closes the run.
func (r *run) result() (*Result, error) {
	s := &r.status
	if c, ok := r.m.(manifold.Completer); ok {
		if err := c.Complete(r.x.point); err != nil {
			return nil, fmt.Errorf("solve: after iteration %d: %w", s.Iteration, err)
		}
	}
	out := &Result{Solver: r.name, Point: r.x.point, Converged: r.reason.Converged, Reason: r.reason, Iterations: s.Iteration,
		Objective: s.Cost, GradientNorm: s.GradientNorm, Certificate: r.certify()}
	out.RelativeGradient = s.GradientNorm / s.GradientScale
	out.Evaluations, out.HessianProducts, out.Elapsed = s.Evaluations, s.HessianProducts, time.Since(r.began)
	return out, nil
}

// certify asks the objective for a bound, otherwise estimates the distance by the length of the Newton step where a Hessian is at hand.
func (r *run) certify() Certificate {
	if c, ok := r.f.(Certifier); ok {
		return c.Certify(r.x.point, r.status.GradientNorm, r.x.memo)
	}
	if r.hess == nil {
		return Certificate{Kind: "none"}
	}
	n := len(r.x.grad)
	s, res, d, hd := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	copy(res, r.x.grad)
	copy(d, res)
	rr := r.m.Inner(r.x.point, res, res)
	target := 1e-4 * rr
	for range 100 {
		if rr <= target {
			break
		}
		if r.hessian(hd, d) != nil {
			return Certificate{Kind: "none"}
		}
		curvature := r.m.Inner(r.x.point, d, hd)
		if !(curvature > 0) {
			return Certificate{Kind: "none"}
		}
		alpha := rr / curvature
		axpy(alpha, d, s)
		axpy(-alpha, hd, res)
		next := r.m.Inner(r.x.point, res, res)
		for i := range d {
			d[i] = res[i] + next/rr*d[i]
		}
		rr = next
	}
	return Certificate{Kind: "newton-step", Value: math.Sqrt(r.m.Inner(r.x.point, s, s))}
}

func (r *run) hessian(dst, v []float64) error {
	r.status.HessianProducts++
	return r.hess.HessianVec(dst, r.x.point, v, r.x.memo)
}

// carry transports v from the old point y to the new point x after accept.
func (r *run) carry(v []float64) {
	if !r.free {
		r.m.Transport(r.y.point, r.x.point, v)
	}
}

// firstStep returns the length of the first step to try.
func (r *run) firstStep() float64 {
	if r.o.FirstStep > 0 {
		return r.o.FirstStep
	}
	return min(r.status.GradientNorm, math.Sqrt(math.Sqrt(float64(len(r.x.grad)))))
}

func finite(v float64) bool { return v-v == 0 }

func axpy(a float64, x, y []float64) {
	for i, v := range x {
		y[i] += a * v
	}
}
