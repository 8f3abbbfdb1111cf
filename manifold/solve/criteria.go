package solve

import (
	"fmt"
	"time"

	"github.com/spdopt/spdopt/manifold"
)

// Status is what criteria and callbacks see after each iteration.
type Status struct {
	Iteration        int
	Evaluations      int
	HessianProducts  int
	Cost             float64
	GradientNorm     float64 // Riemannian
	GradientScale    float64 // what a relative gradient refers to: the gradient norm at the start or what the objective says (Scaler), but see AbsoluteTolerance
	NaturalScale     bool    // whether it is what the objective says
	GradientRounding float64 // norm of a gradient that may be nothing but rounding; 0 where the objective does not say (Rounder)
	StepNorm         float64 // Riemannian norm of the last accepted step; 0 before the first
	Elapsed          time.Duration
	Point            manifold.Point // must not be changed; nil in iterations that keep no point

	relativeTo float64 // GradientScale, unless a tolerance below rounding has raised that

	best  float64 // smallest gradient norm so far
	since int     // iteration that reached it
}

// RelativeGradient returns the gradient norm relative to GradientScale, or to what that would be at a Tolerance of 1e-8 where a smaller one has raised it.
func (s *Status) RelativeGradient() float64 {
	if s.relativeTo == 0 {
		return s.GradientNorm / s.GradientScale
	}
	return s.GradientNorm / s.relativeTo
}

// saddleLeft is by how much the gradient norm grows over its smallest where a run has passed a saddle point and begins anew.
const saddleLeft = 1e3

// Note updates what Stagnation needs after GradientNorm has been set; whoever drives an iteration calls it once for each point.
func (s *Status) Note() {
	if s.Iteration == 0 || s.GradientNorm < 0.9*s.best || s.GradientNorm > saddleLeft*s.best {
		s.best, s.since = s.GradientNorm, s.Iteration
	}
}

// Reason says why a solver stopped.
type Reason struct {
	Name      string // short, stable, for programs
	Detail    string // with the numbers
	Converged bool   // whether it means that the minimizer was found to the accuracy asked for
	Advice    string // what to try next; empty if converged
}

// Criterion decides whether to stop. Implementations must not allocate while they answer false.
type Criterion interface {
	Check(s *Status) (Reason, bool)
}

// GradientBelow stops with convergence when the gradient norm is at most the value.
type GradientBelow float64

// Check implements Criterion.
func (c GradientBelow) Check(s *Status) (Reason, bool) {
	if !(s.GradientNorm <= float64(c)) {
		return Reason{}, false
	}
	return Reason{Name: "gradient", Converged: true, Detail: fmt.Sprintf("gradient norm %.3g <= %.3g", s.GradientNorm, float64(c))}, true
}

// RelativeGradientBelow stops with convergence when the gradient norm is at most the value times the gradient scale.
type RelativeGradientBelow float64

// Check implements Criterion.
func (c RelativeGradientBelow) Check(s *Status) (Reason, bool) {
	if !(s.GradientNorm <= float64(c)*s.GradientScale) {
		return Reason{}, false
	}
	return Reason{Name: "relative-gradient", Converged: true,
		Detail: fmt.Sprintf("relative gradient %.3g <= %.3g", s.GradientNorm/s.GradientScale, float64(c))}, true
}

// CostBelow stops without claiming convergence when the cost is at most the value.
type CostBelow float64

// Check implements Criterion.
func (c CostBelow) Check(s *Status) (Reason, bool) {
	if !(s.Cost <= float64(c)) {
		return Reason{}, false
	}
	return Reason{Name: "cost", Detail: fmt.Sprintf("cost %.6g <= %.6g", s.Cost, float64(c)), Advice: "the cost asked for was reached; lower it to go on"}, true
}

// tryTrust is the advice to runs of other solvers; those of the trust solver get the other one.
const (
	tryTrust    = "try the trust solver"
	startCloser = "start closer"
)

// StepBelow stops without claiming convergence when an accepted step was at most the value long.
type StepBelow float64

