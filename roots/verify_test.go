package roots

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// TestVerify checks that the second road agrees with every method on every kind, that it is another method, and that it finds a result that is
// wrong in one element.
func TestVerify(t *testing.T) {
	rng := newRand(31)
	a := withSpectrum(randomBasis(rng, 12), geometric(12, 3, 1e5))
	queries := []Query{{Kind: KindSqrt}, {Kind: KindInv}, {Kind: KindLog}, {Kind: KindExp}}
	for _, p := range []float64{-0.5, 0.25, 0.37, -0.37, 0, 2, -2, 2.5, -1.75, 40, -33} {
		queries = append(queries, Query{Power: p})
	}
	for _, q := range queries {
		require.NoError(t, q.normalise())
		for _, m := range Methods() {
			if !m.Can(q) {
				continue
			}
			name := fmt.Sprintf("%v %g by %s", q.Kind, q.Power, m.Name)
			var x mat.SymDense
			rep, err := Compute(&x, a, q, &Options{Method: m.Name})
			require.NoError(t, err, name)
			v, err := Verify(&x, a, rep, nil)
			require.NoError(t, err, name)
			require.NotEqual(t, m.Name, v.Road)
			require.True(t, v.Holds(rep.Bound), "%s against %s: %.3g, bound %.3g and %.3g", name, v.Road, v.Difference, rep.Bound, v.Promise)
			x.SetSym(3, 7, x.At(3, 7)+1e-3*mat.Norm(&x, 2))
			v, err = Verify(&x, a, rep, nil)
			require.NoError(t, err, name)
			require.False(t, v.Holds(rep.Bound), name)
			require.InEpsilon(t, 1.41e-3, v.Difference, 0.01, name)
		}
	}
}

func TestVerifySpecialCases(t *testing.T) {
	semi := mat.NewSymDense(2, []float64{1, 1, 1, 1})
	for _, p := range []float64{0.5, 0.3, 1.5, 2} {
		var x mat.SymDense
		rep, err := Pow(&x, semi, p, nil)
		require.NoError(t, err)
		require.Less(t, rep.Bound, 1e-3, "power %g", p)
		v, err := Verify(&x, semi, rep, nil)
		require.NoError(t, err)
		require.True(t, v.Holds(rep.Bound), "power %g: %+v, bound %g", p, v, rep.Bound)
		x.SetSym(0, 1, -x.At(0, 1)/2)
		v, err = Verify(&x, semi, rep, nil)
		require.NoError(t, err)
		require.False(t, v.Holds(rep.Bound), "power %g: %+v", p, v)
	}
	var x mat.SymDense
	o := &Options{Cutoff: 1e-10}
	rep, err := Pow(&x, semi, -0.5, o)
	require.NoError(t, err)
	require.Len(t, rep.Dropped, 1)
	require.InDelta(t, 0, rep.Dropped[0], 1e-15)
	_, err = Verify(&x, semi, rep, o)
	var e *MethodError
	require.ErrorAs(t, err, &e)
	ridged := &Options{Ridge: 0.5}
	var y mat.SymDense
	rep, err = Pow(&y, semi, -0.5, ridged)
	require.NoError(t, err)
	v, err := Verify(&y, semi, rep, ridged)
	require.NoError(t, err)
	require.True(t, v.Holds(rep.Bound))
	v, err = Verify(&mat.SymDense{}, &mat.SymDense{}, Report{}, nil)
	require.NoError(t, err)
	require.Zero(t, v.Difference)
}

func TestVerifyPolar(t *testing.T) {
	g := normal(newRand(5), 9, 5)
	for _, method := range []string{"", "newton-schulz"} {
		var u mat.Dense
		rep, err := Polar(&u, nil, g, &Options{Method: method})
		require.NoError(t, err)
		v, err := VerifyPolar(&u, g, rep)
		require.NoError(t, err)
		require.NotEqual(t, rep.Method, v.Road)
		require.True(t, v.Holds(rep.Bound), "%+v, bound %g", v, rep.Bound)
		u.Set(2, 3, u.At(2, 3)+1e-6)
		v, err = VerifyPolar(&u, g, rep)
		require.NoError(t, err)
		require.False(t, v.Holds(rep.Bound))
	}
}
