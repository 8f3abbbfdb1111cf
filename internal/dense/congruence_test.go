package dense

import (
	"math/rand/v2"
	"testing"
)

// TestCongruence: the upper triangle is that of the two products, for sizes around those of the blocks.
func TestCongruence(t *testing.T) {
	onPaths(t, func() {
		testCongruence[float64](t, 1e-12)
		testCongruence[float32](t, 1e-3)
	})
}

func testCongruence[T Float](t *testing.T, tol float64) {
	rng := rand.New(rand.NewPCG(21, 22))
	for _, n := range []int{1, 2, 5, 31, 32, 33, 48, 65, 100, 131} {
		l, a := New[T](n, n), New[T](n, n)
		for i := range n {
			for j := range i + 1 {
				l.Set(i, j, T(rng.NormFloat64()))
				v := T(rng.NormFloat64())
				a.Set(i, j, v)
				a.Set(j, i, v)
			}
		}
		product, want, got := New[T](n, n), New[T](n, n), New[T](n, n)
		Gemm(NoTrans, NoTrans, 1, l, a, 0, product)
		Gemm(NoTrans, Transposed, 1, product, l, 0, want)
		Congruence(l, a, got, make([]T, n*n))
		Mirror(got)
		if d := maxDifference(got, want); !(d < tol*float64(n)) {
			t.Errorf("%v n=%d: off by %g", active, n, d)
		}
	}
}

func TestCongruenceRefuses(t *testing.T) {
	l := New[float64](3, 3)
	refused(t, map[string]func(){
		"short work":  func() { Congruence(l, l.Clone(), New[float64](3, 3), make([]float64, 8)) },
		"other sizes": func() { Congruence(l, New[float64](2, 2), New[float64](3, 3), make([]float64, 9)) },
	})
}
