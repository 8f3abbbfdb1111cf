package dense

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

func random[T Float](rng *rand.Rand, rows, cols int) Matrix[T] {
	m := New[T](rows, cols)
	for i := range m.Data {
		m.Data[i] = T(rng.NormFloat64())
	}
	return m
}

func benchGemm[T Float](b *testing.B, n int) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y, z := random[T](rng, n, n), random[T](rng, n, n), New[T](n, n)
	for b.Loop() {
		Gemm(NoTrans, NoTrans, 1, x, y, 0, z)
	}
	b.ReportMetric(2*float64(n)*float64(n)*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
}

var benchSizes = []int{5, 8, 10, 16, 32, 64, 100, 128, 200, 256, 512, 1024, 2048}

func onPaths(t testing.TB, f func()) {
	old := active
	defer func() { active = old }()
	for p := range bestPath() + 1 {
		active = p
		f()
	}
}

func BenchmarkGemm(b *testing.B) {
	onPaths(b, func() {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%v/f64/%d", active, n), func(b *testing.B) { benchGemm[float64](b, n) })
			b.Run(fmt.Sprintf("%v/f32/%d", active, n), func(b *testing.B) { benchGemm[float32](b, n) })
		}
	})
}

func BenchmarkGonumGemm(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint("f64/", n), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			x, y, z := random[float64](rng, n, n), random[float64](rng, n, n), New[float64](n, n)
			for b.Loop() {
				gonum.Implementation{}.Dgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, x.Data, n, y.Data, n, 0, z.Data, n)
			}
			b.ReportMetric(2*float64(n)*float64(n)*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
		})
	}
}

func TestQuick(t *testing.T) {
	onPaths(t, func() {
		quick[float64](t, 1e-13)
		quick[float32](t, 1e-4)
	})
}
func quick[T Float](t *testing.T, tol float64) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		m, n, k := 1+rng.IntN(100), 1+rng.IntN(300), 1+rng.IntN(900)
		ta, tb := Trans(rng.IntN(2) == 1), Trans(rng.IntN(2) == 1)
		x, y, z := random[T](rng, m, k), random[T](rng, k, n), random[T](rng, m, n)
		if ta {
			x = random[T](rng, k, m)
		}
		if tb {
			y = random[T](rng, n, k)
		}
		want := z.Clone()
		for i := range m {
			for j := range n {
				s := 0.0
				for l := range k {
					s += float64(opAt(ta, x, i, l)) * float64(opAt(tb, y, l, j))
				}
				want.Set(i, j, T(2*s-3*float64(z.At(i, j))))
			}
		}
		Gemm(ta, tb, 2, x, y, -3, z)
		for i := range m {
			for j := range n {
				if d := float64(z.At(i, j) - want.At(i, j)); !(d < tol*float64(k) && d > -tol*float64(k)) {
					t.Fatal(active, m, n, k, ta, tb, i, j, z.At(i, j), want.At(i, j))
				}
			}
		}
	}
}
