package gallery

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Seeds that the benchmark problems use, each with the size and condition varied.
const (
	MeanSeed     = 1000
	LogDetSeed   = 3000
	NearnessSeed = 4000
	TylerSeed    = 5000
)

// Spectrum returns n eigenvalues, ascending, evenly spaced on a log scale, with ratio kappa and geometric mean 1.
func Spectrum(n int, kappa float64) []float64 {
	w := make([]float64, n)
	for i := range w {
		if n == 1 {
			w[i] = 1
			continue
		}
		w[i] = math.Pow(kappa, float64(i)/float64(n-1)-0.5)
	}
	return w
}

// Orthogonal returns the n x n orthogonal matrix Q(seed), distributed by the Haar measure. Cost: 8/3 n^3.
func Orthogonal(seed uint64, n int) dense.Matrix[float64] {
	a := NewStream(seed).Normals(n, n)
	return orthogonalFactor(a)
}

// orthogonalFactor overwrites a with Householder vectors and returns the Q of its QR factorisation with positive diagonal of R.
func orthogonalFactor(a dense.Matrix[float64]) dense.Matrix[float64] {
	n := a.Rows
	beta, sign, w, v := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for k := range n {
		norm := 0.0
		for i := k; i < n; i++ {
			norm = math.Hypot(norm, a.At(i, k))
		}
		alpha := -math.Copysign(norm, a.At(k, k))
		sign[k] = math.Copysign(1, alpha)
		a.Set(k, k, a.At(k, k)-alpha)
		squared := 0.0
		for i := k; i < n; i++ {
			v[i] = a.At(i, k)
			squared += v[i] * v[i]
		}
		if squared > 0 {
			beta[k] = 2 / squared
		}
		reflect(a.View(k, k+1, n-k, n-k-1), v[k:], beta[k], w)
	}
	q := dense.New[float64](n, n)
	for k := n - 1; k >= 0; k-- {
		for i := k; i < n; i++ {
			v[i] = a.At(i, k)
		}
		q.Set(k, k, sign[k])
		reflect(q.View(k, k, n-k, n-k), v[k:], beta[k], w)
	}
	return q
}

// reflect applies I - beta v v^T to a from the left; w is scratch.
func reflect(a dense.Matrix[float64], v []float64, beta float64, w []float64) {
	if a.Cols == 0 {
		return
	}
	w = w[:a.Cols]
	clear(w)
	for i := range a.Rows {
		dense.Axpy(v[i], a.Row(i), w)
	}
	for i := range a.Rows {
		dense.Axpy(-beta*v[i], w, a.Row(i))
	}
}

// Compose returns the symmetric Q diag(w) Q^T.
func Compose(q dense.Matrix[float64], w []float64) dense.Matrix[float64] {
	x := q.Clone()
	for i := range x.Rows {
		for j, v := range w {
			x.Data[i*x.Stride+j] *= v
		}
	}
	a := dense.New[float64](q.Rows, q.Rows)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, x, q, 0, a)
	dense.Mirror(a)
	return a
}

// SPD returns the n x n matrix Q(seed) diag(Spectrum(n, kappa)) Q(seed)^T.
func SPD(seed uint64, n int, kappa float64) dense.Matrix[float64] {
	return Compose(Orthogonal(seed, n), Spectrum(n, kappa))
}

// KarcherPair returns 2 pairs matrices C^(1/2) exp(+-S_j) C^(1/2), plus before minus, and their exact affine-invariant mean C. C is
// SPD(seed, n, kappa); S_j has eigenvectors Q(seed+1+j) and eigenvalues evenly spaced over [-1, 1], so the matrices scatter by the same
// amount whatever kappa is.
func KarcherPair(seed uint64, n, pairs int, kappa float64) (a []dense.Matrix[float64], mean dense.Matrix[float64]) {
	q, w := Orthogonal(seed, n), Spectrum(n, kappa)
	root := make([]float64, n)
	for i := range w {
		root[i] = math.Sqrt(w[i])
	}
	c := Compose(q, root)
	t := dense.New[float64](n, n)
	for j := range pairs {
		qj := Orthogonal(seed+1+uint64(j), n)
		for _, sign := range []float64{1, -1} {
			e := make([]float64, n)
			for i := range e {
				e[i] = math.Exp(sign * centred(i, n))
			}
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c, Compose(qj, e), 0, t)
			m := dense.New[float64](n, n)
			dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, t, c, 0, m)
			dense.Mirror(m)
			a = append(a, m)
		}
	}
	return a, Compose(q, w)
}

// centred returns the i-th of n points evenly spaced over [-1, 1].
func centred(i, n int) float64 {
	if n == 1 {
		return 1
	}
	return 2*float64(i)/float64(n-1) - 1
}

// KarcherScatter returns count matrices SPD(seed+j, n, kappa): the same spectrum in independent eigenbases. Solvers start it from the
// arithmetic mean.
func KarcherScatter(seed uint64, n, count int, kappa float64) []dense.Matrix[float64] {
	a := make([]dense.Matrix[float64], count)
	for j := range a {
		a[j] = SPD(seed+uint64(j), n, kappa)
	}
	return a
}

// LogDet returns the sample covariance SPD(LogDetSeed, n, kappa) of the Gaussian likelihood problem, whose optimum it is.
func LogDet(n int, kappa float64) dense.Matrix[float64] { return SPD(LogDetSeed, n, kappa) }

// Nearness returns Q = SPD(NearnessSeed, n, kappa) and 4n standard normal samples x (rows, from seed NearnessSeed+1) of the problem
// min 1/(2N) sum ||Q X x - x||^2 over SPD X, whose optimum is Q^-1.
func Nearness(n int, kappa float64) (q, x dense.Matrix[float64]) {
	return SPD(NearnessSeed, n, kappa), NewStream(NearnessSeed+1).Normals(4*n, n)
}

// Tyler returns 4n samples as rows, heavy-tailed around the scatter SPD(TylerSeed, n, kappa): each is S^(1/2) z sqrt(3) / ||g|| with z
// standard normal in n dimensions and g in 3, drawn in that order from seed TylerSeed+1 (Student's t with 3 degrees of freedom).
func Tyler(n int, kappa float64) dense.Matrix[float64] {
	w := Spectrum(n, kappa)
	for i := range w {
		w[i] = math.Sqrt(w[i])
	}
	root := Compose(Orthogonal(TylerSeed, n), w)
	s := NewStream(TylerSeed + 1)
	z := dense.New[float64](4*n, n)
	for i := range z.Rows {
		row := z.Row(i)
		for j := range row {
			row[j] = s.Normal()
		}
		texture := math.Sqrt(3) / math.Hypot(math.Hypot(s.Normal(), s.Normal()), s.Normal())
		for j := range row {
			row[j] *= texture
		}
	}
	x := dense.New[float64](4*n, n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, z, root, 0, x)
	return x
}
