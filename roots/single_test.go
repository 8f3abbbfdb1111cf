package roots

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

func to32(a mat.Symmetric) ([]float32, *mat.SymDense) {
	n := a.SymmetricDim()
	s, back := make([]float32, n*n), mat.NewSymDense(n, nil)
	for i := range n {
		for j := range n {
			s[i*n+j] = float32(a.At(i, j))
		}
		for j := i; j < n; j++ {
			back.SetSym(i, j, float64(s[i*n+j]))
		}
	}
	return s, back
}

func from32(n int, s []float32) *mat.SymDense {
	m := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			m.SetSym(i, j, float64(s[i*n+j]))
		}
	}
	return m
}

// TestSinglePrecision checks that every method keeps 1e-3 up to condition 1e6 in float32 (against the function of the rounded matrix), within
// its bound, and says where it had to go on in float64.
func TestSinglePrecision(t *testing.T) {
	rng := newRand(61)
	const n = 60
	for _, cond := range []float64{1e2, 1e4, 1e6} {
		a32, a := to32(withSpectrum(randomBasis(rng, n), geometric(n, 1, cond)))
		ref := newReference(a)
		for _, p := range []float64{-0.5, 0.5, -0.25, -1, -1. / 3} {
			for _, m := range append([]*Method{{Name: auto, Can: func(Query) bool { return true }}}, Methods()...) {
				if !m.Can(Query{Power: p}) {
					continue
				}
				x := make([]float32, n*n)
				rep, err := Pow32(x, a32, n, p, &Options{Method: m.Name})
				require.NoError(t, err, "%s %g", m.Name, p)
				got := relativeSym(from32(n, x), ref(p))
				require.LessOrEqual(t, got, rep.Bound+1e-7, "%s p %g cond %g promoted %q", m.Name, p, cond, rep.Promoted)
				require.LessOrEqual(t, got, 1e-3, "%s p %g cond %g", m.Name, p, cond)
				require.LessOrEqual(t, rep.Bound, SingleTol)
			}
		}
	}
}

// TestSinglePolar shows what factoring in float64 buys: the float32 polar iteration keeps 1e-3 at condition 1e6 without promotion.
func TestSinglePolar(t *testing.T) {
	rng := newRand(62)
	const n = 60
	a32, a := to32(withSpectrum(randomBasis(rng, n), geometric(n, 1, 1e6)))
	x := make([]float32, n*n)
	rep, err := Pow32(x, a32, n, -0.5, &Options{Method: "cholesky-polar", KeepSingle: true})
	require.NoError(t, err)
	require.Empty(t, rep.Promoted)
	require.Less(t, relativeSym(from32(n, x), newReference(a)(-0.5)), 3e-4)
	// The other float32 iterations see the condition of A itself and refuse.
	for _, name := range []string{"newton", "newton-schulz", "polar-express", "order3", "denman-beavers"} {
		_, err := Pow32(x, a32, n, -0.5, &Options{Method: name, KeepSingle: true})
		require.Error(t, err, name)
	}
}

// TestSingleBound is the property test of the float32 promises, without promotion.
func TestSingleBound(t *testing.T) {
	const seed = 65
	rng := newRand(seed)
	cases := 0
	worst := map[string]float64{}
	for m := range 400 {
		n := 1 + rng.IntN(12)
		a32, a := to32(randomSPD(rng, n, math.Pow(10, 6*rng.Float64()-3), math.Pow(10, 6*rng.Float64())))
		var e mat.EigenSym
		if !e.Factorize(a, false) || mat.Min(mat.NewVecDense(n, e.Values(nil))) <= 0 {
			continue
		}
		p := []float64{-0.5, 0.5, -0.25, -1, -1. / 3, 0.37, 0.25}[rng.IntN(7)]
		for _, method := range Methods() {
			if !method.Can(Query{Power: p}) {
				continue
			}
			x := make([]float32, n*n)
			rep, err := Pow32(x, a32, n, p, &Options{Method: method.Name, KeepSingle: true, Tol: 0.3, NoResidual: rng.IntN(2) == 0})
			if err != nil {
				continue
			}
			cases++
			got := relativeSym(from32(n, x), newReference(a)(p))
			worst[method.Name] = max(worst[method.Name], got/rep.Bound)
			if got > rep.Bound {
				t.Errorf("seed %d matrix %d: %s p %g n %d cond %.3g: error %.3g above the bound %.3g", seed, m, method.Name, p, n, rep.Cond(), got, rep.Bound)
			}
		}
	}
	require.Greater(t, cases, 1500)
	t.Logf("%d cases; largest error/bound by method: %v", cases, worst)
}

