package solve

import (
	"fmt"
	"math"
	"time"

	"github.com/spdopt/spdopt/manifold"
)

// Options configures a solver; nil or the zero value is the default.
type Options struct {
	// Tolerance is the relative gradient norm (see Status.GradientScale) at which a run has converged; default 1e-8, otherwise at least 1e-100.
	Tolerance float64
	// AbsoluteTolerance is the gradient norm at which a run has converged whatever the scale is; the default is the rounding level
	// 1e-14 sqrt(VectorLen), which is reached when the start is already the minimizer, times the gradient scale of the objective (Scaler) where that is
	// below 1. A cost whose gradients are as small as that in its units needs a smaller one, or a Scaler. The scale of relative gradients is never below
	// AbsoluteTolerance/Tolerance, so that "relative gradient at most Tolerance" covers both. A run that the rounding level ends says so, and its result has the
	// relative gradient that it reached, which may be above a Tolerance that is below rounding.
	AbsoluteTolerance float64
	// MaxIterations ends a run without convergence; default 1000.
	MaxIterations int
	// MaxTime ends a run without convergence; default no limit.
	MaxTime time.Duration
	// Stop is checked after the criteria above; default none.
	Stop Criterion
	// Callback runs after every iteration; a true answer stops the run. Default none.
	Callback func(*Status) bool
	// Checkpoint, if not nil, is given the state of the solver after every CheckpointEvery-th iteration, the start included, and when the run
	// stops. The state is overwritten by the next one: marshal it. An error ends the run. The points of the manifold must marshal.
	Checkpoint func(*State) error
	// CheckpointEvery is the number of iterations between two checkpoints; default 1.
	CheckpointEvery int
	// Restore, if not nil, is the state to go on from: the start that the solver is given only says which kind of point it is.
	Restore *State
	// Memory is the number of pairs that LBFGS keeps; default 12.
	Memory int
	// Beta is the rule of ConjugateGradient; default HybridBeta.
	Beta Beta
	// Update is the rule of BFGS; default BFGSUpdate.
	Update Update
	// FirstStep is the length of the first step tried (Steepest, LBFGS, BFGS, ConjugateGradient) or the first trust radius (Trust, and in effect
	// CubicRegularization), in the metric; the default is
	// the length of the gradient, but at most VectorLen^(1/4).
	FirstStep float64
	// Sampler makes what proposes the points of BlackBox, for so many coordinates; see SamplerStopper. There is no default.
	Sampler func(dim int) (Sampler, error)
	// Stochastic configures the solvers for a Sum.
	Stochastic StochasticOptions

	rounding bool // AbsoluteTolerance is the default
}

const usualTolerance = 1e-8

// leastTolerance keeps the quotient of the two tolerances finite.
const leastTolerance = 1e-100

// Validate returns an error that names the first field that is out of range.
func (o *Options) Validate() error {
	if o == nil {
		return nil
	}
	switch {
	case !(o.Tolerance == 0 || o.Tolerance >= leastTolerance && o.Tolerance < 1):
		return fmt.Errorf("solve: Tolerance is %v, want a number from %g to 1 (0 for the default, 1e-8)", o.Tolerance, leastTolerance)
	case !(o.AbsoluteTolerance >= 0) || math.IsInf(o.AbsoluteTolerance, 1):
		return fmt.Errorf("solve: AbsoluteTolerance is %v, want a finite number >= 0", o.AbsoluteTolerance)
	case o.MaxIterations < 0:
		return fmt.Errorf("solve: MaxIterations is %d, want >= 0", o.MaxIterations)
	case o.MaxTime < 0:
		return fmt.Errorf("solve: MaxTime is %v, want >= 0", o.MaxTime)
	case o.CheckpointEvery < 0:
		return fmt.Errorf("solve: CheckpointEvery is %d, want >= 0", o.CheckpointEvery)
	case o.Memory < 0:
		return fmt.Errorf("solve: Memory is %d, want >= 0", o.Memory)
	case o.Beta < 0 || int(o.Beta) >= len(betas):
		return fmt.Errorf("solve: unknown Beta %d, want one of %v", o.Beta, betas)
	case o.Update < 0 || int(o.Update) >= len(updates):
		return fmt.Errorf("solve: unknown Update %d, want one of %v", o.Update, updates)
	case !(o.FirstStep >= 0) || math.IsInf(o.FirstStep, 1):
		return fmt.Errorf("solve: FirstStep is %v, want a finite number >= 0", o.FirstStep)
	}
	return o.Stochastic.Validate()
}

