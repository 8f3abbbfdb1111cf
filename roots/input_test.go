package roots

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/spectral"
)

func TestIndefinite(t *testing.T) {
	rng := newRand(3)
	q := randomBasis(rng, 60)
	d := geometric(60, 2, 100)
	d[17] = -0.125
	a := withSpectrum(q, d)
	for _, method := range []string{"", "eigen", "cholesky-polar", "polar-express", "newton", "rational", "denman-beavers", "spectral", "pade"} {
		for _, p := range []float64{-0.5, 0.5} {
			var x mat.SymDense
			_, err := Pow(&x, a, p, &Options{Method: method})
			var e *NotPositiveDefiniteError
			require.ErrorAs(t, err, &e, "%s %g", method, p)
			require.InDelta(t, -0.125, e.Smallest, 1e-12)
			require.InDelta(t, 2, e.Largest, 1e-12)
			require.Equal(t, 1, e.Negligible)
			require.ErrorContains(t, err, "-0.125")
			require.ErrorContains(t, err, "Options.Ridge")
			require.True(t, x.IsEmpty() || finite(symmetric(&x)) == nil)
		}
	}
	var x mat.SymDense
	_, err := Log(&x, a, nil)
	require.ErrorContains(t, err, "-0.125")
	// An integer power and the exponential take any spectrum.
	_, err = Pow(&x, a, 3, nil)
	require.NoError(t, err)
	_, err = Exp(&x, a, nil)
	require.NoError(t, err)
	// A ridge makes it definite.
	rep, err := Pow(&x, a, -0.5, &Options{Ridge: 0.25})
	require.NoError(t, err)
	require.InDelta(t, 0.125, rep.LambdaMin, 1e-3)
	require.Equal(t, 0.25, rep.Ridge)
	rep, err = Pow(&x, a, -0.5, &Options{RelativeRidge: 0.1, Method: "eigen"})
	require.NoError(t, err)
	require.InEpsilon(t, 0.2, rep.Ridge, 1e-2)
}

func TestCutoff(t *testing.T) {
	rng := newRand(4)
	const n = 20
	q := randomBasis(rng, n)
	d := geometric(n, 5, 1e3)
	for i := 15; i < n; i++ {
		d[i] = 1e-14
	}
	a := withSpectrum(q, d)
	for i := 15; i < n; i++ {
		d[i] = math.Inf(1)
	}
	for _, p := range []float64{-1, -0.5, -0.37} {
		var x mat.SymDense
		rep, err := Pow(&x, a, p, &Options{Cutoff: 1e-10})
		require.NoError(t, err)
		require.Equal(t, 15, rep.Rank)
		require.Less(t, rep.DroppedMax, 1e-12)
		f := make([]float64, n)
		for i, l := range d {
			f[i] = math.Pow(l, p)
		}
		require.LessOrEqual(t, relativeSym(&x, withSpectrum(q, f)), rep.Bound)
		require.Less(t, rep.Bound, 1e-9)
		require.Less(t, rep.Residual, 1e-12, "%s for p = %v", rep.ResidualOf, p)
		require.Contains(t, rep.ResidualOf, "on what is kept")
	}
	for name, f := range map[string]func(dst *mat.SymDense, a mat.Symmetric, o *Options) (Report, error){"log": Log, "sqrt": Sqrt, "exp": Exp} {
		rep, err := f(&mat.SymDense{}, a, &Options{Cutoff: 1e-10})
		require.NoError(t, err)
		require.Less(t, rep.Residual, 1e-12, "%s: %s", name, rep.ResidualOf)
	}
	var x mat.SymDense
	_, err := Pow(&x, a, -0.5, &Options{Cutoff: 1e-10, Method: "newton"})
	var e *MethodError
	require.ErrorAs(t, err, &e)
	// Without the option the semi-definite matrix is refused for negative powers and accepted for positive ones.
	zero := mat.NewSymDense(2, []float64{1, 1, 1, 1})
	_, err = Pow(&mat.SymDense{}, zero, -0.5, nil)
	var pd *NotPositiveDefiniteError
	require.ErrorAs(t, err, &pd)
	var y mat.SymDense
	_, err = Sqrt(&y, zero, nil)
	require.NoError(t, err)
	require.InDelta(t, math.Sqrt(0.5), y.At(0, 1), 1e-8)
	big := mat.NewSymDense(60, nil)
	big.SetSym(0, 0, 1)
	var z mat.SymDense
	_, err = Sqrt(&z, big, nil)
	require.NoError(t, err)
	require.Equal(t, 1.0, z.At(0, 0))
}

