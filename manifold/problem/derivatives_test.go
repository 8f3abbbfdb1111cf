package problem

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
)

// logDetFit is log det S + tr(S^-1 A) with its derivatives, of which some may be wrong.
func logDetFit(a *mat.SymDense, factor, hessian float64) Euclidean {
	n := a.SymmetricDim()
	inverse := func(s *mat.SymDense) *mat.Dense {
		var inv mat.Dense
		if err := inv.Inverse(s); err != nil {
			return mat.NewDense(n, n, nil)
		}
		return &inv
	}
	write := func(dst *mat.SymDense, m *mat.Dense, off float64) {
		for i := range n {
			for j := i; j < n; j++ {
				v := m.At(i, j)
				if i != j {
					v *= off
				}
				dst.SetSym(i, j, v)
			}
		}
	}
	return Euclidean{
		N: n,
		Cost: func(s *mat.SymDense) float64 {
			var c mat.Cholesky
			if !c.Factorize(s) {
				return math.Inf(1)
			}
			var x mat.Dense
			x.Mul(inverse(s), a)
			return c.LogDet() + mat.Trace(&x)
		},
		Gradient: func(g, s *mat.SymDense) {
			inv := inverse(s)
			var x, y mat.Dense
			x.Mul(inv, a)
			y.Mul(&x, inv)
			y.Sub(inv, &y)
			write(g, &y, factor)
		},
		Hessian: func(h, s, u *mat.SymDense) {
			inv := inverse(s)
			var iu, one, two mat.Dense
			iu.Mul(inv, u)
			one.Mul(&iu, inv) // S^-1 U S^-1
			two.Product(&iu, inv, a, inv)
			two.Add(&two, mat.DenseCopyOf(two.T()))
			two.Sub(&two, &one)
			two.Scale(hessian, &two)
			write(h, &two, 1)
		},
	}
}

// TestCheckEuclidean: right derivatives pass, those with the usual mistakes do not.
func TestCheckEuclidean(t *testing.T) {
	a, s := symmetric(gallery.SPD(9, 4, 5)), symmetric(gallery.SPD(8, 4, 5))
	rng := func() *rand.Rand { return source(5) }
	all, err := CheckEuclidean(logDetFit(a, 1, 1), s, rng())
	if err != nil || len(all) != 2 || !all[0].OK || !all[1].OK {
		t.Errorf("right derivatives: %v %v", all, err)
	}
	all, err = CheckEuclidean(logDetFit(a, 2, 1), s, rng()) // off-diagonal entries counted twice
	if err != nil || len(all) != 1 || all[0].OK || math.Abs(all[0].Slope-1) > 0.1 {
		t.Errorf("gradient twice off the diagonal: %v %v", all, err)
	}
	all, err = CheckEuclidean(logDetFit(a, 1, 1.01), s, rng())
	if err != nil || len(all) != 2 || !all[0].OK || all[1].OK || math.Abs(all[1].Slope-2) > 0.1 {
		t.Errorf("Hessian wrong by 1 %%: %v %v", all, err)
	}
	if _, err := CheckEuclidean(logDetFit(a, 1, 1), symmetric(gallery.SPD(8, 3, 5)), rng()); err == nil || !strings.Contains(err.Error(), "3 rows, want 4") {
		t.Errorf("%v", err)
	}
	if _, err := CheckEuclidean(Euclidean{N: 2, Cost: func(*mat.SymDense) float64 { return math.NaN() }, Gradient: func(_, _ *mat.SymDense) {}},
		mat.NewSymDense(2, []float64{1, 0, 0, 1}), rng()); err == nil || !strings.Contains(err.Error(), "finite") {
		t.Errorf("%v", err)
	}
}

// TestCheckDerivatives: every problem with general solvers passes on its own data.
func TestCheckDerivatives(t *testing.T) {
	for _, p := range List() {
		all, err := p.CheckDerivatives(resumeData(4)[p.Name].data, nil, source(7))
		if p.prepare == nil {
			if err == nil {
				t.Errorf("%s has no gradient, but %v", p.Name, all)
			}
			continue
		}
		if err != nil || len(all) != 2 || !all[0].OK || !all[1].OK {
			t.Errorf("%s: %v %v", p.Name, all, err)
		}
	}
}
