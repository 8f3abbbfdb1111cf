package manifold

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// The oracles below use gonum's dense eigendecomposition and the textbook formulas with matrix square roots, none of the package's code.

func source(seed uint64) *rand.Rand {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	return rand.New(rand.NewChaCha8(key))
}

func function(a mat.Symmetric, f func(float64) float64) *mat.SymDense {
	var e mat.EigenSym
	if !e.Factorize(a, true) {
		panic("oracle: eigendecomposition failed")
	}
	w := e.Values(nil)
	var q, t, r mat.Dense
	e.VectorsTo(&q)
	d := mat.NewDiagDense(len(w), nil)
	for i, l := range w {
		d.SetDiag(i, f(l))
	}
	t.Mul(&q, d)
	r.Mul(&t, q.T())
	return sym(&r)
}

func sym(a mat.Matrix) *mat.SymDense {
	n, _ := a.Dims()
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, (a.At(i, j)+a.At(j, i))/2)
		}
	}
	return s
}

// congruent returns a b a^T.
func congruent(a mat.Matrix, b mat.Matrix) *mat.SymDense {
	var t, r mat.Dense
	t.Mul(a, b)
	r.Mul(&t, a.T())
	return sym(&r)
}

func root(a mat.Symmetric) *mat.SymDense { return function(a, math.Sqrt) }
func inverseRoot(a mat.Symmetric) *mat.SymDense {
	return function(a, func(x float64) float64 { return 1 / math.Sqrt(x) })
}

func distanceOracle(a, b mat.Symmetric) float64 {
	return mat.Norm(function(congruent(inverseRoot(a), b), math.Log), 2)
}

func geodesicOracle(a, b mat.Symmetric, t float64) *mat.SymDense {
	return congruent(root(a), function(congruent(inverseRoot(a), b), func(x float64) float64 { return math.Pow(x, t) }))
}

func expOracle(a, xi mat.Symmetric) *mat.SymDense {
	return congruent(root(a), function(congruent(inverseRoot(a), xi), math.Exp))
}

func logOracle(a, b mat.Symmetric) *mat.SymDense {
	return congruent(root(a), function(congruent(inverseRoot(a), b), math.Log))
}

// transportOracle returns E xi E^T with E = (b a^-1)^1/2 = a^1/2 (a^-1/2 b a^-1/2)^1/2 a^-1/2.
func transportOracle(a, b, xi mat.Symmetric) *mat.SymDense {
	var t, e mat.Dense
	t.Mul(root(a), root(congruent(inverseRoot(a), b)))
	e.Mul(&t, inverseRoot(a))
	return congruent(&e, xi)
}

// randomSPD returns an SPD matrix with condition kappa.
func randomSPD(rng *rand.Rand, n int, kappa float64) *mat.SymDense {
	g := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			g.Set(i, j, rng.NormFloat64())
		}
	}
	var qr mat.QR
	qr.Factorize(g)
	var q mat.Dense
	qr.QTo(&q)
	d := mat.NewSymDense(n, nil)
	for i := range n {
		x := 0.0
		if n > 1 {
			x = float64(i)/float64(n-1) - 0.5
		}
		d.SetSym(i, i, math.Pow(kappa, x))
	}
	return congruent(&q, d)
}

func randomSym(rng *rand.Rand, n int) *mat.SymDense {
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, rng.NormFloat64())
		}
	}
	return s
}

// relative returns the error in units of the larger of 1 and the norm of want.
func relative(got, want mat.Matrix) float64 {
	var d mat.Dense
	d.Sub(got, want)
	return mat.Norm(&d, 2) / math.Max(mat.Norm(want, 2), 1)
}

func mustFrame(t testing.TB, s mat.Symmetric) *Frame {
	t.Helper()
	p, err := NewFrame(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustAffine(t testing.TB, n int, o AffineOptions) *Affine {
	t.Helper()
	m, err := NewAffine(n, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
