package esadapt

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// finalError is the median over seeds of f(mean) after a budget of evaluations of f plus normal noise of the given deviation.
func finalError(t *testing.T, id string, noise float64, o Options) float64 {
	t.Helper()
	const n = 5
	f := function(t, id, n)
	var errors []float64
	for seed := range uint64(7) {
		random := rand.New(rand.NewPCG(seed, 1))
		o.X0, o.Sigma0, o.Seed, o.MaxEvaluations, o.Restarts = []float64{3, -3, 3, 3, 2}, 1, seed, 12000, RestartNone
		o.Tuning.Tolerances = Tolerances{Stagnation: -1, MaxGenerations: -1, XStagnation: -1}
		s := newSearch(t, o)
		for s.Stop() == nil {
			values := evaluateAll(f, s.Ask())
			for i := range values {
				values[i] += noise * random.NormFloat64()
			}
			if err := s.Tell(values); err != nil {
				t.Fatal(err)
			}
		}
		errors = append(errors, f.Eval(s.Mean()))
	}
	slices.Sort(errors)
	return errors[len(errors)/2]
}

// Both answers to noise end nearer to the minimum than no answer; without noise neither prevents convergence.
func TestNoiseHandlingHelps(t *testing.T) {
	if allocs.Race {
		t.Skip("too slow")
	}
	plain := finalError(t, "sphere", 1, Options{})
	averaged := finalError(t, "sphere", 1, Options{Noise: true})
	rates := finalError(t, "sphere", 1, Options{Tuning: Tuning{LearnRate: true}})
	if averaged > plain/2 {
		t.Errorf("re-evaluation: %.2e, plain %.2e", averaged, plain)
	}
	if rates > plain/10 {
		t.Errorf("learning-rate adaptation: %.2e, plain %.2e", rates, plain)
	}
	if e := finalError(t, "sphere", 0, Options{Noise: true}); e > 1e-8 {
		t.Errorf("re-evaluation without noise: %.2e", e)
	}
	if e := finalError(t, "sphere", 0, Options{Tuning: Tuning{LearnRate: true}}); e > 1e-8 {
		t.Errorf("learning-rate adaptation without noise: %.2e", e)
	}
}

func TestNoiseLevel(t *testing.T) {
	quiet, loud := newUncertainty(10), newUncertainty(10)
	for range 30 {
		quiet.old = []float64{1, 2, 3, 4, 5, 6, 7, 8}
		quiet.chosen = []int{0, 3}
		quiet.new = slices.Clone(quiet.old)
		quiet.measure()
		loud.old, loud.chosen = quiet.old, quiet.chosen
		loud.new = []float64{9, 2, 3, -4, 5, 6, 7, 8}
		loud.measure()
	}
	if quiet.level >= 0 {
		t.Errorf("level %v without rank changes", quiet.level)
	}
	if loud.level <= 0 {
		t.Errorf("level %v with large rank changes", loud.level)
	}
}
