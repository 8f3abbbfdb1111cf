package problem

import (
	"runtime"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestEvaluationsAllocateNothing: evaluations and Hessian products of every problem own their workspace.
func TestEvaluationsAllocateNothing(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, p := range riemannian() {
		d := cases(12, 100)[p.Name][0]
		in, m, err := p.instance(&d, &Options{})
		if err != nil {
			t.Fatal(err)
		}
		allocates(t, p.Name, m, in, m.RandomPoint(source(3)))
	}
	for name, c := range inner(t, 6) {
		allocates(t, name, c.m, c.f, c.m.RandomPoint(source(3)))
	}
}

func allocates(t *testing.T, name string, m manifold.Manifold, f solve.Objective, p manifold.Point) {
	var memo solve.Memo
	if mm, ok := f.(solve.Memoizer); ok {
		memo = mm.NewMemo()
	}
	grad, hv := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
	evaluate := allocs.PerRun(5, func() {
		if _, err := f.Evaluate(p, grad, memo); err != nil {
			t.Fatal(name, err)
		}
	})
	h, ok := f.(solve.Hessian)
	product := allocs.PerRun(5, func() {
		if ok {
			if err := h.HessianVec(hv, p, grad, memo); err != nil {
				t.Fatal(name, err)
			}
		}
	})
	if evaluate > 0 || product > 0 {
		t.Errorf("%s: %v allocations in an evaluation, %v in a Hessian product", name, evaluate, product)
	}
}
