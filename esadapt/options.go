package esadapt

import (
	"fmt"
	"math"
)

// Options describes a problem and how to search. The zero value of every field is its default; only X0, Dim or the bounds must say how many
// variables there are.
type Options struct {
	Dim int // number of variables; 0 means the length of X0, Lower or Upper
	// X0 is the start, in the units of the objective. nil means a point drawn uniformly from the start region.
	X0 []float64
	// Sigma0 is the standard deviation at the start, in units of Scale. 0 means 0.3 if every variable has two bounds and no Scale is given
	// (Scale is then the width of the box), otherwise 1.
	Sigma0 float64
	// Scale holds a typical length for each variable; the strategy works on x/Scale. nil means 1, or the width of the box, see Sigma0.
	Scale []float64
	// Lower and Upper bound the variables. nil means none; single bounds may be infinite.
	Lower, Upper []float64
	Bounds       BoundRule
	Fixed        []int // variables that stay at X0
	Integers     []int // variables that take integer values only
	// StartLower and StartUpper span the region that starts are drawn from when X0 is nil and at restarts. nil means the middle 80 % of the box
	// where there are two bounds, otherwise X0 (or 0) plus minus 2 Sigma0 Scale.
	StartLower, StartUpper []float64

	// Strategy is a name in the registry. "" means "dd-cma" from 20 variables on, "lm-ma-es" from 3000 on, and "cma" for fewer, with Integers, or if Tuning asks for what only that one has.
	Strategy string
	PopSize  int // 0 means the strategy's default
	Tuning   Tuning
	Seed     uint64

	Constraints    int      // number of values g per evaluation; feasible means every g <= 0
	Equalities     []int    // indices of constraints that mean g = 0
	Noise          bool     // measure the noise by re-evaluations and answer it (UH-CMA-ES)
	Surrogate      bool     // let a linear-quadratic model stand for part of the evaluations, for objectives that are dear (lq-CMA-ES)
	MaxRepeats     int      // with Noise: evaluations averaged per candidate at most. 0 means 100
	Restarts       Restarts // what follows when a run has converged or got stuck
	MaxRestarts    int      // 0 means no limit but the budget
	MaxEvaluations int      // evaluations that may be spent; 0 means no limit
	Target         *float64 // stop at a feasible value <= *Target; nil means none

	OnFailure OnFailure // what an evaluation without a value counts as
	// MaxFailureRate stops the search when more than this share of the last two generations failed. 0 means 0.5; 1 switches it off.
	MaxFailureRate float64
	Workers        int // goroutines in which Minimize evaluates; 0 means 1. The result does not depend on it
}

// BoundRule chooses how bounds are kept.
type BoundRule int

// The bound rules.
const (
	// BoundTransform maps the real line into the interval, the identity in the interior and quadratic near the bounds.
	BoundTransform BoundRule = iota
	// BoundPenalty evaluates the nearest point of the box and adds a penalty for the distance, with adaptive weights; Hansen, Niederberger,
	// Guzzella, Koumoutsakos: "A method for handling uncertainty in evolutionary optimization" (2009), appendix.
	BoundPenalty
)

// Restarts chooses what follows a finished run.
type Restarts int

// The restart rules.
const (
	RestartAuto  Restarts = iota // BIPOP if MaxEvaluations is set, otherwise none
	RestartNone                  // the search ends with its first run
	RestartIPOP                  // the population doubles every time; Auger and Hansen: "A restart CMA evolution strategy with increasing population size" (2005)
	RestartBIPOP                 // large and small populations in turn; Hansen: "Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed" (2009)
)

// String returns the lower-case name.
func (r Restarts) String() string { return [...]string{"auto", "none", "ipop", "bipop"}[r] }

// OnFailure chooses what a failed evaluation, or the value NaN, counts as.
type OnFailure int

// The failure policies.
const (
	FailureWorst    OnFailure = iota // it ranks last in its generation
	FailureResample                  // another point is drawn in its place, at most ten times; then it ranks last
	FailureAbort                     // the search stops
)

// String returns the lower-case name.
func (o OnFailure) String() string { return [...]string{"worst", "resample", "abort"}[o] }

// dim returns the number of variables that the options speak of.
func (o *Options) dim() int {
	for _, n := range []int{o.Dim, len(o.X0), len(o.Lower), len(o.Upper), len(o.StartLower), len(o.Scale)} {
		if n > 0 {
			return n
		}
	}
	return 0
}

// Validate reports the first thing that does not fit, by field and number, with what to do.
func (o *Options) Validate() error {
	n := o.dim()
	switch {
	case n == 0:
		return fmt.Errorf("esadapt: no variables: set Dim, X0 or bounds")
	case n > largestSample:
		return fmt.Errorf("esadapt: Dim is %d, want at most %d", n, largestSample)
	}
	for _, v := range []struct {
		name string
		v    []float64
	}{{"X0", o.X0}, {"Scale", o.Scale}, {"Lower", o.Lower}, {"Upper", o.Upper}, {"StartLower", o.StartLower}, {"StartUpper", o.StartUpper}} {
		if v.v != nil && len(v.v) != n {
			return fmt.Errorf("esadapt: %s has %d values for %d variables", v.name, len(v.v), n)
		}
		for i, x := range v.v {
			if math.IsNaN(x) {
				return fmt.Errorf("esadapt: %s[%d] is NaN", v.name, i)
			}
		}
	}
	if o.Sigma0 < 0 || math.IsNaN(o.Sigma0) || math.IsInf(o.Sigma0, 0) {
		return fmt.Errorf("esadapt: Sigma0 = %v: it must be positive, about a third of the region where the minimum is expected", o.Sigma0)
	}
	if err := o.validateBox(n); err != nil {
		return err
	}
	if err := o.validateIndices(n); err != nil {
		return err
	}
	if err := o.validateChoices(); err != nil {
		return err
	}
	if lambda := max(o.PopSize, defaultLambda(n)); o.Constraints > largestSample || lambda > largestSample/(n+o.Constraints) {
		return fmt.Errorf("esadapt: a population of %d times %d variables and %d constraints does not fit in memory", lambda, n, o.Constraints)
	}
	return nil
}

