package spectral

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// Sample writes a draw from the normal distribution N(0, S) to dst, of length n: B diag(d)^(1/2) z, in 2 n^2 flops and n standard normals.
func (f *Factor) Sample(rng *rand.Rand, dst []float64) {
	if len(dst) != f.n {
		mistake("Sample: destination of length %d, the factor dimension %d", len(dst), f.n)
	}
	z := f.lowWork(f.n)
	for i, v := range f.d {
		z[i] = math.Sqrt(v) * rng.NormFloat64()
	}
	dense.Gemv(dense.NoTrans, 1, f.b, z, 0, dst)
}

// SampleRows fills the m x n dst with independent draws from N(0, S), one a row, by one product. It uses the same numbers in the same order as m
// calls of Sample.
func (f *Factor) SampleRows(rng *rand.Rand, dst *mat.Dense) {
	m, n := dst.Dims()
	if n != f.n {
		mistake("SampleRows: destination has %d columns, the factor dimension %d", n, f.n)
	}
	buf := f.lowWork(m*n + n)
	z, root := dense.Wrap(m, n, buf), buf[m*n:]
	dense.Sqrt(root, f.d)
	for i := range m {
		row := z.Row(i)
		for j, v := range root {
			row[j] = v * rng.NormFloat64()
		}
	}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, z, f.b, 0, dense.Of(dst.RawMatrix()))
}

// QuadraticForm returns x^T S^p x, in 2 n^2 flops; p = -1 is the squared Mahalanobis length.
func (f *Factor) QuadraticForm(p float64, x []float64) float64 {
	if len(x) != f.n {
		mistake("QuadraticForm: vector of length %d, the factor dimension %d", len(x), f.n)
	}
	buf := f.lowWork(2 * f.n)
	t, dp := buf[:f.n], buf[f.n:]
	dense.Gemv(dense.Transposed, 1, f.b, x, 0, t)
	dense.Pow(dp, f.d, p)
	var q float64
	for i, v := range t {
		q += dp[i] * v * v
	}
	return q
}

// LogDensity returns the logarithm of the density of N(0, S) at x, in 2 n^2 flops.
func (f *Factor) LogDensity(x []float64) float64 {
	return -0.5 * (float64(f.n)*math.Log(2*math.Pi) + f.LogDet() + f.QuadraticForm(-1, x))
}

// KL returns the Kullback-Leibler divergence KL(N(0, S) || N(0, G)) = 1/2 (tr(G^-1 S) - n + log det G - log det S) in nats, by one product. It is
// summed so that it keeps its relative accuracy where S is close to G in a common eigenbasis.
func (f *Factor) KL(g *Factor) float64 {
	if g.n != f.n {
		mistake("KL: dimensions %d and %d", f.n, g.n)
	}
	if f.n == 0 {
		return 0
	}
	f.ready()
	c := f.scratch()
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, g.b, f.b, 0, c)
	var s float64
	for i, gi := range g.d {
		for j, v := range c.Row(i) {
			// sum_ij c_ij^2 = n and its rows and columns sum to 1, so that -n and the log-determinants can join every term.
			u := f.d[j] / gi
			s += v * v * (u - 1 - math.Log(u))
		}
	}
	return max(0, s/2)
}