// Check implements Criterion.
func (c StepBelow) Check(s *Status) (Reason, bool) {
	if s.Iteration == 0 || !(s.StepNorm <= float64(c)) {
		return Reason{}, false
	}
	return Reason{Name: "step", Detail: fmt.Sprintf("step %.3g <= %.3g", s.StepNorm, float64(c)),
		Advice: "look at the gradient norm: if it is not small, " + tryTrust}, true
}

// Stagnation stops without claiming convergence when the gradient norm has not fallen by a tenth in so many iterations. One a thousand times the smallest so far, as
// after a saddle point, starts the count again.
type Stagnation int

// Check implements Criterion.
func (c Stagnation) Check(s *Status) (Reason, bool) {
	if s.Iteration-s.since < int(c) {
		return Reason{}, false
	}
	r := Reason{Name: "stagnation", Detail: fmt.Sprintf("gradient norm %.3g, not lower in %d iterations", s.GradientNorm, s.Iteration-s.since)}
	if s.GradientNorm <= s.GradientRounding {
		r.Detail += fmt.Sprintf("; up to %.3g it may be rounding", s.GradientRounding)
		r.Advice = "rounding does not allow more: loosen the tolerance"
		return r, true
	}
	r.Advice = "a small relative gradient here is the rounding level of the problem: loosen the tolerance; otherwise " + tryTrust
	return r, true
}

// IterationLimit stops without convergence after so many iterations.
type IterationLimit int

// Check implements Criterion.
func (c IterationLimit) Check(s *Status) (Reason, bool) {
	if s.Iteration < int(c) {
		return Reason{}, false
	}
	return Reason{Name: "iterations", Detail: fmt.Sprintf("%d iterations done", s.Iteration),
		Advice: "raise the iteration limit, loosen the tolerance, or " + tryTrust}, true
}

// EvaluationLimit stops without convergence after so many evaluations of the cost.
type EvaluationLimit int

// Check implements Criterion.
func (c EvaluationLimit) Check(s *Status) (Reason, bool) {
	if s.Evaluations < int(c) {
		return Reason{}, false
	}
	return Reason{Name: "evaluations", Detail: fmt.Sprintf("%d evaluations done", s.Evaluations),
		Advice: "raise the evaluation limit, or start closer to the minimizer"}, true
}

// TimeLimit stops without convergence when so much wall-clock time has passed.
type TimeLimit time.Duration

// Check implements Criterion.
func (c TimeLimit) Check(s *Status) (Reason, bool) {
	if s.Elapsed < time.Duration(c) {
		return Reason{}, false
	}
	return Reason{Name: "time", Detail: fmt.Sprintf("%v passed", s.Elapsed.Round(time.Millisecond)),
		Advice: "raise the time limit, or loosen the tolerance"}, true
}

// Any stops as soon as one of its criteria does, and gives that one's reason.
type Any []Criterion

// Check implements Criterion.
func (c Any) Check(s *Status) (Reason, bool) {
	for _, k := range c {
		if r, ok := k.Check(s); ok {
			return r, true
		}
	}
	return Reason{}, false
}

// All stops when every one of its criteria does; the reason joins theirs and means convergence if one of them does. An empty All never stops. Put
// the rarest first: those before the first that does not fire write their reasons for nothing.
type All []Criterion

// Check implements Criterion.
func (c All) Check(s *Status) (Reason, bool) {
	for _, k := range c {
		if _, ok := k.Check(s); !ok {
			return Reason{}, false
		}
	}
	var out Reason
	for i, k := range c {
		r, _ := k.Check(s)
		if i > 0 {
			out.Name, out.Detail = out.Name+"+", out.Detail+" and "
		}
		out.Name, out.Detail, out.Converged = out.Name+r.Name, out.Detail+r.Detail, out.Converged || r.Converged
		if out.Advice == "" {
			out.Advice = r.Advice
		}
	}
	if out.Converged {
		out.Advice = ""
	}
	return out, len(c) > 0
}
