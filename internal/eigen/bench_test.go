package eigen

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/internal/dense"
)

var benchSizes = []int{10, 32, 64, 100, 200, 316, 500, 1000, 2000}

// onGaussian benchmarks a call on symmetric matrices with normal entries, of which a fresh copy is made for each call: their eigenvalues are
// well apart, so that nothing deflates.
func onGaussian(b *testing.B, largest int, call func(a dense.Matrix[float64], w []float64)) {
	for _, n := range benchSizes {
		if n > largest {
			break
		}
		a := gaussian(n, rand.New(rand.NewPCG(uint64(n), 1)))
		u, w := a.Clone(), make([]float64, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cputime.Measure(b, func() {
				u.Copy(a)
				call(u, w)
			})
		})
	}
}

func BenchmarkSym(b *testing.B) {
	var s Solver
	onGaussian(b, 2000, func(a dense.Matrix[float64], w []float64) { s.Sym(a, w) })
}

func BenchmarkValues(b *testing.B) {
	var s Solver
	onGaussian(b, 2000, func(a dense.Matrix[float64], w []float64) { s.Values(a, w) })
}

func BenchmarkProduct(b *testing.B) {
	c := dense.New[float64](2000, 2000)
	onGaussian(b, 2000, func(a dense.Matrix[float64], w []float64) {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, a, 0, dense.Wrap(a.Rows, a.Rows, c.Data))
	})
}

// BenchmarkRankOne does the work of Secular.RankOne for the same eigenvalues and weights at each call, so that nothing comes to deflate.
func BenchmarkRankOne(b *testing.B) { benchRankOne(b, true) }

// BenchmarkSecular is the part of it that is not the product.
func BenchmarkSecular(b *testing.B) { benchRankOne(b, false) }

func benchRankOne(b *testing.B, apply bool) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(uint64(n), 2))
			q, d := gaussian(n, rng), make([]float64, n)
			Sym(q, d)
			v, z, qv, start := make([]float64, n), make([]float64, n), make([]float64, n), slices.Clone(d)
			for i := range v {
				v[i] = rng.NormFloat64()
			}
			dense.Gemv(dense.Transposed, 1, q, v, 0, z)
			var s Secular
			cputime.Measure(b, func() {
				s.Solve(start, z, 0.1)
				if apply {
					dense.Gemv(dense.Transposed, 1, q, v, 0, qv)
					s.Values(d)
					s.Apply(q)
				}
			})
		})
	}
}

func benchGonum(b *testing.B, vectors bool) {
	onGaussian(b, 500, func(a dense.Matrix[float64], w []float64) {
		var e mat.EigenSym
		e.Factorize(mat.NewSymDense(a.Rows, a.Data), vectors)
		e.Values(w)
		if vectors {
			var v mat.Dense
			e.VectorsTo(&v)
		}
	})
}

func BenchmarkGonumEigenSym(b *testing.B)       { benchGonum(b, true) }
func BenchmarkGonumEigenSymValues(b *testing.B) { benchGonum(b, false) }
