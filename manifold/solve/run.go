package solve

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// run is the state that every solver shares: the current point x, the trial point y, their gradients and memos, counters and stopping.
type run struct {
	m         manifold.Manifold
	f         Objective
	o         Options
	name      string
	hess      Hessian
	certifier Certifier
	prec      Preconditioner
	scale     Scaler
	rounding  Rounder
	check     manifold.Checker
	free      bool
	began     time.Time
	status    Status
	x, y      place
	step      []float64 // scratch: the vector that is retracted
	moved     []float64 // scratch: a direction carried to y
	reason    Reason
	start     float64 // gradient norm at the start

	flatness float64 // sigma of the Wolfe condition
	strong   bool    // whether the slope at a step is bounded on both sides

	blind   bool         // no gradients: their norm is +Inf, slopes are 0
	own     func(*codec) // the solver's own part of the state
	saved   State
	last    int // iteration of the last checkpoint
	called  int // iteration that the callback has seen
	failure error
	lent    [][]float64 // vectors of the run, which are recycled when it ends
}

// place is a point with what was evaluated there.
type place struct {
	point manifold.Point
	cost  float64
	grad  []float64
	memo  Memo
}

// begin checks the input and evaluates the start with its gradient.
func begin(name string, m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*run, error) {
	return prepare(name, m, f, start, o, false)
}

// prepare is begin for a run that, if blind, never asks for a gradient.
func prepare(name string, m manifold.Manifold, f Objective, start manifold.Point, o *Options, blind bool) (r *run, err error) {
	if err := cmp.Or(o.Validate(), complete(m, f, start)); err != nil {
		return nil, err
	}
	defer misfit(&err)
	n := m.VectorLen()
	r = &run{m: m, f: f, o: o.WithDefaults(n), name: name, began: time.Now(), flatness: wolfeSlope, blind: blind}
	r.step, r.moved = r.vector(n), r.vector(n)
	if !blind {
		r.hess, _ = f.(Hessian)
		r.certifier, _ = f.(Certifier)
	}
	r.prec, _ = f.(Preconditioner)
	r.scale, _ = f.(Scaler)
	r.rounding, _ = f.(Rounder)
	r.check, _ = m.(manifold.Checker)
	if t, ok := m.(manifold.FreeTransporter); ok {
		r.free = t.FreeTransport()
	}
	for _, p := range []*place{&r.x, &r.y} {
		p.point, p.grad = start.Clone(), r.vector(n)
		if mm, ok := f.(Memoizer); ok {
			p.memo = mm.NewMemo()
		}
	}
	if err := r.first(); err != nil {
		return nil, err
	}
	if err := r.evaluate(&r.x); err != nil {
		return nil, fmt.Errorf("solve: evaluating the start: %w", err)
	}
	if !finite(r.x.cost) || !blind && !finite(r.norm(&r.x)) {
		return nil, &StartError{r.x.cost, r.norm(&r.x)}
	}
	r.start = r.norm(&r.x)
	r.refresh()
	return r, nil
}

// complete refuses a call that lacks something.
func complete(m manifold.Manifold, f Objective, start manifold.Point) error {
	switch {
	case m == nil:
		return errors.New("solve: the manifold is nil")
	case f == nil:
		return errors.New("solve: the objective is nil")
	case start == nil, isNilPointer(start):
		return errors.New("solve: the start is nil")
	}
	return nil
}

