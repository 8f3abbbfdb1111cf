package solve

import (
	"strings"
	"testing"
)

// TestStagnationAfterASaddle: a gradient that is small near a saddle point and then large must not count against the one that is small at the end.
func TestStagnationAfterASaddle(t *testing.T) {
	var s Status
	note := func(gradient float64) bool {
		s.GradientNorm = gradient
		s.Note()
		_, stop := Stagnation(3).Check(&s)
		s.Iteration++
		return stop
	}
	for i, gradient := range []float64{1, 1e-6, 1e-4, 1e-2, 1, 0.5, 1e-5, 0.8e-5} {
		if note(gradient) {
			t.Fatalf("stopped at point %d", i)
		}
	}
	for i := range 4 {
		if stop := note(2e-5); stop != (i >= 2) {
			t.Errorf("%d points after the smallest gradient: stop %v", i+1, stop)
		}
	}
}

// TestEndsAtRounding: a gradient above the zone of rounding ends a run by stagnation where the objective says that it may be rounding, and only there.
func TestEndsAtRounding(t *testing.T) {
	o := (&Options{}).WithDefaults(4)
	for _, rounding := range []float64{0, 0.5, 2} {
		s := Status{GradientNorm: 1, GradientScale: 100, GradientRounding: rounding}
		s.Note()
		s.Iteration = patience
		r, stop := o.Done(&s)
		if want := rounding >= 1; stop != want || stop && (r.Converged || !strings.Contains(r.Detail, "may be rounding")) {
			t.Errorf("rounding %g: stop %v, %+v", rounding, stop, r)
		}
	}
}
