package problem

import (
	"math"
	"runtime"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestITMLNewtonEquations: cost, gradient and second derivative from products of samples are those of the sums over pairs.
func TestITMLNewtonEquations(t *testing.T) {
	for _, pairs := range []int{0, 60} {
		q, err := newITML(ptr(labelled(4)), &Options{Parameters: Parameters{Pairs: pairs}})
		if err != nil {
			t.Fatal(err)
		}
		f, err := manifold.NewFrame(symmetric(gallery.SPD(61, 4, 10)))
		if err != nil {
			t.Fatal(err)
		}
		n := 4
		s := newITMLNewton(q, f, false)
		memo, grad := q.NewMemo(), make([]float64, n*n)
		want, err := q.Evaluate(f, grad, memo)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.evaluate(s.f)
		if err != nil || math.Abs(got-want) > 1e-12*math.Abs(want) {
			t.Errorf("cost %v (%v), want %v", got, err, want)
		}
		s.gradient()
		if d := distanceRelative(dataOf(s.eta), dataOf(dense.Wrap(n, n, grad))); d > 1e-12 {
			t.Errorf("gradient %g away", d)
		}
		s.hessian()
		rng := source(17)
		eta, out := dense.New[float64](n, n), dense.New[float64](n, n)
		for i := range n {
			for j := i; j < n; j++ {
				eta.Set(i, j, rng.NormFloat64())
				eta.Set(j, i, eta.At(i, j))
			}
		}
		out.Copy(eta)
		m := memo.(*itmlMemo)
		w := make([]float64, n)
		for k, f2 := range m.f2 {
			v := m.v.Row(k)
			dense.Gemv(dense.NoTrans, 1, eta, v, 0, w)
			dense.Ger(f2*dense.Dot(v, w), v, v, out)
		}
		x, y := make([]float64, 10), make([]float64, 10)
		pack(eta, x)
		pack(out, y)
		for i := range 10 {
			for j := range i {
				s.h.Set(j, i, s.h.At(i, j))
			}
		}
		dense.Gemv(dense.NoTrans, -1, s.h, x, 1, y)
		if d := math.Sqrt(dense.Dot(y, y) / dense.Dot(out.Data, out.Data)); d > 1e-11 {
			t.Errorf("second derivative %g away", d)
		}
	}
}

// TestITMLNewtonStepsAllocateNothing from the point that a step starts at.
func TestITMLNewtonStepsAllocateNothing(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	q, err := newITML(ptr(labelled(4)), &Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := newITMLNewton(q, manifold.IdentityFrame(4, 1), true)
	first, mon := s.f.Clone(), iteration.NewMonitor(&solve.Options{}, 16)
	if n := allocs.PerRun(5, func() {
		s.f.Copy(first)
		cost, err := s.evaluate(s.f)
		s.gradient()
		if _, moved := s.step(cost, mon); err != nil || moved == 0 {
			t.Fatal(moved, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations in a step", n)
	}
}

// TestITMLFarPairsClose: samples of two classes that nearly coincide are left to the method that looks at every pair.
func TestITMLFarPairsClose(t *testing.T) {
	d := labelled(3)
	row := append([]float64(nil), d.Samples.RawRowView(0)...)
	row[1] += 1e-7
	d.Samples.SetRow(1, row)
	q, err := newITML(&d, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	if q.separate() {
		t.Error("a pair at a distance of 1e-7 is taken from products")
	}
	a := solved(t, "metric-learning", d, &Options{Method: "itml"})
	b := solved(t, "metric-learning", d, &Options{Method: "itml-trust"})
	if r := distanceRelative(a.Solution, b.Solution); r > 1e-6 {
		t.Errorf("%g apart", r)
	}
	if c := solved(t, "metric-learning", labelled(3), &Options{Method: "itml", Solver: solve.Options{Tolerance: 1e-12}}); c.Iterations > 15 {
		t.Errorf("Newton's method took %d iterations", c.Iterations)
	}
}
