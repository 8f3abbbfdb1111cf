package problem

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold/solve"
)

// singleOf returns a search that is at its first point, with the inverse of that to rounding.
func singleOf(t *testing.T, d Data, tangents bool) *singleSearch {
	t.Helper()
	s := newSingleSearch(karcherOf(t, d), false)
	if s.tangents = nil; tangents {
		s.tangents = newSingleTangents(s)
	}
	if !s.between() || !s.invert() || tangents && !s.tangents.begin(s.y) {
		t.Fatal("the means are singular")
	}
	return s
}

// TestSingleTangents: the search with tangent vectors G has the gradients, the steps and, nearly, the inner products of that with N = X^-1 G, and ends as near to the mean.
func TestSingleTangents(t *testing.T) {
	for name, d := range map[string]Data{
		"four":    {Matrices: scattered(61, 4, 1e2)},
		"weights": {Matrices: scattered(40, 3, 30), Weights: []float64{1, 5, 2}},
		"many":    {Matrices: scattered(33, 11, 300)},
	} {
		for _, short := range []bool{false, true} {
			plain, tangent := singleOf(t, d, false), singleOf(t, d, true)
			log := newRationalLog(plain.width, 3)
			if !plain.gradient(log, 0) || !tangent.gradient(log, 0) {
				t.Fatal(name, "singular")
			}
			product := dense.New[float32](plain.n, plain.n)
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, plain.x, plain.grad.all, 0, product)
			if e := apart(tangent.grad.all, product); e > 1e-4 {
				t.Errorf("%s: the gradients are %.3g apart", name, e)
			}
			if r := tangent.inner(&tangent.grad, &tangent.grad) / plain.inner(&plain.grad, &plain.grad); math.Abs(r-1) > 0.1 {
				t.Errorf("%s: the square of the norm is %.3g of what it should be", name, r)
			}
			for _, s := range []*singleSearch{plain, tangent} {
				s.direction(log.hessian, 0)
				s.move(short)
			}
			if e := apart(tangent.x, plain.x); e > 1e-5 {
				t.Errorf("%s: the points are %.3g apart", name, e)
			}
		}
		for _, tangents := range []bool{false, true} {
			s := singleOf(t, d, tangents)
			if s.search() != searchDone {
				t.Fatal(name, "the search ended at its first point")
			}
			y := s.x.Clone()
			if !dense.InvertUpper(y, s.work) {
				t.Fatal(name, "singular")
			}
			dense.Mirror(y)
			s.tangents, s.y = nil, y
			if !s.gradient(newRationalLog(s.width, 6), 0) {
				t.Fatal(name, "singular")
			}
			if g := math.Sqrt(s.inner(&s.grad, &s.grad)*3/float64(s.n)) / s.width; !(g < 1e-5) {
				t.Errorf("%s, tangents %v: the search leaves a gradient of %.3g", name, tangents, g)
			}
		}
	}
}

// apart returns the Frobenius norm of the difference over that of b.
func apart(a, b dense.Matrix[float32]) float64 {
	var d, s float64
	for i, v := range b.Data {
		e := float64(a.Data[i]) - float64(v)
		d, s = d+e*e, s+float64(v)*float64(v)
	}
	return math.Sqrt(d / s)
}

// TestSingleHessianAccuracy: products with the gradient that the search leaves are as accurate as was asked for, with as few shifts as that takes, and the same after more accurate ones.
func TestSingleHessianAccuracy(t *testing.T) {
	for _, count := range []int{3, 4, 5, 20} {
		k := karcherOf(t, Data{Matrices: scattered(50, count, 1e2)})
		p := k.start()
		s := newShiftedMean(k, &Options{Solver: solve.Options{Tolerance: 1e-8}})
		if s == nil {
			t.Fatal("no objective without decompositions")
		}
		g, got, want := make([]float64, k.n*k.n), make([]float64, k.n*k.n), make([]float64, k.n*k.n)
		memo, exact := s.NewMemo(), k.NewMemo()
		if _, err := s.Evaluate(p, g, memo); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Evaluate(p, want, exact); err != nil {
			t.Fatal(err)
		}
		if err := k.HessianVec(want, p, g, exact); err != nil {
			t.Fatal(err)
		}
		shifts, rough := 0, make([]float64, len(g))
		for _, allowed := range []float64{0.05, 3e-3, 1e-3, 1e-5} {
			if s.hessian.start(); !s.hessian.product(got, g, allowed) {
				t.Fatal("singular")
			}
			if e, most := differenceRelative(got, want), max(allowed, 2*hessianError); e > most {
				t.Errorf("%d matrices: a product is %.3g away, allowed %.3g", count, e, most)
			}
			if m := len(s.hessian.log.shift); m < shifts || allowed == 0.05 && m != 1 {
				t.Errorf("%d matrices: %d shifts for %.3g, %d for more", count, m, allowed, shifts)
			} else if shifts = m; m == 1 {
				copy(rough, got)
			}
		}
		if !s.hessian.product(got, g, 0.05) || len(s.hessian.log.shift) != 1 {
			t.Errorf("%d matrices: %d shifts after %d", count, len(s.hessian.log.shift), shifts)
		}
		if e := differenceRelative(got, rough); e > 1e-4 {
			t.Errorf("%d matrices: one shift after %d is %.3g away from one shift", count, shifts, e)
		}
	}
}
