package esadapt

import (
	"math"
	"slices"
	"testing"
)

// evaluationsTo is the mean number of evaluations over three seeds until f is within 1e-8 of its optimum.
func evaluationsTo(t *testing.T, id string, n int, surrogate bool) float64 {
	t.Helper()
	f := function(t, id, n)
	start := make([]float64, n)
	for i := range start {
		start[i] = f.XOpt[i] + 2
	}
	total := 0
	for seed := uint64(1); seed <= 3; seed++ {
		target := f.FOpt + 1e-8
		s := newSearch(t, Options{X0: start, Seed: seed, MaxEvaluations: 20000, Surrogate: surrogate, Target: &target})
		for s.Stop() == nil {
			if err := s.Tell(evaluateAll(f, s.Ask())); err != nil {
				t.Fatal(err)
			}
		}
		if s.Stop()[0].Code != TargetReached {
			t.Errorf("%s: %v", id, s.Stop())
		}
		total += s.Evaluations()
	}
	return float64(total) / 3
}

// The model saves most evaluations where f is nearly quadratic and costs few where it is not.
func TestSurrogateSavesEvaluations(t *testing.T) {
	for id, share := range map[string]float64{"sphere": 0.3, "f10": 0.4, "rosenbrock": 0.5, "f14": 0.6, "f6": 1.3} {
		if with, without := evaluationsTo(t, id, 4, true), evaluationsTo(t, id, 4, false); with > share*without {
			t.Errorf("%s: %.0f evaluations with the model, %.0f without", id, with, without)
		}
	}
}

// A quadratic function is reproduced by the full model up to rounding.
func TestSurrogateIsExactOnQuadratics(t *testing.T) {
	s := newSearch(t, Options{X0: []float64{1, 2, 3, 4}, Seed: 3, Surrogate: true, MaxEvaluations: 1000})
	f := func(x []float64) float64 {
		return 3 + x[0]*x[1] - 2*x[2]*x[2] + 5*x[3]*x[3] + x[0]*x[0] + 0.5*x[1] + 2*x[1]*x[1] + 3*x[2]*x[2]
	}
	for len(s.model.f) < 25 {
		x := s.Ask()
		v := make([]float64, len(x))
		for i := range x {
			v[i] = f(x[i])
		}
		if err := s.Tell(v); err != nil {
			t.Fatal(err)
		}
	}
	s.model.fit(s)
	if s.model.kind != fullQuadratic {
		t.Fatalf("%d points gave model %d", len(s.model.f), s.model.kind)
	}
	at := []float64{0.5, 1, 2.5, 3}
	shift := f(at) - s.model.value(s, at)
	for _, x := range [][]float64{{1, 1, 1, 1}, {0, 3, 2, 5}, {2, 2, 4, 4}} {
		if d := f(x) - s.model.value(s, x) - shift; math.Abs(d) > 1e-8 {
			t.Errorf("f(%v) is off by %v", x, d)
		}
	}
}

func TestKendall(t *testing.T) {
	a := []float64{1, 2, 3, 4, 5}
	b := slices.Clone(a)
	slices.Reverse(b)
	if kendall(a, a) != 1 || kendall(a, b) != -1 {
		t.Errorf("tau of equal and of opposite orders: %v, %v", kendall(a, a), kendall(a, b))
	}
	if v := kendall([]float64{1, 2, 3}, []float64{1, 3, 2}); math.Abs(v-1.0/3) > 1e-15 {
		t.Errorf("one pair of three exchanged: %v", v)
	}
}