// isNilPointer reports whether p is a nil pointer to a point of some type, as a constructor returns it beside its error.
func isNilPointer(p manifold.Point) bool {
	v := reflect.ValueOf(p)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// misfit turns the panic of a start that is no point of the manifold into *err.
func misfit(err *error) {
	switch p := recover().(type) {
	case nil:
	case manifold.Error:
		*err = fmt.Errorf("solve: the start: %w", p)
	default:
		panic(p)
	}
}

// first makes x the start, checked, or the point of the state to restore.
func (r *run) first() error {
	if r.o.Restore != nil {
		c, err := r.o.Restore.open()
		if err != nil {
			return err
		}
		c.point(r.name, len(r.x.grad), r.x.point)
		return c.err
	}
	if r.check != nil {
		if err := r.check.Check(r.x.point); err != nil {
			return fmt.Errorf("solve: the start: %w", err)
		}
	}
	return nil
}

// keep names the solver's own part of the state, and restores the state if the options have one. The solver calls it once, before its first done.
func (r *run) keep(own func(*codec)) error {
	r.own, r.last = own, -1
	if r.o.Restore == nil {
		return nil
	}
	cost, norm := r.x.cost, r.norm(&r.x)
	c, err := r.o.Restore.open()
	if err != nil {
		return err
	}
	r.fields(c)
	if err := c.close(); err != nil {
		return err
	}
	s := &r.status
	if saved := r.norm(&r.x); math.Abs(r.x.cost-cost) > sameObjective*math.Max(1, math.Abs(cost)) || math.Abs(saved-norm) > sameObjective*math.Max(norm, r.start) {
		return &StateError{fmt.Sprintf("the objective has cost %v and gradient norm %v at the point of the state, the state %v and %v; it belongs to another objective",
			cost, norm, r.x.cost, saved)}
	}
	s.Point, r.began, r.called, r.last = r.x.point, time.Now().Add(-s.Elapsed), s.Iteration, s.Iteration
	return nil
}

// sameObjective is the relative difference up to which a restored cost is taken for the cost of this objective, on another build perhaps.
const sameObjective = 1e-6

// fields lists the state.
func (r *run) fields(c *codec) {
	c.point(r.name, len(r.x.grad), r.x.point)
	c.float(&r.x.cost)
	c.vector(r.x.grad)
	c.float(&r.start)
	c.counters(&r.status)
	r.own(c)
}

// checkpoint hands the state to the options' hook when it is due: every so many iterations, and when the run stops.
func (r *run) checkpoint(stop bool) error {
	if r.o.Checkpoint == nil || r.status.Iteration == r.last || !stop && r.status.Iteration%r.o.CheckpointEvery != 0 {
		return nil
	}
	r.last = r.status.Iteration
	err := r.saved.save(r.fields)
	if err == nil {
		err = r.o.Checkpoint(&r.saved)
	}
	if err != nil {
		return fmt.Errorf("solve: checkpoint after iteration %d: %w", r.status.Iteration, err)
	}
	return nil
}

func (r *run) evaluate(p *place) (err error) {
	defer r.singular(p.point, &err)
	r.status.Evaluations++
	grad := p.grad
	if r.blind {
		grad = nil
	}
	p.cost, err = r.f.Evaluate(p.point, grad, p.memo)
	return err
}

// singular turns the panic of an objective that asked for what Retract put off at p, and that rounding does not allow, into its *PointError.
func (r *run) singular(p manifold.Point, err *error) {
	panicked := recover()
	if panicked == nil {
		return
	}
	if c, ok := r.m.(manifold.Completer); ok {
		if *err = c.Complete(p); *err != nil {
			return
		}
	}
	panic(panicked)
}

func (r *run) norm(p *place) float64 {
	if r.blind {
		return math.Inf(1)
	}
	return math.Sqrt(r.m.Inner(p.point, p.grad, p.grad))
}

// try moves from x along t*d, evaluates y there and returns the directional derivative at y. A step or point that cannot be used has cost
// +Inf; only errors that a shorter step cannot mend are returned.
func (r *run) try(t float64, d []float64) (slope float64, err error) {
	dense.Scale(t, d, r.step)
	err = r.m.Retract(r.y.point, r.x.point, r.step)
	if err == nil && r.check != nil {
		err = r.check.Check(r.y.point)
	}
	if err == nil {
		err = r.evaluate(&r.y)
	}
	if err != nil || !finite(r.y.cost) {
		r.y.cost = math.Inf(1)
		if err != nil && !mendable(err) {
			return 0, fmt.Errorf("solve: iteration %d: %w", r.status.Iteration+1, err)
		}
		return math.Inf(1), nil
	}
	if r.blind {
		return 0, nil
	}
	if !r.free {
		copy(r.moved, d)
		r.m.Transport(r.x.point, r.y.point, r.moved)
		d = r.moved
	}
	if slope = r.m.Inner(r.y.point, r.y.grad, d); !finite(slope) {
		return 0, fmt.Errorf("solve: iteration %d: the gradient is not finite after a step %.3g along a direction of norm %.3g, where the cost is %v; check the gradient of the objective",
			r.status.Iteration+1, t, math.Sqrt(r.m.Inner(r.y.point, d, d)), r.y.cost)
	}
	return slope, nil
}

// mendable reports whether a shorter step may avoid the error.
func mendable(err error) bool {
	var s *manifold.StepError
	var p *manifold.PointError
	return errors.As(err, &s) || errors.As(err, &p)
}

// accept makes y the current point after a step of the given length.
func (r *run) accept(length float64) {
	r.x, r.y = r.y, r.x
	r.status.Iteration++
	r.status.StepNorm = length
	r.refresh()
}

// refresh tells the stopping criteria about x.
func (r *run) refresh() {
	scale := r.start
	if r.blind {
		scale = 1
	} else if r.scale != nil {
		scale, r.status.NaturalScale = r.scale.GradientScale(r.x.cost), true
	}
	if !r.blind && r.rounding != nil {
		r.status.GradientRounding = r.rounding.GradientRounding(r.x.memo)
	}
	r.observe(r.x.point, r.x.cost, r.norm(&r.x), scale)
}

// observe tells the stopping criteria about an iterate.
func (r *run) observe(p manifold.Point, cost, gradient, scale float64) {
	s := &r.status
	s.Point, s.Cost, s.GradientNorm, s.GradientScale, s.Elapsed = p, cost, gradient, scale, time.Since(r.began)
	s.Note()
}

// done applies the stopping criteria, keeps the reason and saves the state where that is due.
func (r *run) done() (stop bool) {
	o := r.o
	if r.called == r.status.Iteration {
		o.Callback = nil // a step was rejected, or the state restored
	}
	r.called = r.status.Iteration
	r.reason, stop = o.Done(&r.status)
	r.failure = r.checkpoint(stop)
	return stop || r.failure != nil
}

// stalled ends the run because no step improves the point.
func (r *run) stalled(what string) {
	r.reason = Reason{Name: "stalled", Detail: fmt.Sprintf("%s at gradient norm %.3g", what, r.status.GradientNorm),
		Advice: "if the relative gradient is small this is the rounding level of the problem; otherwise check the gradient (spdopt check gradient) or " + tryTrust}
}

// suspectGradient changes the advice of a run that used up a limit and came nowhere from where its cost was first: steps so short that only slopes judge
// them are accepted whatever the cost does.
func (r *run) suspectGradient(first float64) {
	if s := &r.status; !r.reason.Converged && s.Iteration > 0 && !(s.Cost < first) && s.GradientNorm > r.start/2 {
		r.reason.Advice = "the cost has not fallen against its gradient: check the gradient (spdopt check gradient)"
	}
}

// atEdge ends the run because gradients cannot be evaluated around the point.
func (r *run) atEdge() {
	r.reason = Reason{Name: "edge", Detail: fmt.Sprintf("gradient differences leave the domain on both sides at gradient norm %.3g", r.status.GradientNorm),
		Advice: "the point is singular to rounding in this geometry: start closer, improve the condition of the data, or take the affine-invariant metric; exact Hessian products need no differences"}
}

// result closes the run.
func (r *run) result() (*Result, error) {
	if r.failure != nil {
		return nil, r.failure
	}
	s := &r.status
	if c, ok := r.m.(manifold.Completer); ok {
		if err := c.Complete(r.x.point); err != nil {
			return nil, fmt.Errorf("solve: after iteration %d: %w", s.Iteration, err)
		}
	}
	out := &Result{Solver: r.name, Point: r.x.point, Converged: r.reason.Converged, Reason: r.reason, Iterations: s.Iteration,
		Objective: s.Cost, GradientNorm: s.GradientNorm, Certificate: r.certify()}
	if r.name == trustName {
		out.Reason.Advice = strings.Replace(out.Reason.Advice, tryTrust, startCloser, 1)
	}
	out.RelativeGradient = s.RelativeGradient()
	out.Evaluations, out.HessianProducts, out.Elapsed = s.Evaluations, s.HessianProducts, time.Since(r.began)
	dense.Recycle(r.lent...)
	r.lent = nil
	return out, nil
}

func (r *run) certify() Certificate {
	// The run is over: its scratch is free.
	c, products := (&certification{m: r.m, bound: r.certifier, hess: r.hess, prec: r.prec, spare: [][]float64{r.step, r.moved, r.y.grad}}).at(r.x.point, r.x.grad, r.x.memo)
	r.status.HessianProducts += products
	return c
}

// vector returns a vector of zeros that is the run's own until its result is made.
func (r *run) vector(n int) []float64 {
	v := dense.Recycled(n)
	clear(v)
	r.lent = append(r.lent, v)
	return v
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
	return min(r.status.GradientNorm, r.longStep())
}

// firstTrial returns the first step to try along a direction of the given norm where nothing is known of earlier ones: with a Preconditioner that of Newton's method, unless
// it is unusually long.
func (r *run) firstTrial(norm float64) float64 {
	if r.prec == nil || r.o.FirstStep > 0 && r.status.Iteration == 0 {
		return r.firstStep() / norm
	}
	return min(1, r.longStep()/norm)
}

// bending is the share of its decrease to first order by which the cost along a step may differ from a quadratic, a twelfth of the relative change of its curvature, for what was
// learned from earlier gradients to say something that a Preconditioner, which belongs to the new point, does not.
const bending = 0.003

// bent tells whether the cost along the last step t, from y to x, differs by more than that from the quadratic of the slopes at its ends, where it can be told from rounding.
func (r *run) bent(t, start, end float64) bool {
	change := r.x.cost - r.y.cost
	return math.Abs(change) > costSlack*math.Abs(r.x.cost) && math.Abs(change-t*(start+end)/2) > bending*math.Abs(t*start)
}

// longStep returns the length up to which a step is nothing unusual.
func (r *run) longStep() float64 { return math.Sqrt(math.Sqrt(float64(len(r.x.grad)))) }

func finite(v float64) bool { return v-v == 0 }

// precondition applies the objective's preconditioner at x to v and demands that it acts as a positive definite one.
func (r *run) precondition(dst, v []float64) error {
	if r.m.Inner(r.x.point, v, v) == 0 {
		clear(dst)
		return nil
	}
	if err := r.prec.Precondition(dst, r.x.point, v, r.x.memo); err != nil {
		return err
	}
	if p := r.m.Inner(r.x.point, v, dst); !(p > 0 && finite(p)) {
		return fmt.Errorf("solve: iteration %d: the preconditioner is not positive definite: <v, M v> = %.3g for a vector of norm %.3g",
			r.status.Iteration, p, math.Sqrt(r.m.Inner(r.x.point, v, v)))
	}
	return nil
}
