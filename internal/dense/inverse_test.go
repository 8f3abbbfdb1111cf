package dense

import (
	"math"
	"math/rand/v2"
	"testing"
)

// definite returns L L' with NaN below the diagonal, which InvertUpper may not read, and the complete matrix.
func definite[T Float](rng *rand.Rand, n int) (upper, full Matrix[T]) {
	l := lowerOnly(lowerFactor[T](rng, n))
	full = New[T](n, n)
	Gemm(NoTrans, Transposed, 1, l, l, 0, full)
	upper = full.Clone()
	for i := range n {
		for j := range i {
			upper.Set(i, j, T(math.NaN()))
		}
	}
	return upper, full
}

func TestInvertUpper(t *testing.T) {
	onPaths(t, func() {
		testInvertUpper[float64](t, 1e-13)
		testInvertUpper[float32](t, 1e-4)
	})
}

func testInvertUpper[T Float](t *testing.T, tol float64) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range triangularSizes {
		a, full := definite[T](rng, n)
		work := make([]T, InverseWork(n))
		for i := range work {
			work[i] = T(math.NaN())
		}
		again, pivots := a.Clone(), make([]T, n)
		if !InvertUpper(a, work) || !InvertPivots(again, pivots, work) {
			t.Errorf("%v %T n=%d: refused", active, tol, n)
			continue
		}
		Mirror(a)
		if Mirror(again); maxDifference(a, again) != 0 {
			t.Errorf("%v %T n=%d: another inverse with pivots", active, tol, n)
		}
		l := full.Clone()
		Cholesky(l)
		for i, p := range pivots {
			if want := float64(l.At(i, i)) * float64(l.At(i, i)); !(math.Abs(float64(p)-want) < tol*want) {
				t.Errorf("%v %T n=%d: pivot %d is %v, want %v", active, tol, n, i, p, want)
			}
		}
		product := New[T](n, n)
		Gemm(NoTrans, NoTrans, 1, full, a, 0, product)
		id := New[T](n, n)
		id.Identity()
		if d := maxDifference(product, id); !(d < tol) {
			t.Errorf("%v %T n=%d: A times its inverse is %g from the identity", active, tol, n, d)
		}
	}
}

// TestInvertUpperRefuses: no inverse where the matrix is not positive definite or not finite, wherever the fault stands.
func TestInvertUpperRefuses(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(7, 8))
		for _, n := range []int{1, 7, 16, 33, 70} {
			for _, bad := range []float64{-1, 0, math.NaN(), math.Inf(1)} {
				for _, at := range []int{0, n / 2, n - 1} {
					a, _ := definite[float64](rng, n)
					a.Set(at, at, bad)
					if InvertUpper(a, make([]float64, InverseWork(n))) {
						t.Errorf("%v n=%d: took %v at %d", active, n, bad, at)
					}
				}
			}
		}
	})
}

func TestInvertUpperPanics(t *testing.T) {
	refused(t, map[string]func(){
		"shape": func() { InvertUpper(New[float64](2, 3), make([]float64, InverseWork(3))) },
		"work":  func() { InvertUpper(New[float64](3, 3), make([]float64, 9)) },
	})
}
