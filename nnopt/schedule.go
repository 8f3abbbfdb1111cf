package nnopt

import "math"

// Shape is the course of a Schedule after its warm-up.
type Shape string

// The shapes; the empty one is Constant.
const (
	Constant    Shape = "constant"
	Cosine      Shape = "cosine"       // half a cosine from 1 to Final
	Linear      Shape = "linear"       // a straight line from 1 to Final
	InverseRoot Shape = "inverse-root" // sqrt(w/(step+1)) with w = max(Warmup, 1), at least Final
	StepDown    Shape = "step-down"    // times 0.1 after half and after three quarters of the steps, at least Final
)

// Shapes lists the shapes of schedules.
func Shapes() []Shape { return []Shape{Constant, Cosine, Linear, InverseRoot, StepDown} }

// Schedule is the factor on the learning rate over the steps of a run: a linear warm-up to 1, then Shape. The zero value is 1 throughout.
type Schedule struct {
	Shape  Shape   `json:"shape,omitempty"`
	Warmup int     `json:"warmup,omitempty"` // steps; step k < Warmup has factor (k+1)/Warmup
	Steps  int     `json:"steps,omitempty"`  // of the run; needed by Cosine, Linear and StepDown
	Final  float64 `json:"final,omitempty"`  // factor at the end
}

// Validate reports the first field that has a value that it cannot have.
func (s *Schedule) Validate() error {
	switch s.Shape {
	case "", Constant, InverseRoot:
	case Cosine, Linear, StepDown:
		if s.Steps <= s.Warmup {
			return option("schedule.steps", "must be larger than the %d steps of warm-up for shape %s, not %d", s.Warmup, s.Shape, s.Steps)
		}
	default:
		return option("schedule.shape", "must be one of %v, not %q", Shapes(), s.Shape)
	}
	if s.Warmup < 0 || s.Steps < 0 {
		return option("schedule", "has a negative number of steps")
	}
	if !(s.Final >= 0 && s.Final <= 1) {
		return option("schedule.final", "must lie between 0 and 1, not %v", s.Final)
	}
	return nil
}

// At returns the factor of step k = 0, 1, ...; from step Steps on a cosine and a line stay at Final, steps at the larger of Final and 0.01.
func (s *Schedule) At(k int) float64 {
	if k < s.Warmup {
		return float64(k+1) / float64(s.Warmup)
	}
	share := 1.0
	if s.Steps > s.Warmup {
		share = min(1, float64(k-s.Warmup)/float64(s.Steps-s.Warmup))
	}
	switch s.Shape {
	case Cosine:
		return s.Final + (1-s.Final)*(1+math.Cos(math.Pi*share))/2
	case Linear:
		return s.Final + (1-s.Final)*(1-share)
	case InverseRoot:
		return max(s.Final, math.Sqrt(float64(max(s.Warmup, 1))/float64(k+1)))
	case StepDown:
		switch {
		case share < 0.5:
			return 1
		case share < 0.75:
			return max(s.Final, 0.1)
		}
		return max(s.Final, 0.01)
	}
	return 1
}
