package spectral

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

var benchSizes = []int{10, 32, 100, 316, 1000, 2000}

// benchMatrix is V V^T/(n+2) for an n x (n+2) matrix V of normals.
func benchMatrix(b *testing.B, n int, seed uint64) *mat.SymDense {
	v, s := dense.Of(randDense(newRand(b, seed), n, n+2).RawMatrix()), mat.NewSymDense(n, nil)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1/float64(n+2), v, v, 0, dense.Wrap(n, n, s.RawSymmetric().Data))
	return s
}

func benchFactor(b *testing.B, n int) *Factor {
	f, err := FromSym(benchMatrix(b, n, 1))
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func BenchmarkUpdateDense(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f, call := benchFactor(b, n), 0
			targets := []Increment{MovingAverage(benchMatrix(b, n, 2), 0.01, 1, 0), MovingAverage(benchMatrix(b, n, 3), 0.01, 1, 0)}
			cputime.Measure(b, func() {
				f.Update(targets[call%2], nil)
				call++
			})
		})
	}
}

// fresh is the number of different increments that a benchmark cycles through: with one alone the basis would settle and the rotations vanish.
const fresh = 16

func BenchmarkUpdateRank(b *testing.B) {
	for _, k := range []int{1, 16} {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%d/%d", k, n), func(b *testing.B) {
				r, call := newRand(b, 1), 0
				f, weights := benchFactor(b, n), make([]float64, k)
				for i := range weights {
					weights[i] = 0.01 / float64(k)
				}
				var steps [fresh]Increment
				for i := range steps {
					steps[i] = Increment{Decay: 0.01, Vectors: randDense(r, n, k), Weights: weights}
				}
				cputime.Measure(b, func() {
					f.Update(steps[call%fresh], nil)
					call++
				})
			})
		}
	}
}

// One iteration is n/10 vectors added and one rotation.
func BenchmarkUpdateFolded(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, call := newRand(b, 1), 0
			f, k := benchFactor(b, n), max(1, n/10)
			v, a := randDense(r, fresh*k, n), NewAccumulator(n, k)
			cputime.Measure(b, func() {
				for range k {
					a.AddVector(0.01, 0.01, v.RawRowView(call%(fresh*k)))
					call++
				}
				a.Flush(f, nil)
			})
		})
	}
}

func BenchmarkRankOne(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, call := newRand(b, 1), 0
			f, v := benchFactor(b, n), randDense(r, fresh, n)
			cputime.Measure(b, func() {
				if err := f.RankOne(0.01, v.RawRowView(call%fresh)); err != nil {
					b.Fatal(err)
				}
				call++
			})
		})
	}
}

// One product, the yardstick of the costs that the documentation states.
func BenchmarkProduct(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRand(b, 1)
			x, y, z := dense.Of(randDense(r, n, n).RawMatrix()), dense.Of(randDense(r, n, n).RawMatrix()), dense.New[float64](n, n)
			cputime.Measure(b, func() {
				dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, y, 0, z)
			})
		})
	}
}

// The exact Cayley rotation of the basis: the inverse of I - N and the product with B.
func BenchmarkTurn(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f, gen := benchFactor(b, n), dense.Of(randSkew(newRand(b, 2), n).RawMatrix())
			dense.Scale(0.3/math.Sqrt(float64(n)), gen.Data, gen.Data)
			f.ready()
			cputime.Measure(b, func() {
				f.gen.Copy(gen)
				f.turn(0, 1)
			})
		})
	}
}

// What an Update replaces: a fresh decomposition.
func BenchmarkDecompose(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			q := benchMatrix(b, n, 1)
			a, w := dense.New[float64](n, n), make([]float64, n)
			cputime.Measure(b, func() {
				symmetricTo(a, q, 1)
				if !eigen.Sym(a, w) {
					b.Fatal("no convergence")
				}
			})
		})
	}
}

// The same by gonum's EigenSym, at sizes that it finishes in seconds.
func BenchmarkDecomposeGonum(b *testing.B) {
	for _, n := range benchSizes[:5] {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			q := benchMatrix(b, n, 1)
			cputime.Measure(b, func() {
				var e mat.EigenSym
				if !e.Factorize(q, true) {
					b.Fatal("no convergence")
				}
			})
		})
	}
}

func BenchmarkPow(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRand(b, 1)
			f, x := benchFactor(b, n), randDense(r, n, n)
			x.Scale(1/math.Sqrt(float64(n)), x)
			var y mat.Dense
			cputime.Measure(b, func() {
				f.Pow(-0.25, &y, x)
			})
		})
	}
}

func BenchmarkKronLearn(b *testing.B) {
	for _, n := range []int{32, 128, 512} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRand(b, 1)
			k, x := NewKron(1, n, n), randTensor(r, n*n)
			batch := [][]float64{x}
			k.Learn(batch, 0.01, 1, 0, nil)
			cputime.Measure(b, func() {
				k.Learn(batch, 0.01, 1, 0, nil)
			})
		})
	}
}
