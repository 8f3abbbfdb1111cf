package roots

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/spectral"
)

// TestLargePowers checks powers whose small images vanish beside the largest, or whose scaled matrix leaves the range on the way, against the
// 240-bit oracle, and that their residual, recomputed on another road, agrees.
func TestLargePowers(t *testing.T) {
	rng := newRand(21)
	for _, c := range []struct {
		d []float64
		p []float64
	}{
		{[]float64{1, 3}, []float64{40, 600, 600.5, 645, -1000, -700.5, -3e4}},
		{[]float64{0.5, 0.75, 0.9}, []float64{200, 6000.25, -1000, -900.5}},
		{[]float64{1e-3, 1, 1e3}, []float64{100, 100.5, -100, -100.5}},
		{[]float64{1e100, 3e100}, []float64{2.5, 3, -3, -2.5}},
		{[]float64{1, 1 + 1e-9}, []float64{1e9, -1e9}},
	} {
		a := withSpectrum(randomBasis(rng, len(c.d)), c.d)
		e := newExact(a)
		for _, p := range c.p {
			for _, m := range []*Method{&eigenMethod, &spectralMethod, &choleskyMethod} {
				q := Query{Power: p, N: len(c.d)}
				if !m.Can(q) {
					continue
				}
				name := fmt.Sprintf("%s of %v to %g", m.Name, c.d, p)
				var x mat.SymDense
				rep, err := Pow(&x, a, p, &Options{Method: m.Name})
				require.NoError(t, err, name)
				require.LessOrEqual(t, relativeTo(x.At, e.form(q)), rep.Bound, name)
				// The other road has errors of its own, some times those of the method.
				require.LessOrEqual(t, rep.Residual, 32*rep.Bound, "%s: %s", name, rep.ResidualOf)
			}
		}
	}
}

// TestRangeErrors checks that results which over- or underflow are errors that name the largest usable power, that this power is indeed
// usable, and that one a thousandth further is not.
func TestRangeErrors(t *testing.T) {
	rng := newRand(22)
	for _, d := range [][]float64{{4}, {1, 3}, {0.2, 0.3, 0.4}, {1e-5, 1e5}, {1e-200, 1e-190}} {
		a := withSpectrum(randomBasis(rng, len(d)), d)
		for _, p := range []float64{1e6, -1e6, 1e6 + 0.5, 1e300, -1e300} {
			for _, method := range []string{"", "eigen", "spectral"} {
				name := fmt.Sprintf("%v^%g by %q", d, p, method)
				var x mat.SymDense
				_, err := Pow(&x, a, p, &Options{Method: method})
				if m, _ := ByName(method); m != nil && !m.Can(Query{Power: p}) || p < 0 && d[0] == 1 {
					continue
				}
				var e *RangeError
				require.ErrorAs(t, err, &e, name)
				require.Equal(t, math.Signbit(p), math.Signbit(e.Usable), name)
				require.ErrorContains(t, err, fmt.Sprintf("largest usable power of this sign is %.4g", e.Usable))
				word := "overflows"
				if e.Underflow {
					word = "underflows"
				}
				require.ErrorContains(t, err, word)
				rep, err := Pow(&x, a, e.Usable, &Options{Method: "eigen"})
				require.NoError(t, err, name)
				require.LessOrEqual(t, rep.Residual, max(1e-9, 32*rep.Bound), name)
				_, err = Pow(&x, a, 1.002*e.Usable, nil)
				require.ErrorAs(t, err, &e, name)
			}
		}
	}
}

// TestHugePowers checks that powers whose images have logarithms beyond the range themselves are refused with numbers, in the eigenbasis and before it.
func TestHugePowers(t *testing.T) {
	rng := newRand(23)
	for _, d := range [][]float64{{1, 2, 10}, {3, 4, 5}, {0.01, 0.02, 0.1}, {1e-300, 1e-299, 1e-298}} {
		a := withSpectrum(randomBasis(rng, len(d)), d)
		for _, p := range []float64{1e307, -1e307, math.MaxFloat64, -math.MaxFloat64} {
			var x mat.SymDense
			var e *RangeError
			_, err := Pow(&x, a, p, nil)
			require.ErrorAs(t, err, &e, "%v^%g", d, p)
			require.NotContains(t, err.Error(), "NaN", "%v^%g", d, p)
			require.False(t, math.IsNaN(e.Usable) || math.IsInf(e.Usable, 0) || e.Usable == 0 || math.Signbit(e.Usable) != math.Signbit(p), "%v^%g: %v", d, p, err)
		}
	}
}

func TestRangeOfFactorsTrackersAndSingles(t *testing.T) {
	q := eye(2)
	f, err := spectral.FromEigen(q, []float64{1e-3, 3})
	require.NoError(t, err)
	var x mat.SymDense
	_, err = ComputeFactor(&x, f, Query{Power: 640})
	require.NoError(t, err)
	want := new(big.Float).SetPrec(oracleBits).SetInt(new(big.Int).Exp(big.NewInt(3), big.NewInt(640), nil))
	ref, _ := want.Float64()
	require.InEpsilon(t, ref, x.At(1, 1), 1e-12)
	var e *RangeError
	_, err = ComputeFactor(&x, f, Query{Power: 700})
	require.ErrorAs(t, err, &e)
	require.InDelta(t, 646, e.Usable, 0.2)

	tr, err := NewTracker(2, nil)
	require.NoError(t, err)
	_, err = tr.Follow(mat.NewSymDense(2, []float64{2, 1, 1, 2}))
	require.NoError(t, err)
	for _, p := range []float64{1e6, -1e6} {
		var y mat.Dense
		_, err = tr.ApplyPow(p, &y, q)
		require.Error(t, err)
	}
	one := []float32{4}
	_, err = Pow32(one, one, 1, 100, nil)
	require.ErrorContains(t, err, "float32 range")
}

// TestLargePowerOfIterations checks that methods which work on the scaled matrix refuse what leaves the range on the way.
func TestLargePowerOfIterations(t *testing.T) {
	a := withSpectrum(randomBasis(newRand(3), 3), []float64{1e-12, 1e-6, 1})
	for _, m := range Methods() {
		if m.exact || !m.Can(Query{Power: -16, N: 3}) {
			continue
		}
		a32 := []float32{1, 0, 0, 1e-20}
		_, err := Pow32(a32, a32, 2, -16, &Options{Method: m.Name, KeepSingle: true})
		require.Error(t, err, m.Name)
	}
	var x mat.SymDense
	_, err := Pow(&x, a, -17, &Options{Method: "cholesky"})
	var e *MethodError
	require.ErrorAs(t, err, &e)
}