// WithDefaults returns a copy of o (which may be nil) with the defaults filled in for vectors of the given length.
func (o *Options) WithDefaults(vectorLen int) Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.Tolerance == 0 {
		d.Tolerance = usualTolerance
	}
	if d.AbsoluteTolerance == 0 {
		d.rounding = true
		d.AbsoluteTolerance = 1e-14 * math.Sqrt(float64(vectorLen))
	}
	if d.MaxIterations == 0 {
		d.MaxIterations = 1000
	}
	if d.CheckpointEvery == 0 {
		d.CheckpointEvery = 1
	}
	if d.Memory == 0 {
		d.Memory = 12
	}
	return d
}

// A run whose relative gradient is below roundingZone has met the rounding of the problem when the gradient has not fallen for patience iterations, one whose gradient is below
// what the objective says of its rounding after roundingPatience.
const (
	roundingZone     = 1e-6
	patience         = 25
	roundingPatience = 5
)

// Done applies the callback and the stopping criteria of options that have their defaults to s.
func (o *Options) Done(s *Status) (Reason, bool) {
	if o.Callback != nil && s.Iteration > 0 && o.Callback(s) {
		return Reason{Name: "callback", Detail: "the callback asked to stop"}, true
	}
	least := o.AbsoluteTolerance
	if o.rounding && s.NaturalScale && s.GradientScale > 0 {
		least *= min(1, s.GradientScale)
	}
	s.relativeTo = s.GradientScale
	s.GradientScale = max(s.GradientScale, least/o.Tolerance)
	if !o.rounding {
		s.relativeTo = s.GradientScale
	}
	s.relativeTo = max(s.relativeTo, least/max(o.Tolerance, usualTolerance))
	if r, stop := RelativeGradientBelow(o.Tolerance).Check(s); stop {
		if s.RelativeGradient() > o.Tolerance {
			r.Detail = fmt.Sprintf("gradient norm %.3g <= %.3g, the rounding level; a relative gradient of %.3g is below it", s.GradientNorm, least, o.Tolerance)
		}
		return r, true
	}
	if o.Stop != nil {
		if r, stop := o.Stop.Check(s); stop {
			return r, true
		}
	}
	switch {
	case s.GradientNorm <= s.GradientRounding && s.Iteration-s.since >= roundingPatience:
		return Stagnation(roundingPatience).Check(s)
	case s.GradientNorm <= roundingZone*s.GradientScale && s.Iteration-s.since >= patience:
		return Stagnation(patience).Check(s)
	case s.Iteration >= o.MaxIterations:
		return IterationLimit(o.MaxIterations).Check(s)
	case o.MaxTime > 0 && s.Elapsed >= o.MaxTime:
		return TimeLimit(o.MaxTime).Check(s)
	}
	return Reason{}, false
}

// Result is what a solver returns.
type Result struct {
	Solver           string
	Point            manifold.Point // the best point found
	Converged        bool
	Reason           Reason
	Iterations       int
	Evaluations      int // of the cost, with or without gradient
	HessianProducts  int
	Objective        float64
	GradientNorm     float64 // Riemannian, absolute; +Inf where nothing is known about it
	RelativeGradient float64 // see Status.RelativeGradient
	Certificate      Certificate
	Multipliers      []float64     // of the constraints, equalities first; nil without constraints
	Violation        float64       // largest violation or complementarity defect of a constraint
	Elapsed          time.Duration // wall clock
}
