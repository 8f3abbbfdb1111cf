package problem

import (
	"math"
	"runtime"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestAcceleratedMixture: where EM takes hundreds of steps, because clusters overlap, or finds clusters far smaller than their distance, the accelerated
// method ends in the same maximum after fewer passes, and the likelihood never falls.
func TestAcceleratedMixture(t *testing.T) {
	for _, c := range []struct {
		name             string
		distance, spread float64
		fewer            int     // passes than EM, so many times; 0: any number
		rise             float64 // of the cost in a step: rounding of single precision, which small clusters are not left to
	}{{"overlapping", 2.2, 1, 3, 1e-6}, {"tight", 1, 1e-5, 0, 1e-10}, {"tiny", 1, 1e-7, 0, 1e-10}} {
		x := dataOf(gallery.NewStream(86).Normals(500, 3))
		x.Scale(c.spread, x)
		for i := range 200 {
			x.Set(i, 0, x.At(i, 0)+c.distance)
		}
		worst, last := 0.0, math.Inf(1)
		watch := func(s *solve.Status) bool {
			worst, last = max(worst, s.Cost-last), s.Cost
			return false
		}
		fast := solved(t, "gmm", Data{Samples: x}, &Options{Solver: solve.Options{Callback: watch}})
		plain := solved(t, "gmm", Data{Samples: x}, &Options{Method: "em"})
		if math.Abs(fast.Objective-plain.Objective) > 1e-10 || fast.Evaluations*c.fewer > plain.Evaluations {
			t.Errorf("%s: cost %v after %d passes, by em %v after %d", c.name, fast.Objective, fast.Evaluations, plain.Objective, plain.Evaluations)
		}
		if worst > c.rise {
			t.Errorf("%s: the cost rose by %g", c.name, worst)
		}
	}
}

// TestMixtureStepsAllocateNothing: in every precision.
func TestMixtureStepsAllocateNothing(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	g, err := gmmStart(&Data{Samples: twoClouds(4)}, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	for g.stage = range double + 1 {
		s, status := newPlaneSearch(g), solve.Status{}
		g.expect()
		if n := allocs.PerRun(5, func() {
			if _, err := s.step(&status); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("stage %v: %v allocations in a step", g.stage, n)
		}
	}
}
