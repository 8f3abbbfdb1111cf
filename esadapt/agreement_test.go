package esadapt

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The haste is given while C learns an ellipsoid, in every basis, and withheld from values that say nothing and from a sphere, where nothing is left to learn.
func TestHasteFollowsTheAgreement(t *testing.T) {
	const n, seed, generations = 20, 3, 250
	random := rand.New(rand.NewPCG(seed, seed))
	ellipsoid, rotated, sphere := function(t, "ellipsoid", n), function(t, "f10", n), function(t, "sphere", n)
	for _, test := range []struct {
		name     string
		f        func(x []float64) float64
		low, top float64
	}{
		{"ellipsoid", ellipsoid.Eval, 0.6, 1},
		{"rotated ellipsoid", rotated.Eval, 0.6, 1},
		{"sphere", sphere.Eval, 0, 0.05},
		{"random values", func([]float64) float64 { return random.Float64() }, 0, 0.15},
	} {
		for _, name := range []string{"cma", "dd-cma"} {
			if name == "dd-cma" && test.name == "ellipsoid" {
				continue // its diagonal learns that
			}
			mean := make([]float64, n)
			for i := range mean {
				mean[i] = 2
			}
			s, err := NewStrategy(name, Setup{Mean: mean, Sigma: 1, Seed: seed, Tuning: Tuning{Tolerances: byOrder}})
			if err != nil {
				t.Fatal(err)
			}
			var share float64
			for range generations {
				step(t, s, test.f)
				switch s := s.(type) {
				case *cma:
					share += s.agree.share / generations
				case *ddcma:
					share += s.agree.share / generations
				}
			}
			if share < test.low || share > test.top {
				t.Errorf("seed %d, %s, %s: %.2f of the haste, want %.2f to %.2f", seed, name, test.name, share, test.low, test.top)
			}
		}
	}
}

// Rates that were hurried and slowed down again are those that never were, also where the haste had left no room for negative weights.
func TestHasteLeavesNoTrace(t *testing.T) {
	for _, size := range [][2]int{{2, 6}, {2, 150}, {10, 10}, {20, 48}} {
		n, lambda := size[0], size[1]
		r := defaultRates(n, lambda, true)
		r.hurry(1)
		before := fmt.Sprint(r)
		for _, h := range []float64{2, 40, 1.3} {
			r.hurry(h)
			if lower := 1 - r.c1 - r.cMu*r.sumW; lower < -1e-15 {
				t.Errorf("n = %d, %d candidates, haste %g: C decays by more than itself, to %g", n, lambda, h, lower)
			}
		}
		r.hurry(1)
		if after := fmt.Sprint(r); after != before {
			t.Errorf("n = %d, %d candidates: %s, before %s", n, lambda, after, before)
		}
	}
}