func TestSingleRefusesOrPromotes(t *testing.T) {
	rng := newRand(63)
	const n = 30
	a32, a := to32(withSpectrum(randomBasis(rng, n), geometric(n, 1, 1e5)))
	x := make([]float32, n*n)
	_, err := Pow32(x, a32, n, -0.5, &Options{Method: "newton", Tol: 1e-6, KeepSingle: true})
	var e *PrecisionError
	require.ErrorAs(t, err, &e)
	require.ErrorContains(t, err, "float64")
	rep, err := Pow32(x, a32, n, -0.5, &Options{Method: "newton", Tol: 1e-6})
	require.NoError(t, err)
	require.Contains(t, rep.Promoted, "float64")
	require.Less(t, relativeSym(from32(n, x), newReference(a)(-0.5)), 1e-6)
	// Indefinite and overflowing input.
	bad := append([]float32(nil), a32...)
	bad[0] = -3
	_, err = Pow32(x, bad, n, -0.5, nil)
	var pd *NotPositiveDefiniteError
	require.ErrorAs(t, err, &pd)
	_, err = Pow32(x, a32, n, -20, nil)
	require.Error(t, err)
	bad[1] = float32(math.NaN())
	_, err = Pow32(x, bad, n, 0.5, nil)
	require.Error(t, err)
	one := []float32{4}
	_, err = Pow32(one, one, 1, -0.5, nil)
	require.NoError(t, err)
	require.Equal(t, float32(0.5), one[0])
	_, err = Pow32(nil, nil, 0, -0.5, nil)
	require.NoError(t, err)
	y, v := make([]float32, n), make([]float32, n)
	v[3] = 1
	_, err = Apply32(y, a32, v, n, 1, Query{Power: -0.5}, nil)
	require.NoError(t, err)
	want := newReference(a)(-0.5)
	require.InDelta(t, want.At(7, 3), float64(y[7]), 1e-3*mat.Norm(want, 2))
}

func TestTracker32(t *testing.T) {
	for _, cond := range []float64{1e2, 1e4, 1e6} {
		t.Run(fmt.Sprint(cond), func(t *testing.T) {
			rng := newRand(64)
			const n = 24
			d := newDrift(rng, n, 3, cond, 0.01)
			tr, err := NewTracker32(n, nil)
			require.NoError(t, err)
			require.Equal(t, n, tr.Dim())
			a32, _ := to32(d.a)
			_, err = tr.Follow(a32)
			require.NoError(t, err)
			x := normal(rng, n, 2)
			in, out := make([]float32, 2*n), make([]float32, 2*n)
			for i := range n {
				for c := range 2 {
					in[2*i+c] = float32(x.At(i, c))
				}
			}
			for step := range 60 {
				d.step()
				if step%3 == 0 {
					a32, _ := to32(d.a)
					_, err = tr.Follow(a32)
				} else {
					v := make([]float32, n*3)
					for i := range n {
						for c := range 3 {
							v[3*i+c] = float32(d.v.At(i, c))
						}
					}
					_, err = tr.FollowVectors(d.beta, v, 3)
				}
				require.NoError(t, err)
				rep, err := tr.ApplyPow(-0.25, out, in, 2)
				require.NoError(t, err)
				y := mat.NewDense(n, 2, nil)
				for i := range n {
					for c := range 2 {
						y.Set(i, c, float64(out[2*i+c]))
					}
				}
				want, top := exactApply(d.a, -0.25, x)
				got := relativeApplied(y, want, x, top)
				// The float32 rounding of the input is the caller's.
				require.LessOrEqual(t, got, rep.Bound+1e-7*cond)
				require.Less(t, got, 1e-3)
			}
		})
	}
}
