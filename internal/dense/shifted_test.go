package dense

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// shiftedCase is a random iteration with p shifts and k columns.
func shiftedCase[T Float](n, p, k int) (q *Shifted[T], y Matrix[T]) {
	rng := rand.New(rand.NewPCG(uint64(n), uint64(100*p+k)))
	q = &Shifted[T]{D: make([]T, n), S: make([]T, p), W: New[T](n, p)}
	for i := range q.D {
		q.D[i] = T(math.Exp(4 * rng.NormFloat64()))
	}
	for j := range q.S {
		q.S[j] = T(math.Exp(4 * rng.NormFloat64()))
	}
	q.G, q.Z, q.MZ, q.Prev = New[T](n, k*p), New[T](n, k*p), New[T](n, k*p), New[T](n, k*p)
	return q, random[T](rng, n, k)
}

func testShifted[T Float](t *testing.T, tol float64) {
	for _, n := range []int{1, 7, 30} {
		for _, p := range []int{1, 3, 4, 8, 11, 16, 19, 32} {
			for _, k := range []int{1, 3} {
				q, y := shiftedCase[T](n, p, k)
				q.Start(y)
				m := symmetric[T](rand.New(rand.NewPCG(5, 6)), n)
				Gemm(NoTrans, NoTrans, 1, m, q.Z, 0, q.MZ)
				for i := range q.Prev.Data {
					q.Prev.Data[i] *= T(i % 5)
				}
				before, mz := q.Prev.Clone(), q.MZ.Clone()
				res := make([]T, k*p)
				const omega, step = 0.75, 1.25
				q.Step(omega, step, res)
				for l := range k {
					for j, s := range q.S {
						var sum float64
						for i, d := range q.D {
							c := l*p + j
							w := 1 / (float64(d) + float64(s))
							g := w * float64(y.At(i, l))
							size := math.Abs(g) + w*(math.Abs(float64(mz.At(i, c)))+float64(s)*math.Abs(g))
							e := g - w*(float64(mz.At(i, c))+float64(s)*g)
							require.InDelta(t, w, q.W.At(i, j), tol*w)
							require.InDelta(t, g, q.Z.At(i, c), tol*math.Abs(g))
							require.InDelta(t, e, q.MZ.At(i, c), 4*tol*size)
							prev := float64(before.At(i, c))
							require.InDelta(t, prev+omega*(g-prev)+step*e, q.Prev.At(i, c), 8*tol*(size+math.Abs(prev)))
							got := float64(q.MZ.At(i, c))
							sum += got * got / w
						}
						require.InDelta(t, sum, res[l*p+j], 40*tol*sum)
					}
				}
			}
		}
	}
}

// Start and Step on all paths against float64 arithmetic, with full and partial vectors and several columns.
func TestShifted(t *testing.T) {
	onPaths(t, func() {
		testShifted[float64](t, 0x1p-51)
		testShifted[float32](t, 0x1p-22)
	})
	q, y := shiftedCase[float64](4, 3, 2)
	q.Z = New[float64](4, 3)
	require.Panics(t, func() { q.Start(y) })
	require.Panics(t, func() { q.Step(1, 1, make([]float64, 6)) })
}

// WeightedSquares against float64 sums for lengths with full and partial vectors.
func TestWeightedSquares(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(3, 4))
		for n := range 70 {
			x, w := random[float64](rng, 1, n).Data, random[float64](rng, 1, n).Data
			x32, w32 := make([]float32, n), make([]float32, n)
			var plain, weighted, plain32, weighted32 float64
			for i := range n {
				x32[i], w32[i] = float32(x[i]), float32(w[i])
				plain += x[i] * x[i]
				weighted += x[i] * w[i] * x[i] * w[i]
				a, b := float64(x32[i]), float64(w32[i])
				plain32 += a * a
				weighted32 += a * b * a * b
			}
			p, q := WeightedSquares(x, w)
			require.InDelta(t, plain, p, 1e-14*plain)
			require.InDelta(t, weighted, q, 1e-14*weighted)
			p32, q32 := WeightedSquares(x32, w32)
			require.InDelta(t, plain32, p32, 1e-5*plain32)
			require.InDelta(t, weighted32, q32, 1e-5*weighted32)
		}
	})
	require.Panics(t, func() { WeightedSquares(make([]float64, 2), make([]float64, 3)) })
}
