package problem

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// TestSharedPasses: the same bits for any number of threads where passes over samples have several parts.
func TestSharedPasses(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	samples := Data{Samples: dataOf(gallery.NewStream(31).Normals(2700, 30))}
	for problem, methods := range map[string][]string{"dopt": {"exchange", "trust"}, "mve": {"exchange"}} {
		for _, method := range methods {
			var want []float64
			for _, threads := range []int{1, 2, 4} {
				runtime.GOMAXPROCS(threads)
				r, err := Solve(problem, samples, &Options{Method: method})
				if err != nil || !r.Converged {
					t.Fatalf("%s by %s: %+v %v", problem, method, r, err)
				}
				got := append(slices.Clone(r.Solution.RawSymmetric().Data), r.Objective, r.RelativeGradient, r.Certificate.Value)
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s by %s: other bits with %d threads", problem, method, threads)
				}
			}
		}
	}
}

// TestExchanges: they allocate nothing, and leave M^-1 and g as if they were computed afresh.
func TestExchanges(t *testing.T) {
	s := newDesign(view(heavyTailed(6, 10)))
	if _, err := s.refresh(); err != nil {
		t.Fatal(err)
	}
	a, index := s.promising()
	if n := allocs.PerRun(5, func() {
		most, least, _, _ := a.extremes()
		a.exchange(most, least)
	}); n > 0 {
		t.Errorf("%v allocations in an exchange", n)
	}
	inv, g := s.inv.Clone(), slices.Clone(a.g)
	for k, i := range index {
		s.u[i] = a.u[k]
	}
	if _, err := s.refresh(); err != nil {
		t.Fatal(err)
	}
	for k, i := range index {
		if !(math.Abs(g[k]-s.g[i]) <= 1e-12*s.g[i]) {
			t.Errorf("g %v, afresh %v", g[k], s.g[i])
		}
	}
	dense.Axpy(-1, s.inv.Data, inv.Data)
	if d := norm(inv.Data); !(d <= 1e-12*norm(s.inv.Data)) {
		t.Errorf("M^-1 is %v off", d)
	}
}

// TestSpan: the first points have equal weights, are as many as dimensions, and span them, though most of the others are copies of one.
func TestSpan(t *testing.T) {
	const d = 7
	y := gallery.NewStream(5).Normals(400, d)
	for i := d; i < y.Rows; i++ {
		copy(y.Row(i), y.Row(0))
	}
	if _, err := whitenPoints(y, "subspace"); err != nil {
		t.Fatal(err)
	}
	s := newDesign(y)
	count := 0
	for _, u := range s.u {
		if u > 0 {
			count++
			if u != 1./d {
				t.Errorf("weight %v", u)
			}
		}
	}
	if _, err := s.refresh(); count != d || err != nil {
		t.Errorf("%d points, %v", count, err)
	}
}