// TestTinyPowers: the residual of a power near 0 is that of X, which X^(1/p) would hide behind rounding.
func TestTinyPowers(t *testing.T) {
	a := withSpectrum(randomBasis(newRand(9), 6), geometric(6, 5, 1e4))
	for _, p := range []float64{1e-320, -1e-300, 1e-17, -1e-9} {
		var x mat.SymDense
		rep, err := Pow(&x, a, p, nil)
		require.NoError(t, err)
		require.Less(t, rep.Residual, 1e-14, "p = %v", p)
		require.LessOrEqual(t, math.Abs(x.At(0, 0)-1), 1e-7)
	}
}

// TestNothingIsKept: the pseudo-inverse of a matrix whose eigenvalues are all dropped is zero.
func TestNothingIsKept(t *testing.T) {
	for _, d := range [][]float64{{0, 0, 0}, {-1, -2, -3}} {
		a := mat.NewSymDense(3, nil)
		for i, v := range d {
			a.SetSym(i, i, v)
		}
		for _, p := range []float64{-1, -0.37, 0.5, -3} {
			var x mat.SymDense
			rep, err := Pow(&x, a, p, &Options{Cutoff: 1e-12})
			require.NoError(t, err)
			require.Zero(t, rep.Rank)
			require.Zero(t, rep.Residual)
			require.Zero(t, mat.Norm(&x, 1))
			require.False(t, math.IsNaN(rep.Bound) || math.IsInf(rep.Bound, 0))
		}
	}
	rep, err := Sqrt(&mat.SymDense{}, mat.NewSymDense(3, nil), nil)
	require.NoError(t, err)
	require.Zero(t, rep.Bound)
}

func TestSmallSizes(t *testing.T) {
	empty := &mat.SymDense{}
	for _, k := range []Kind{KindPow, KindSqrt, KindInv, KindLog, KindExp} {
		var x mat.SymDense
		rep, err := Compute(&x, empty, Query{Kind: k, Power: -0.5}, nil)
		require.NoError(t, err)
		require.Equal(t, 0, rep.N)
		require.True(t, x.IsEmpty())
	}
	one := mat.NewSymDense(1, []float64{16})
	for _, m := range Methods() {
		for _, c := range []struct {
			q    Query
			want float64
		}{{Query{Power: -0.5}, 0.25}, {Query{Power: -0.25}, 0.5}, {Query{Power: -1}, 1. / 16}, {Query{Kind: KindLog}, math.Log(16)}, {Query{Kind: KindExp}, math.Exp(16)}} {
			if !m.Can(c.q) {
				continue
			}
			var x mat.SymDense
			rep, err := Compute(&x, one, c.q, &Options{Method: m.Name})
			require.NoError(t, err, m.Name)
			require.InEpsilon(t, c.want, x.At(0, 0), rep.Bound+1e-16, m.Name)
		}
	}
	minus := mat.NewSymDense(1, []float64{-4})
	var x mat.SymDense
	_, err := Sqrt(&x, minus, nil)
	require.ErrorContains(t, err, "-4")
	zero := mat.NewSymDense(3, nil)
	_, err = Inv(&mat.SymDense{}, zero, nil)
	require.Error(t, err)
	var y mat.SymDense
	_, err = Sqrt(&y, zero, nil)
	require.NoError(t, err)
	require.Equal(t, 0.0, mat.Norm(&y, 2))
	_, err = Exp(&y, zero, nil)
	require.NoError(t, err)
	require.Equal(t, 1.0, y.At(1, 1))
}

