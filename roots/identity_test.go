package roots

import (
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

func formed(t *testing.T, a mat.Symmetric, q Query, method string) (*mat.SymDense, Report) {
	t.Helper()
	var x mat.SymDense
	rep, err := Compute(&x, a, q, &Options{Method: method})
	require.NoError(t, err)
	return &x, rep
}

// TestIdentities checks A^p A^q = A^(p+q), exp(log A) = A and (A^p)^(1/p) = A for random powers and methods.
func TestIdentities(t *testing.T) {
	rng := newRand(21)
	for range 30 {
		n := 3 + rng.IntN(40)
		a := randomSPD(rng, n, 10, 1e3)
		p, q := 2*rng.Float64()-1, 2*rng.Float64()-1
		x, _ := formed(t, a, Query{Power: p}, "")
		y, _ := formed(t, a, Query{Power: q}, "")
		z, _ := formed(t, a, Query{Power: p + q}, "")
		var xy mat.Dense
		xy.Mul(x, y)
		xy.Sub(&xy, z)
		require.Less(t, mat.Norm(&xy, 2), 1e-10*mat.Norm(x, 2)*mat.Norm(y, 2), "p %g q %g n %d", p, q, n)
		for _, method := range []string{"eigen", "pade"} {
			l, _ := formed(t, a, Query{Kind: KindLog}, method)
			back, _ := formed(t, l, Query{Kind: KindExp}, method)
			require.Less(t, relativeSym(back, a), 1e-12)
		}
		inv, _ := formed(t, x, Query{Power: 1 / p}, "eigen")
		if math.Abs(p) > 0.2 {
			require.Less(t, relativeSym(inv, a), 1e-8)
		}
	}
}

// TestMetamorphic checks f(P A P^T) = P f(A) P^T for permutations, f(Q A Q^T) = Q f(A) Q^T for rotations and f(c A) = c^p f(A), for every
// method within twice its bound.
func TestMetamorphic(t *testing.T) {
	const seed = 31
	rng := newRand(seed)
	const n = 17
	a := randomSPD(rng, n, 2, 1e4)
	perm := rng.Perm(n)
	pa := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			pa.SetSym(i, j, a.At(perm[i], perm[j]))
		}
	}
	rot := randomBasis(rng, n)
	ra := congruence(rot, a)
	for _, p := range []float64{-0.5, 0.5, -0.25, -1, 0.37} {
		ca := mat.NewSymDense(n, nil)
		ca.ScaleSym(1e-5, a)
		for _, m := range Methods() {
			if !m.Can(Query{Power: p}) {
				continue
			}
			x, rep := formed(t, a, Query{Power: p}, m.Name)
			tol := 4 * rep.Bound
			y, _ := formed(t, pa, Query{Power: p}, m.Name)
			px := mat.NewSymDense(n, nil)
			for i := range n {
				for j := i; j < n; j++ {
					px.SetSym(i, j, x.At(perm[i], perm[j]))
				}
			}
			require.LessOrEqual(t, relativeSym(y, px), tol, "seed %d %s permuted, p %g", seed, m.Name, p)
			y, _ = formed(t, ra, Query{Power: p}, m.Name)
			require.LessOrEqual(t, relativeSym(y, congruence(rot, x)), tol+1e-10, "seed %d %s rotated, p %g", seed, m.Name, p)
			y, _ = formed(t, ca, Query{Power: p}, m.Name)
			y.ScaleSym(math.Pow(1e-5, -p), y)
			// The product with 1e-5 is rounded.
			require.LessOrEqual(t, relativeSym(y, x), tol+0x1p-50*rep.Cond(), "seed %d %s scaled, p %g", seed, m.Name, p)
		}
	}
}

func congruence(q *mat.Dense, a mat.Symmetric) *mat.SymDense {
	n := a.SymmetricDim()
	var t, r mat.Dense
	t.Mul(q, a)
	r.Mul(&t, q.T())
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, (r.At(i, j)+r.At(j, i))/2)
		}
	}
	return s
}

// TestSameBits checks that the number of threads does not change a bit.
func TestSameBits(t *testing.T) {
	rng := newRand(41)
	a := randomSPD(rng, 150, 1, 1e5)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, method := range []string{"eigen", "cholesky-polar", "newton", "rational", "polar-express"} {
		var first []float64
		for _, procs := range []int{1, 2, 4} {
			runtime.GOMAXPROCS(procs)
			x, _ := formed(t, a, Query{Power: -0.5}, method)
			if first == nil {
				first = x.RawSymmetric().Data
			}
			require.Equal(t, first, x.RawSymmetric().Data, method)
		}
	}
}

// TestDestinations checks dst = a, a sized dst and a view of another matrix.
func TestDestinations(t *testing.T) {
	rng := newRand(51)
	a := randomSPD(rng, 9, 1, 100)
	want, _ := formed(t, a, Query{Power: -0.5}, "")
	in := mat.NewSymDense(9, append([]float64(nil), a.RawSymmetric().Data...))
	_, err := Pow(in, in, -0.5, nil)
	require.NoError(t, err)
	require.Equal(t, 0.0, relativeSym(in, want))
	big := mat.NewSymDense(12, nil)
	view := big.SliceSym(2, 11).(*mat.SymDense)
	_, err = Pow(view, symOnly{a}, -0.5, nil)
	require.NoError(t, err)
	require.Equal(t, 0.0, relativeSym(view, want))
	require.Equal(t, 0.0, big.At(0, 5)+big.At(1, 11))
	x := mat.NewDense(9, 2, nil)
	x.Set(3, 1, 2)
	_, err = Apply(x, a, x, Query{Power: -0.5}, nil)
	require.NoError(t, err)
	require.InDelta(t, 2*want.At(4, 3), x.At(4, 1), 1e-13)
}

// symOnly hides the storage of a matrix.
type symOnly struct{ mat.Symmetric }
