package roots

import (
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// lanczosSteps is how many steps the estimates of extreme eigenvalues take; with a random start and n <= 4096 they are within a few percent
// for the top and within a factor 2 for the smallest eigenvalue (through the inverse) with overwhelming probability (Kuczynski and
// Wozniakowski, SIAM J. Matrix Anal. Appl. 13, 1992).
const lanczosSteps = 12

// largest estimates the largest eigenvalue of the symmetric a from below.
func largest[T dense.Float](a dense.Matrix[T]) float64 {
	x, y := make([]T, a.Rows), make([]T, a.Rows)
	return ritzMax(a.Rows, func(dst, src []float64) {
		for i, v := range src {
			x[i] = T(v)
		}
		dense.Gemv(dense.NoTrans, 1, a, x, 0, y)
		for i, v := range y {
			dst[i] = float64(v)
		}
	})
}

// smallest estimates the smallest eigenvalue of l l^T from above.
func smallest(l dense.Matrix[float64]) float64 {
	return 1 / ritzMax(l.Rows, func(dst, src []float64) {
		copy(dst, src)
		solveVec(l, dst)
	})
}

// solveVec overwrites b with (l l^T)^-1 b by row sweeps, so that l is read along its rows both ways.
func solveVec(l dense.Matrix[float64], b []float64) {
	n := l.Rows
	for i := range n {
		row := l.Row(i)
		b[i] = (b[i] - dense.Dot(row[:i], b[:i])) / row[i]
	}
	for i := n - 1; i >= 0; i-- {
		row := l.Row(i)
		b[i] /= row[i]
		dense.Axpy(-b[i], row[:i], b[:i])
	}
}

// ritzMax returns the largest Ritz value after lanczosSteps Lanczos steps with full re-orthogonalisation from a fixed random start.
func ritzMax(n int, mul func(dst, src []float64)) float64 {
	k := min(n, lanczosSteps)
	v := dense.New[float64](k+1, n)
	rng := rand.New(rand.NewChaCha8([32]byte{'r', 'o', 'o', 't', 's'}))
	for i := range v.Row(0) {
		v.Row(0)[i] = rng.NormFloat64()
	}
	normalise(v.Row(0))
	t := dense.New[float64](k, k)
	for s := range k {
		w := v.Row(s + 1)
		mul(w, v.Row(s))
		for pass := range 2 {
			for i := 0; i <= s; i++ {
				c := dense.Dot(v.Row(i), w)
				dense.Axpy(-c, v.Row(i), w)
				if pass == 0 && i == s {
					t.Set(s, s, c)
				}
			}
		}
		beta := normalise(w)
		if s+1 == k {
			break
		}
		if beta <= 1e-14*math.Abs(t.At(s, s)) {
			t, k = t.View(0, 0, s+1, s+1), s+1
			break
		}
		t.Set(s, s+1, beta)
		t.Set(s+1, s, beta)
	}
	q, w := dense.New[float64](k, k), make([]float64, k)
	q.Copy(t)
	if !eigen.SymValues(q, w) {
		return math.NaN()
	}
	return w[k-1]
}

// normalise scales x to unit length and returns its former length; a zero vector is left alone.
func normalise(x []float64) float64 {
	s := math.Sqrt(dense.Dot(x, x))
	if s > 0 {
		for i := range x {
			x[i] /= s
		}
	}
	return s
}
