package problem

import (
	"math"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/mat"

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

// TestAcceleratedEndsWhereEMDoes: wherever EM finds a maximum, the accelerated method finds one, though long steps may end in a collapse.
func TestAcceleratedEndsWhereEMDoes(t *testing.T) {
	worse := 0
	for seed := range uint64(60) {
		n, k := 1+int(seed%3), 2+int(seed%4)
		d := Data{Samples: dataOf(gallery.Clusters(900+seed, 12*k, n, k, 1.5))}
		o := func(method string) *Options {
			return &Options{Method: method, Parameters: Parameters{Components: k}, Solver: solve.Options{MaxIterations: 20000}}
		}
		plain, err := Solve("gmm", d, o("em"))
		if err != nil || !plain.Converged {
			continue
		}
		fast, err := Solve("gmm", d, o("accelerated-em"))
		if err != nil || !fast.Converged {
			t.Errorf("seed %d: %v %+v", seed, err, fast)
		} else if fast.Objective > plain.Objective+1e-6 {
			worse++
		}
	}
	if worse > 3 {
		t.Errorf("a worse maximum for %d of 60 data sets", worse)
	}
}

// TestMixtureThreads: the same bits for any number of threads.
func TestMixtureThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, n := range []int{3, 20} {
		d := Data{Samples: dataOf(gallery.Clusters(8, 2500, n, 3, 2))}
		var want *Result
		for _, threads := range []int{1, 2, 4} {
			runtime.GOMAXPROCS(threads)
			r := solved(t, "gmm", Data{Samples: mat.DenseCopyOf(d.Samples)}, &Options{Parameters: Parameters{Components: 3}})
			if want == nil {
				want = r
			} else if r.Objective != want.Objective || r.Iterations != want.Iterations || r.Certificate != want.Certificate || !mat.Equal(r.Parts[2].Matrices[1], want.Parts[2].Matrices[1]) {
				t.Errorf("n = %d: %d threads: cost %v after %d steps, by one %v after %d", n, threads, r.Objective, r.Iterations, want.Objective, want.Iterations)
			}
		}
	}
}