func TestOverflow(t *testing.T) {
	a := mat.NewSymDense(2, []float64{2, 1, 1, 2})
	for _, method := range []string{"", "eigen", "spectral"} {
		for _, p := range []float64{5000.5, 1e15 + 0.5} {
			var x mat.SymDense
			_, err := Pow(&x, a, p, &Options{Method: method})
			var e *RangeError
			require.ErrorAs(t, err, &e, "%s %g", method, p)
			require.ErrorContains(t, err, "overflows")
		}
	}
	var x mat.SymDense
	_, err := Exp(&x, mat.NewSymDense(2, []float64{800, 0, 0, 1}), nil)
	var e *RangeError
	require.ErrorAs(t, err, &e)
	require.InEpsilon(t, 800/math.Ln10, e.Log10, 1e-6)
	_, err = Pow(&x, a, math.NaN(), nil)
	require.Error(t, err)
	// Extreme scales go through without overflow inside.
	for _, c := range []float64{1e-300, 1e300} {
		s := mat.NewSymDense(2, []float64{2 * c, c, c, 2 * c})
		for _, m := range Methods() {
			if !m.Can(Query{Power: -0.5}) {
				continue
			}
			var y mat.SymDense
			rep, err := Pow(&y, s, -0.5, &Options{Method: m.Name})
			require.NoError(t, err, m.Name)
			want := (1/math.Sqrt(3) + 1) / 2 / math.Sqrt(c)
			require.InEpsilon(t, want, y.At(0, 0), 1e-12, m.Name)
			require.InEpsilon(t, 3*c, rep.LambdaMax, 0.2, m.Name)
		}
	}
}

func TestNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		a := mat.NewSymDense(3, []float64{1, 0, 0, 0, 1, bad, 0, 0, 1})
		var x mat.SymDense
		_, err := Sqrt(&x, a, nil)
		var e *NotFiniteError
		require.ErrorAs(t, err, &e)
		require.Equal(t, [2]int{1, 2}, [2]int{e.Row, e.Col})
		tr, err := NewTracker(3, nil)
		require.NoError(t, err)
		_, err = tr.Follow(a)
		require.ErrorAs(t, err, &e)
	}
}

func TestOptionsValidate(t *testing.T) {
	for _, o := range []Options{{Tol: -1}, {Tol: math.NaN()}, {Ridge: -1}, {RelativeRidge: math.Inf(1)}, {Cutoff: 1}, {MaxIterations: -1}, {Method: "none"}} {
		require.Error(t, o.Validate(), "%+v", o)
		var x mat.SymDense
		_, err := Sqrt(&x, mat.NewSymDense(1, []float64{1}), &o)
		require.Error(t, err)
	}
	require.NoError(t, (&Options{}).Validate())
	require.NoError(t, (*Options)(nil).Validate())
	require.PanicsWithValue(t, Error("dst is 2 x 2, a 3 x 3"), func() {
		_, _ = Sqrt(mat.NewSymDense(2, nil), mat.NewSymDense(3, nil), nil)
	})
}

// TestIterationLimit checks that a limit is an error of the method, not a wrong result.
func TestIterationLimit(t *testing.T) {
	rng := newRand(6)
	a := withSpectrum(randomBasis(rng, 10), geometric(10, 1, 1e8))
	for _, name := range []string{"newton", "order3", "newton-schulz", "denman-beavers"} {
		var x mat.SymDense
		_, err := Pow(&x, a, -0.5, &Options{Method: name, MaxIterations: 3})
		var e *MethodError
		require.ErrorAs(t, err, &e, name)
		require.ErrorContains(t, err, "iteration limit")
	}
}

func TestComputeFactor(t *testing.T) {
	rng := newRand(8)
	q := randomBasis(rng, 12)
	d := geometric(12, 7, 1e5)
	f, err := spectral.FromEigen(q, d)
	require.NoError(t, err)
	e := newExactOf(q, d)
	for _, c := range []Query{{Power: -0.5}, {Power: 0.37}, {Kind: KindInv}, {Kind: KindLog}, {Kind: KindSqrt}} {
		var x mat.SymDense
		rep, err := ComputeFactor(&x, f, c)
		require.NoError(t, err)
		require.NoError(t, c.normalise())
		require.LessOrEqual(t, relativeTo(x.At, e.form(c)), rep.Bound)
	}
	var x mat.SymDense
	_, err = ComputeFactor(&x, f, Query{Power: -1000})
	var r *RangeError
	require.ErrorAs(t, err, &r)
}

// newExactOf wraps a given decomposition; the basis is orthogonal to rounding, which the promise allows for.
func newExactOf(q *mat.Dense, d []float64) *exact {
	n := len(d)
	e := &exact{n: n}
	for i := range n {
		e.w = append(e.w, bf(d[i]))
		e.v = append(e.v, nil)
		for k := range n {
			e.v[i] = append(e.v[i], bf(q.At(i, k)))
		}
	}
	return e
}
