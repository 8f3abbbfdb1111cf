package problem

import (
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// TestProcrustesThreads: solutions do not depend on the number of threads, however these share the work.
func TestProcrustesThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for name, d := range map[string]Data{"near": turned(70, 3, 0.1), "far": noisy(70, 3, 1e6), "many pairs": turned(45, 9, 0.1), "near, by bytes": turned(150, 3, 0.1)} {
		runtime.GOMAXPROCS(1)
		want := solved(t, "procrustes", d, nil)
		for _, threads := range []int{2, 4} {
			runtime.GOMAXPROCS(threads)
			got := solved(t, "procrustes", d, nil)
			if got.Objective != want.Objective || got.HessianProducts != want.HessianProducts || !mat.Equal(got.Solution, want.Solution) ||
				!mat.Equal(got.Part("rotation"), want.Part("rotation")) || !mat.Equal(got.Part("lower_bound"), want.Part("lower_bound")) {
				t.Errorf("%s: cost %v with %d products on %d threads, on one %v with %d", name, got.Objective, got.HessianProducts, threads, want.Objective, want.HessianProducts)
			}
		}
	}
}

// TestPencilLogs: all at once are what they are one by one, in any precision, and a matrix that is not positive definite is found.
func TestPencilLogs(t *testing.T) {
	pencilLogsAtOnce[float64](t)
	pencilLogsAtOnce[float32](t)
}

func pencilLogsAtOnce[T dense.Float](t *testing.T) {
	const n, m = 70, 3
	f, p, _ := fitOf(t, turned(n, m, 0.1), false)
	fresh := func() dense.Matrix[T] { return dense.New[T](n, n) }
	converted := func(x dense.Matrix[float64]) dense.Matrix[T] {
		y := fresh()
		for i, v := range x.Data {
			y.Data[i] = T(v)
		}
		return y
	}
	var a, b []dense.Matrix[T]
	for k := range p.a {
		a, b = append(a, converted(p.a[k])), append(b, converted(f.b[k]))
	}
	r, d, inverse, log, work := converted(f.at.rotation.r), fresh(), fresh(), fresh(), make([]T, dense.InverseWork(n))
	l := newPencilLogs(n, m, fresh)
	for _, nodes := range []int{3, 7} { // one wave of inversions, and several
		rule := ruleFor(nodes, 1)
		if !l.compute(r, a, b, rule) {
			t.Fatal("not positive definite")
		}
		for k := range a {
			if !pencilLog(r, a[k], b[k], d, inverse, log, rule, work) {
				t.Fatal("not positive definite")
			}
			if !slices.Equal(d.Data, l.d[k].Data) || !slices.Equal(inverse.Data, l.inverse[k].Data) || !slices.Equal(log.Data, l.log[k].Data) {
				t.Errorf("%T, %d nodes, pair %d: other bits", log.Data[0], nodes, k)
			}
			if !pencilLog(dense.Matrix[T]{}, a[k], b[k], d, inverse, log, rule, work) { // for r, which is the identity
				t.Fatal("not positive definite")
			}
			if !slices.Equal(d.Data, l.d[k].Data) || !slices.Equal(log.Data, l.log[k].Data) {
				t.Errorf("%T, %d nodes, pair %d: other bits without a rotation", log.Data[0], nodes, k)
			}
		}
	}
	b[m-1].Set(n/2, n/2, -b[m-1].At(n/2, n/2))
	if l.compute(r, a, b, ruleFor(3, 1)) {
		t.Error("an indefinite matrix was taken")
	}
}