// largestSample bounds the numbers in the sample of one generation.
const largestSample = 1 << 28

func (o *Options) validateBox(n int) error {
	at := func(v []float64, i int, none float64) float64 {
		if v == nil {
			return none
		}
		return v[i]
	}
	for i := range n {
		lo, hi := at(o.Lower, i, math.Inf(-1)), at(o.Upper, i, math.Inf(1))
		if !(lo < hi) || math.IsInf(lo, 1) || math.IsInf(hi, -1) {
			return fmt.Errorf("esadapt: variable %d: lower bound %v is not below upper bound %v; use Fixed to hold a variable", i, lo, hi)
		}
		if o.X0 != nil && math.IsInf(o.X0[i], 0) {
			return fmt.Errorf("esadapt: X0[%d] = %v is not a finite number", i, o.X0[i])
		}
		if o.X0 != nil && (o.X0[i] < lo || o.X0[i] > hi) {
			return fmt.Errorf("esadapt: X0[%d] = %v is outside [%v, %v]", i, o.X0[i], lo, hi)
		}
		if o.Scale != nil && (!(o.Scale[i] > 0) || math.IsInf(o.Scale[i], 0)) {
			return fmt.Errorf("esadapt: Scale[%d] = %v: it must be a positive number", i, o.Scale[i])
		}
		if a, b := at(o.StartLower, i, 0), at(o.StartUpper, i, 0); a > b || math.IsInf(a, 0) || math.IsInf(b, 0) || a < lo && o.StartLower != nil || b > hi && o.StartUpper != nil {
			return fmt.Errorf("esadapt: start region of variable %d, [%v, %v], is not an interval within [%v, %v]", i, a, b, lo, hi)
		}
	}
	if (o.StartLower == nil) != (o.StartUpper == nil) {
		return fmt.Errorf("esadapt: StartLower and StartUpper belong together: set both or none")
	}
	return nil
}

func (o *Options) validateIndices(n int) error {
	for _, v := range []struct {
		name  string
		v     []int
		limit int
	}{{"Fixed", o.Fixed, n}, {"Integers", o.Integers, n}, {"Equalities", o.Equalities, o.Constraints}} {
		seen := make(map[int]bool)
		for _, i := range v.v {
			if i < 0 || i >= v.limit {
				return fmt.Errorf("esadapt: %s names index %d; there are 0 to %d", v.name, i, v.limit-1)
			}
			if seen[i] {
				return fmt.Errorf("esadapt: %s names index %d twice", v.name, i)
			}
			seen[i] = true
		}
	}
	if len(o.Fixed) >= n {
		return fmt.Errorf("esadapt: all %d variables are fixed", n)
	}
	if len(o.Fixed) > 0 && o.X0 == nil {
		return fmt.Errorf("esadapt: Fixed needs X0: it says where the variables stay")
	}
	for _, i := range o.Integers {
		lo, hi := math.Inf(-1), math.Inf(1)
		if o.Lower != nil {
			lo = o.Lower[i]
		}
		if o.Upper != nil {
			hi = o.Upper[i]
		}
		if math.Floor(hi) < math.Ceil(lo) {
			return fmt.Errorf("esadapt: integer variable %d: no integer in [%v, %v]", i, lo, hi)
		}
	}
	return nil
}

func (o *Options) validateChoices() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"Constraints", o.Constraints}, {"PopSize", o.PopSize}, {"MaxEvaluations", o.MaxEvaluations}, {"MaxRestarts", o.MaxRestarts}, {"MaxRepeats", o.MaxRepeats}, {"Workers", o.Workers}} {
		if f.value < 0 {
			return fmt.Errorf("esadapt: %s is %d: it may not be negative", f.name, f.value)
		}
	}
	switch {
	case o.Bounds < BoundTransform || o.Bounds > BoundPenalty:
		return fmt.Errorf("esadapt: unknown bound rule %d", int(o.Bounds))
	case o.Restarts < RestartAuto || o.Restarts > RestartBIPOP:
		return fmt.Errorf("esadapt: unknown restart rule %d", int(o.Restarts))
	case o.OnFailure < FailureWorst || o.OnFailure > FailureAbort:
		return fmt.Errorf("esadapt: unknown failure policy %d", int(o.OnFailure))
	case !(o.MaxFailureRate >= 0 && o.MaxFailureRate <= 1):
		return fmt.Errorf("esadapt: MaxFailureRate = %v is not in [0, 1]", o.MaxFailureRate)
	case o.Surrogate && (o.Noise || o.Constraints > 0 || o.Bounds == BoundPenalty):
		return fmt.Errorf("esadapt: Surrogate cannot be combined with Noise, Constraints or BoundPenalty")
	case o.Target != nil && math.IsNaN(*o.Target):
		return fmt.Errorf("esadapt: Target is NaN")
	}
	return o.Tuning.validate()
}
