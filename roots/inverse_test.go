package roots

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// exactInverse returns the inverse of a in 240 bits by elimination on [A I] without pivoting, which SPD matrices allow.
func exactInverse(a mat.Symmetric) [][]*big.Float {
	n := a.SymmetricDim()
	m := make([][]*big.Float, n)
	for i := range m {
		m[i] = make([]*big.Float, 2*n)
		for k := range n {
			m[i][k], m[i][n+k] = bf(a.At(i, k)), bf(0)
		}
		m[i][n+i] = bf(1)
	}
	for k := range n {
		pivot := m[k][k]
		for c := k; c < 2*n; c++ {
			m[k][c] = bquo(m[k][c], pivot)
		}
		for i := range n {
			f := m[i][k]
			if i == k || f.Sign() == 0 {
				continue
			}
			for c := k; c < 2*n; c++ {
				m[i][c] = bsub(m[i][c], bmul(f, m[k][c]))
			}
		}
	}
	for i := range m {
		m[i] = m[i][n:]
	}
	return m
}

// TestInverseJudgesItself holds the inverse, whose condition number is known only after it is made, to its promise against 240 bits: the plain
// inverse where that meets the tolerance and the corrected one where it does not, in both precisions.
func TestInverseJudgesItself(t *testing.T) {
	const seed = 61
	rng := newRand(seed)
	plain, corrected := 0, 0
	for i := range 150 {
		n := 1 + rng.IntN(30)
		cond := math.Pow(10, 13*rng.Float64())
		a := randomSPD(rng, n, math.Pow(10, 12*rng.Float64()-6), cond)
		single := make([]float32, n*n)
		for r := range n {
			for c := range n {
				single[r*n+c] = float32(a.At(r, c))
			}
		}
		want := exactInverse(a)
		rounded := mat.NewSymDense(n, nil)
		for r := range n {
			for c := r; c < n; c++ {
				rounded.SetSym(r, c, float64(single[r*n+c]))
			}
		}
		for _, o := range []*Options{nil, {Tol: 1e-3}, {Tol: 1e-8, NoResidual: true}, {Tol: 1e-12}, {Method: "cholesky"}, {Method: "refined", Tol: 1e-2, NoResidual: true}} {
			var x mat.SymDense
			rep, err := Inv(&x, a, o)
			if err != nil && !isAccuracy(err) {
				require.Greater(t, cond, 1e12, "seed %d case %d: %v", seed, i, err)
				continue
			}
			require.LessOrEqual(t, relativeTo(x.At, want), rep.Bound, "seed %d case %d, n %d, cond %.3g: %+v", seed, i, n, cond, rep)
			if rep.Method == "refined" {
				corrected++
			} else {
				plain++
			}
		}
		out := make([]float32, n*n)
		rep, err := Compute32(out, single, n, Query{Kind: KindInv}, nil)
		if err != nil {
			require.Greater(t, cond, 1e5, "seed %d case %d: %v", seed, i, err)
			continue
		}
		got := func(r, c int) float64 { return float64(out[r*n+c]) }
		require.LessOrEqual(t, relativeTo(got, exactInverse(rounded)), rep.Bound, "seed %d case %d, n %d, cond %.3g: %+v", seed, i, n, cond, rep)
		if cond < 1e6 {
			require.Empty(t, rep.Promoted, "seed %d case %d, n %d, cond %.3g", seed, i, n, cond)
		}
	}
	require.Greater(t, min(plain, corrected), 100)
}

// TestInverseBoundOfNorms checks that neither the bound by norms nor the estimates overlook a small eigenvalue that the longest columns do not meet.
func TestInverseBoundOfNorms(t *testing.T) {
	a := mat.NewSymDense(9, nil)
	for i := range 9 {
		a.SetSym(i, i, 1)
		for k := range i {
			if i < 8 {
				a.SetSym(i, k, -1./7+1e-9)
			}
		}
	}
	want := exactInverse(a)
	for _, tol := range []float64{0, 1e-3, 1e-6, 1e-12} {
		var x mat.SymDense
		rep, err := Inv(&x, a, &Options{Tol: tol, NoResidual: true})
		require.NoError(t, err)
		require.LessOrEqual(t, relativeTo(x.At, want), rep.Bound)
		require.InEpsilon(t, 7e-9, rep.LambdaMin, 2)
	}
}

// TestInverseRange: an inverse that leaves the range names the largest power that does not, and what is singular to rounding its eigenvalue.
func TestInverseRange(t *testing.T) {
	for _, o := range []*Options{nil, {Tol: 1e-3}, {Method: "cholesky"}, {Method: "refined"}} {
		var x mat.SymDense
		_, err := Inv(&x, mat.NewSymDense(2, []float64{1e-310, 0, 0, 1e-309}), o)
		var e *RangeError
		require.ErrorAs(t, err, &e)
		a := withSpectrum(randomBasis(newRand(3), 12), geometric(12, 1, 1e18))
		_, err = Inv(&mat.SymDense{}, a, o)
		var p *NotPositiveDefiniteError
		require.ErrorAs(t, err, &p)
		require.Less(t, math.Abs(p.Smallest), 1e-14)
	}
}

// TestSolve applies the inverse by substitution, in both precisions, against 240 bits.
func TestSolve(t *testing.T) {
	rng := newRand(62)
	const k = 3
	for _, n := range []int{1, 7, 30} {
		for _, cond := range []float64{10, 1e5} {
			a := withSpectrum(randomBasis(rng, n), geometric(n, 3, cond))
			x := normal(rng, n, k)
			single, rhs, out := make([]float32, n*n), make([]float32, n*k), make([]float32, n*k)
			for i := range n {
				for c := range n {
					single[i*n+c] = float32(a.At(i, c))
					a.SetSym(i, c, float64(float32(a.At(i, c))))
				}
				for c := range k {
					rhs[k*i+c] = float32(x.At(i, c))
					x.Set(i, c, float64(float32(x.At(i, c))))
				}
			}
			var y mat.Dense
			rep, err := Apply(&y, a, x, Query{Power: -1}, &Options{Method: "cholesky"})
			require.NoError(t, err)
			rep32, err := Apply32(out, single, rhs, n, k, Query{Power: -1}, &Options{Method: "cholesky", KeepSingle: true})
			require.NoError(t, err)
			inverse := exactInverse(a)
			var off, off32, size float64
			for i := range n {
				for c := range k {
					sum := bf(0)
					for l := range n {
						sum = badd(sum, bmul(inverse[i][l], bf(x.At(l, c))))
					}
					want, _ := sum.Float64()
					off = math.Hypot(off, y.At(i, c)-want)
					off32 = math.Hypot(off32, float64(out[k*i+c])-want)
					size = math.Hypot(size, want)
				}
			}
			top := cond / 3 * mat.Norm(x, 2)
			require.LessOrEqual(t, off, rep.Bound*top, "n %d, cond %g", n, cond)
			require.LessOrEqual(t, off32, rep32.Bound*top, "n %d, cond %g", n, cond)
			require.Less(t, rep.Bound, 1e-9)
			require.Less(t, rep32.Bound, 1e-5)
			require.Less(t, off32, 1e-5*size)
		}
	}
}
