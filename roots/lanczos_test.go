package roots

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// TestApplyProduct checks the a-posteriori bound of the Krylov method on operators known by their product only: diagonal matrices, whose
// functions are exact, with random spectra, powers and tolerances.
func TestApplyProduct(t *testing.T) {
	const seed = 95
	rng := newRand(seed)
	for c := range 300 {
		n := 5 + rng.IntN(80)
		cond := math.Pow(10, 4*rng.Float64())
		d := make([]float64, n)
		for i := range d {
			d[i] = 3 * math.Pow(cond, -rng.Float64())
		}
		d[0], d[1] = 3, 3/cond
		mul := func(dst, src []float64) {
			for i, v := range src {
				dst[i] = d[i] * v
			}
		}
		q := Query{Power: []float64{-0.5, -0.25, -1, 0.5, -1.7, 1.3, 2}[rng.IntN(7)]}
		if rng.IntN(6) == 0 {
			q = Query{Kind: KindLog}
		}
		x, y := normal(rng, n, 1).RawMatrix().Data, make([]float64, n)
		o := &Options{Lower: 3 / cond * (0.5 + 0.5*rng.Float64())}
		if rng.IntN(2) == 0 {
			o.Tol = math.Pow(10, -2-6*rng.Float64())
		}
		rep, err := ApplyProduct(y, x, mul, q, o)
		if err != nil && !isAccuracy(err) {
			t.Fatalf("seed %d case %d: %v", seed, c, err)
		}
		var e, size, top float64
		for i, v := range x {
			f := math.Pow(d[i], q.Power)
			if q.Kind == KindLog {
				f = math.Log(d[i])
			}
			top = max(top, math.Abs(f))
			e += (y[i] - f*v) * (y[i] - f*v)
			size += v * v
		}
		// The bound is relative to max |f| on [Lower, LambdaMax], which holds the spectrum.
		low := math.Pow(o.Lower, q.Power)
		if q.Kind == KindLog {
			low = math.Abs(math.Log(o.Lower))
		}
		if got := math.Sqrt(e/size) / max(top, low); got > rep.Bound {
			t.Errorf("seed %d case %d: error %.3g above the bound %.3g: %v power %g n %d cond %.3g tol %g", seed, c, got, rep.Bound, q.Kind, q.Power, n, cond, o.Tol)
		}
		require.Positive(t, rep.Iterations)
	}
}

func TestApplyProductErrors(t *testing.T) {
	mul := func(dst, src []float64) {
		for i, v := range src {
			dst[i] = float64(i-1) * v
		}
	}
	y := make([]float64, 4)
	_, err := ApplyProduct(y, []float64{1, 1, 1, 1}, mul, Query{Power: -0.5}, nil)
	var e *NotPositiveDefiniteError
	require.ErrorAs(t, err, &e)
	require.InDelta(t, -1, e.Smallest, 1e-12)
	nan := func(dst, src []float64) { dst[0] = math.NaN() }
	_, err = ApplyProduct(y, []float64{1, 1, 1, 1}, nan, Query{Power: -0.5}, nil)
	require.ErrorContains(t, err, "NaN")
	_, err = ApplyProduct(y, []float64{math.Inf(1), 1, 1, 1}, mul, Query{Power: -0.5}, nil)
	var f *NotFiniteError
	require.ErrorAs(t, err, &f)
	_, err = ApplyProduct(y, []float64{1, 1, 1, 1}, mul, Query{Kind: KindExp}, nil)
	var m *MethodError
	require.ErrorAs(t, err, &m)
	rep, err := ApplyProduct(nil, nil, mul, Query{Power: -0.5}, nil)
	require.NoError(t, err)
	require.Zero(t, rep.N)
	// A ridge makes the operator definite; the zero vector maps to zero.
	_, err = ApplyProduct(y, []float64{0, 0, 0, 2}, mul, Query{Power: -0.5}, &Options{Ridge: 2})
	require.NoError(t, err)
	require.InDelta(t, 1, y[3], 1e-12)
	_, err = ApplyProduct(y, make([]float64, 4), mul, Query{Power: -0.5}, &Options{Lower: 1})
	require.NoError(t, err)
	require.Equal(t, 0.0, mat.Norm(mat.NewVecDense(4, y), 2))
}

func TestMinimaxQuintic(t *testing.T) {
	// Equioscillation: the error is attained with alternating signs at l, two interior points and u, and nowhere exceeded.
	for _, l := range []float64{1e-3, 0.01, 0.1, 0.5, 0.9, 0.999} {
		p, e := minimaxQuintic(l, 1)
		worst := 0.0
		for i := range 20001 {
			x := l + (1-l)*float64(i)/20000
			worst = max(worst, math.Abs(1-p.at(x)))
		}
		require.InDelta(t, e, worst, 1e-9+1e-6*e, "l = %g", l)
		if l < 0.99 {
			require.InDelta(t, e, 1-p.at(l), 1e-9)
			require.InDelta(t, e, 1-p.at(1)+2*(p.at(1)-1), 1e-9)
		}
	}
	// The composition maps all of [lower, 1] next to 1.
	s := polarSchedule(1e-6, 1e-14, 0x1p-53)
	for i := range 2001 {
		x := math.Pow(1e-6, float64(i)/2000)
		for _, p := range s.polys {
			x = p.at(x)
		}
		require.InDelta(t, 1, x, 1e-13)
	}
}

func TestQuadratures(t *testing.T) {
	// Gauss-Legendre and Gauss-Jacobi rules integrate powers exactly.
	for _, ab := range [][2]float64{{0, 0}, {-0.3, -0.7}, {-0.75, -0.25}} {
		x, w := gaussJacobi(8, ab[0], ab[1])
		for k := range 16 {
			var s float64
			for i := range x {
				s += w[i] * math.Pow(x[i], float64(k))
			}
			beta := func(p, q float64) float64 {
				lp, _ := math.Lgamma(p)
				lq, _ := math.Lgamma(q)
				ls, _ := math.Lgamma(p + q)
				return math.Exp(lp + lq - ls)
			}
			want := beta(ab[1]+1+float64(k), ab[0]+1) / beta(ab[1]+1, ab[0]+1)
			require.InEpsilon(t, want, s, 1e-12)
		}
	}
	for _, cond := range []float64{1.5, 1e2, 1e6, 1e10} {
		for _, target := range []float64{1e-3, 1e-8, 1e-13} {
			for _, p := range []float64{-0.5, -0.25, -0.8} {
				ps := polesFor(p, 1/cond, 1, target, 1)
				worst := 0.0
				for i := range 301 {
					x := math.Pow(cond, -float64(i)/300)
					v := ps.constant
					for j, s := range ps.s {
						v += ps.w[j] / (x + s)
					}
					worst = max(worst, math.Abs(v-math.Pow(x, p))/math.Pow(cond, -p))
				}
				require.LessOrEqual(t, worst, ps.error*1.5+1e-14, "p %g cond %g target %g", p, cond, target)
			}
		}
	}
}

// TestPolarSteps holds the predicted length of schedules against the schedules.
func TestPolarSteps(t *testing.T) {
	for _, tol := range []float64{1e-1, 1e-2, 1e-4, 1e-6, 1e-9, 1e-12, 4.4e-16} {
		for e := 0.0; e <= 9; e += 0.25 {
			lower := 0.5 * math.Pow(10, -e)
			if got, want := polarSteps(lower, tol), len(polarSchedule(lower, tol, 0x1p-53).polys); math.Abs(got-float64(want)) > 1 {
				t.Errorf("lower %.3g, tolerance %g: predicted %g, %d made", lower, tol, got, want)
			}
		}
	}
}
