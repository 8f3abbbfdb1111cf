package roots

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/allocs"
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

// stream32 is a float32 drift with the matrix that its increments define in float64.
type stream32 struct {
	*drift
	sum *mat.SymDense
	v32 []float32
}

func newStream32(d *drift) *stream32 {
	s := &stream32{drift: d, sum: mat.NewSymDense(d.n, nil)}
	s.sum.CopySym(d.a)
	return s
}

// whole makes the rounded matrix the current one, increment moves it by the rounded vectors.
func (s *stream32) whole() []float32 {
	a32, a := to32(s.a)
	s.sum.CopySym(a)
	return a32
}

func (s *stream32) increment() []float32 {
	rows, k := s.v.Dims()
	s.v32 = make([]float32, rows*k)
	v := mat.NewDense(rows, k, nil)
	for i := range rows {
		for c := range k {
			s.v32[k*i+c] = float32(s.v.At(i, c))
			v.Set(i, c, float64(s.v32[k*i+c]))
		}
	}
	s.sum.ScaleSym(1-s.beta, s.sum)
	var inc mat.SymDense
	inc.SymOuterK(1, v)
	s.sum.AddSym(s.sum, &inc)
	return s.v32
}

// applied32 returns the error of A^p x as the bound of a TrackReport measures it.
func applied32(tr *Tracker32, a *mat.SymDense, p float64, x *mat.Dense) (got float64, rep TrackReport, err error) {
	n, k := x.Dims()
	in, out := make([]float32, n*k), make([]float32, n*k)
	single, y := mat.NewDense(n, k, nil), mat.NewDense(n, k, nil)
	for i := range n {
		for c := range k {
			in[k*i+c] = float32(x.At(i, c))
			single.Set(i, c, float64(in[k*i+c]))
		}
	}
	if rep, err = tr.ApplyPow(p, out, in, k); err != nil {
		return 0, rep, err
	}
	for i := range n {
		for c := range k {
			y.Set(i, c, float64(out[k*i+c]))
		}
	}
	want, top := exactApply(a, p, single)
	return relativeApplied(y, want, single, top), rep, nil
}

// TestTracker32 follows whole matrices, increments, and both in turn: the certificate meets 1e-3 up to condition 1e6 and is never violated, whether the
// matrix is held in float32 or in float64; n = 320 at condition 1e6 is not refused.
func TestTracker32(t *testing.T) {
	for _, n := range []int{24, 320} {
		for _, cond := range []float64{1e2, 1e4, 1e6} {
			for _, mode := range []string{"whole", "increments", "both"} {
				if n > 24 && (cond < 1e6 || mode == "both") {
					continue
				}
				t.Run(fmt.Sprintf("n=%d/%g/%s", n, cond, mode), func(t *testing.T) {
					const seed = 64
					rng := newRand(seed)
					s := newStream32(newDrift(rng, n, 3, cond, 0.01))
					tr, err := NewTracker32(n, nil)
					require.NoError(t, err)
					require.Equal(t, n, tr.Dim())
					_, err = tr.Follow(s.whole())
					require.NoError(t, err)
					x := normal(rng, n, 2)
					steps := 60
					if n > 24 {
						steps = 3
					}
					for step := range steps {
						s.step()
						if mode == "whole" || mode == "both" && step%3 == 0 {
							_, err = tr.Follow(s.whole())
						} else {
							_, err = tr.FollowVectors(s.beta, s.increment(), 3)
						}
						require.NoError(t, err)
						got, rep, err := applied32(tr, s.sum, -0.25, x)
						require.NoError(t, err)
						require.LessOrEqual(t, got, rep.Bound, "seed %d step %d: %+v", seed, step, rep)
						require.LessOrEqual(t, rep.Bound, SingleTol, "seed %d step %d: %+v", seed, step, rep)
						require.Equal(t, cond > 1e3, rep.Promoted, "seed %d step %d: %+v", seed, step, rep)
					}
				})
			}
		}
	}
}

// TestTracker32Bound is the property test of the float32 certificate over streams of whole matrices, increments and jumps at conditions up to 1e7, small n,
// with and without leave to go on in float64.
func TestTracker32Bound(t *testing.T) {
	const seed = 66
	rng := newRand(seed)
	cases, promoted, kept, back := 0, 0, 0, 0
	worst := 0.0
	for c := range 300 {
		n := 2 + rng.IntN(8)
		o := &TrackerOptions{Tol: math.Pow(10, -2-2*rng.Float64()), KeepSingle: rng.IntN(3) == 0, Sweep: []float64{0.1, 4, 40}[rng.IntN(3)]}
		tr, err := NewTracker32(n, o)
		require.NoError(t, err)
		s := newStream32(newDrift(rng, n, 1+rng.IntN(4), math.Pow(10, 7*rng.Float64()), math.Pow(10, -3*rng.Float64())))
		have, last := false, false
		for step := range 12 {
			if step > 0 {
				s.step()
			}
			// Where the drift is so fast that the old matrix is taken away, or now and then, another one begins.
			if s.beta > 0.5 || rng.IntN(8) == 0 {
				s = newStream32(newDrift(rng, n, 1+rng.IntN(4), math.Pow(10, 7*rng.Float64()), 0.01))
				have = false
			}
			if !have || rng.IntN(3) == 0 {
				_, err = tr.Follow(s.whole())
			} else {
				_, err = tr.FollowVectors(s.beta, s.increment(), s.k)
			}
			if have = err == nil; !have {
				require.True(t, o.KeepSingle, "seed %d case %d step %d: %v", seed, c, step, err)
				continue
			}
			p := []float64{-0.25, -0.5, -1, 0.5, 0.37, -1.5, 2}[rng.IntN(7)]
			got, rep, err := applied32(tr, s.sum, p, normal(rng, n, 1+rng.IntN(3)))
			require.NoError(t, err)
			cases++
			if rep.Promoted {
				promoted++
			} else if last {
				back++
			}
			last = rep.Promoted
			if o.KeepSingle {
				kept++
				require.False(t, rep.Promoted)
			}
			require.LessOrEqual(t, got, rep.Bound, "seed %d case %d step %d, p %g: %+v", seed, c, step, p, rep)
			worst = max(worst, got/rep.Bound)
		}
	}
	require.Greater(t, min(promoted, kept), 200)
	require.Greater(t, back, 5)
	t.Logf("%d cases, %d of them in float64, back in float32 %d times; largest error/bound %.2g", cases, promoted, back, worst)
}

// TestTracker32Allocations checks that steady-state calls allocate nothing, in float32 and promoted.
func TestTracker32Allocations(t *testing.T) {
	for _, cond := range []float64{1e2, 1e6} {
		rng := newRand(67)
		const n = 40
		s := newStream32(newDrift(rng, n, 3, cond, 0.01))
		tr, err := NewTracker32(n, nil)
		require.NoError(t, err)
		s.step()
		a, v := s.whole(), s.increment()
		x := make([]float32, n)
		x[3] = 1
		y := make([]float32, n)
		work := func() {
			if _, err := tr.Follow(a); err != nil {
				t.Fatal(err)
			}
			if _, err := tr.FollowVectors(s.beta, v, 3); err != nil {
				t.Fatal(err)
			}
			if rep, err := tr.ApplyPow(-0.25, y, x, 1); err != nil || rep.Promoted != (cond > 1e3) {
				t.Fatal(rep, err)
			}
		}
		for range 5 {
			work()
		}
		require.Zero(t, allocs.PerRun(20, work), "condition %g", cond)
	}
}
