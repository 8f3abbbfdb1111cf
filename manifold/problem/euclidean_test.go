package problem

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// nearness is 1/2 tr(Q S C S Q) - tr(S C Q) + const with C = I: 1/2 ||Q S - I||_F^2, minimizer Q^-1.
func nearness(n int) Euclidean {
	q := gallery.SPD(gallery.NearnessSeed, n, 5)
	Q := mat.NewSymDense(n, q.Data)
	defect := func(s mat.Symmetric) *mat.Dense {
		var d mat.Dense
		d.Mul(Q, s)
		for i := range n {
			d.Set(i, i, d.At(i, i)-1)
		}
		return &d
	}
	symmetrize := func(dst *mat.SymDense, a mat.Matrix) {
		for i := range n {
			for j := i; j < n; j++ {
				dst.SetSym(i, j, (a.At(i, j)+a.At(j, i))/2)
			}
		}
	}
	return Euclidean{
		N:    n,
		Cost: func(s *mat.SymDense) float64 { return 0.5 * math.Pow(mat.Norm(defect(s), 2), 2) },
		Gradient: func(g, s *mat.SymDense) {
			var a mat.Dense
			a.Mul(Q, defect(s))
			symmetrize(g, &a)
		},
		Hessian: func(h, _, u *mat.SymDense) {
			var a, b mat.Dense
			a.Mul(Q, u)
			b.Mul(Q, &a)
			symmetrize(h, &b)
		},
	}
}

func TestFromEuclidean(t *testing.T) {
	const n = 5
	f := nearness(n)
	for _, kappa := range []int{1, 2} {
		m, err := manifold.NewAffine(n, manifold.AffineOptions{Kappa: kappa})
		if err != nil {
			t.Fatal(err)
		}
		o, err := FromEuclidean(m, f)
		if err != nil {
			t.Fatal(err)
		}
		rng := source(12)
		p := m.RandomPoint(rng)
		memo, other := o.(solve.Memoizer).NewMemo(), o.(solve.Memoizer).NewMemo()
		grad, scratch := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
		if _, err := o.Evaluate(p, grad, memo); err != nil {
			t.Fatal(err)
		}
		cost := func(q manifold.Point) (float64, error) { return o.Evaluate(q, scratch, other) }
		if r, err := manifold.CheckGradient(m, p, cost, grad, rng); err != nil || !r.OK {
			t.Errorf("kappa %d: %v %v", kappa, r, err)
		}
		hess := func(dst, v []float64) error { return o.(solve.Hessian).HessianVec(dst, p, v, memo) }
		if r, err := manifold.CheckHessian(m, p, cost, grad, hess, rng); err != nil || !r.OK {
			t.Errorf("kappa %d: %v %v", kappa, r, err)
		}
		f.Hessian = nil
		differences, err := FromEuclidean(m, f)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := differences.(solve.Hessian); ok {
			t.Error("an objective without Hessian claims to have one")
		}
		for name, o := range map[string]solve.Objective{"exact Hessian": o, "differences": differences} {
			r, err := solve.Trust(m, o, manifold.IdentityFrame(n, 1), nil)
			if err != nil || !r.Converged {
				t.Errorf("%s: %+v %v", name, r, err)
				continue
			}
			if v := r.Objective; v > 1e-12 {
				t.Errorf("%s: the minimum is 0, got %v", name, v)
			}
			if e := name == "exact Hessian"; e != (r.Certificate.Kind == "newton-step") {
				t.Errorf("%s: certificate %+v", name, r.Certificate)
			}
		}
		f = nearness(n)
	}
	m, err := manifold.NewAffine(n, manifold.AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []Euclidean{{N: n}, {N: n, Cost: f.Cost}, {N: 2, Cost: f.Cost, Gradient: f.Gradient}} {
		if _, err := FromEuclidean(m, bad); err == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
	if _, err := FromEuclidean(nil, f); err == nil || !strings.Contains(err.Error(), "manifold is nil") {
		t.Error(err)
	}
}

// withoutMemo hides NewMemo of an objective, as one that is embedded in an objective of the caller's own does.
type withoutMemo struct{ solve.Objective }

func (w withoutMemo) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	return w.Objective.(solve.Hessian).HessianVec(dst, p, v, memo)
}

func TestFromEuclideanNeedsNoMemo(t *testing.T) {
	const n = 5
	m, err := manifold.NewAffine(n, manifold.AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f := nearness(n)
	gradients := 0
	gradient := f.Gradient
	f.Gradient = func(g, s *mat.SymDense) { gradients++; gradient(g, s) }
	o, err := FromEuclidean(m, f)
	if err != nil {
		t.Fatal(err)
	}
	start := manifold.IdentityFrame(n, 1)
	want, err := solve.Trust(m, o, start, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := solve.Trust(m, withoutMemo{o}, start, nil)
	if err != nil || got.Objective != want.Objective || got.Iterations != want.Iterations || got.HessianProducts != want.HessianProducts {
		t.Errorf("without a memo %+v, with one %+v: %v", got, want, err)
	}
	gradients = 0
	if _, err := solve.NelderMead(m, o, start, &solve.Options{MaxIterations: 20}); err != nil || gradients > 0 {
		t.Errorf("a method without gradients asked for %d: %v", gradients, err)
	}
}
