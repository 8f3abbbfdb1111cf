package solve

import (
	"strings"
	"testing"

	"github.com/spdopt/spdopt/manifold"
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

// TestAdviceIsNotTheSolverItself: a run of the trust solver that stops early is not told to try it.
func TestAdviceIsNotTheSolverItself(t *testing.T) {
	m, err := manifold.NewAffine(4, manifold.AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Solvers() {
		r, err := s.Run(m, newLogdet(4, 1e4, 9), manifold.IdentityFrame(4, 1), &Options{MaxIterations: 1})
		if err != nil || r.Converged {
			t.Fatalf("%s: %+v, %v", s.Name, r, err)
		}
		if other := strings.Contains(r.Reason.Advice, "trust solver"); other == (s.Name == "trust") {
			t.Errorf("%s: %q", s.Name, r.Reason.Advice)
		}
	}
}
