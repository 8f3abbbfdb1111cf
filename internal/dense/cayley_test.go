package dense

import (
	"math"
	"math/rand/v2"
	"testing"
)

func skew[T Float](rng *rand.Rand, n int, size float64) Matrix[T] {
	m := New[T](n, n)
	for i := range n {
		for j := range i {
			v := T(size * rng.NormFloat64())
			m.Set(i, j, v)
			m.Set(j, i, -v)
		}
	}
	return m
}

// orthogonality returns max |q^T q - I|.
func orthogonality(q Matrix[float64]) float64 {
	g := New[float64](q.Rows, q.Rows)
	Gemm(Transposed, NoTrans, 1, q, q, 0, g)
	var d float64
	for i := range g.Rows {
		for j, v := range g.Row(i) {
			if i == j {
				v--
			}
			d = max(d, math.Abs(v))
		}
	}
	return d
}

func cayleyFrom(x Matrix[float64]) Matrix[float64] {
	q := x.Clone()
	for i := range q.Data {
		q.Data[i] *= 2
	}
	for i := range q.Rows {
		q.Data[i*q.Stride+i]--
	}
	return q
}

func TestCayleyInverse(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(7, 8))
		for _, n := range []int{1, 2, 3, 5, 12, 13, 16, 31, 33, 50, 64, 100, 129, 200} {
			for _, size := range []float64{1e-3, 0.3 / math.Sqrt(float64(n)), 1, 100} {
				g := skew[float64](rng, n, size)
				x, work := New[float64](n, n), make([]float64, CayleyWork(n))
				CayleyInverse(g, x, work)
				norm := NormBound(g)
				if d := orthogonality(cayleyFrom(x)); !(d < 3e-15*(1+norm*norm)) {
					t.Errorf("%v n=%d size %g: 2X - I is orthogonal to %g only", active, n, size, d)
				}
				g2 := New[float64](n, n)
				Gemm(NoTrans, NoTrans, 1, g, x, 0, g2)
				for i := range n {
					for j := range n {
						want := 0.0
						if i == j {
							want = 1
						}
						if d := math.Abs(x.At(i, j) - g2.At(i, j) - want); !(d < 1e-15*(1+norm*norm*norm)) {
							t.Fatalf("%v n=%d size %g: (I - N) X differs from I by %g at (%d,%d)", active, n, size, d, i, j)
						}
					}
				}
			}
		}
	})
}

func TestCayleyTruncated(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(9, 8))
		for _, n := range []int{1, 2, 5, 17, 40, 70} {
			g := skew[float64](rng, n, 0.3/math.Sqrt(float64(n)))
			for k := 1; k <= 5; k++ {
				got, want := New[float64](n, n), New[float64](n, n)
				CayleyTruncated(g, k, got, make([]float64, CayleyWork(n)))
				// The product as it is defined.
				factor := g.Clone()
				addIdentity(factor)
				Gemm(NoTrans, NoTrans, 1, factor, factor, 0, want)
				power := g.Clone()
				for range k - 1 {
					next := New[float64](n, n)
					Gemm(NoTrans, NoTrans, 1, power, power, 0, next)
					power = next.Clone()
					addIdentity(next)
					w := New[float64](n, n)
					Gemm(NoTrans, NoTrans, 1, want, next, 0, w)
					want = w
				}
				for i := range got.Data {
					if d := math.Abs(got.Data[i] - want.Data[i]); !(d < 1e-13) {
						t.Fatalf("%v n=%d k=%d: element %d differs by %g", active, n, k, i, d)
					}
				}
			}
		}
	})
}
