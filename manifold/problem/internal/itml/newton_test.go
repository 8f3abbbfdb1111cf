package itml

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// classes returns samples of three classes in n dimensions, 3 apart.
func classes(n int) (x dense.Matrix[float64], labels []int) {
	x, labels = gallery.NewStream(82).Normals(9*n, n), make([]int, 9*n)
	for i := range labels {
		labels[i] = i % 3
		x.Set(i, 0, x.At(i, 0)+float64(3*labels[i]))
	}
	return x, labels
}

func objective(t *testing.T, x dense.Matrix[float64], labels []int, o Options) *Objective {
	m, err := manifold.NewAffine(x.Cols, manifold.AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := New(m, x, labels, o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestNewtonEquations: cost, gradient and second derivative from products of samples are those of the sums over pairs.
func TestNewtonEquations(t *testing.T) {
	for _, pairs := range []int{0, 60} {
		x, labels := classes(4)
		q := objective(t, x, labels, Options{Pairs: pairs})
		f, err := manifold.NewFrame(mat.NewSymDense(4, gallery.SPD(61, 4, 10).Data))
		if err != nil {
			t.Fatal(err)
		}
		n := 4
		s := startNewton(q, f, false)
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
		for i, v := range grad {
			if math.Abs(s.eta.Data[i]-v) > 1e-12*slices.Max(grad) {
				t.Errorf("element %d of the gradient is %g, want %g", i, s.eta.Data[i], v)
			}
		}
		s.hessian()
		rng := rand.New(rand.NewPCG(17, 1))
		eta, out := dense.New[float64](n, n), dense.New[float64](n, n)
		for i := range n {
			for j := i; j < n; j++ {
				eta.Set(i, j, rng.NormFloat64())
				eta.Set(j, i, eta.At(i, j))
			}
		}
		out.Copy(eta)
		m := memo.(*pairMemo)
		w := make([]float64, n)
		for k, f2 := range m.f2 {
			v := m.v.Row(k)
			dense.Gemv(dense.NoTrans, 1, eta, v, 0, w)
			dense.Ger(f2*dense.Dot(v, w), v, v, out)
		}
		before, y := make([]float64, 10), make([]float64, 10)
		dense.PackSymmetric(eta, before)
		dense.PackSymmetric(out, y)
		for i := range 10 {
			for j := range i {
				s.h.Set(j, i, s.h.At(i, j))
			}
		}
		dense.Gemv(dense.NoTrans, -1, s.h, before, 1, y)
		if d := math.Sqrt(dense.Dot(y, y) / dense.Dot(out.Data, out.Data)); d > 1e-11 {
			t.Errorf("second derivative %g away", d)
		}
	}
}

// TestNewtonStepsAllocateNothing from the point that a step starts at.
func TestNewtonStepsAllocateNothing(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	x, labels := classes(4)
	q := objective(t, x, labels, Options{})
	s := startNewton(q, manifold.IdentityFrame(4, 1), true)
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

// TestSeparate: samples of two classes that nearly coincide are not told apart by products.
func TestSeparate(t *testing.T) {
	x, labels := classes(3)
	if !objective(t, x.Clone(), labels, Options{}).separate() {
		t.Error("samples are not told apart")
	}
	copy(x.Row(1), x.Row(0))
	x.Row(1)[1] += 1e-7
	if objective(t, x, labels, Options{}).separate() {
		t.Error("a pair at a distance of 1e-7 is taken from products")
	}
}
