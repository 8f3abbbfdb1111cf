package roots

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func (r *rational) at(x float64) float64 {
	v := r.constant
	for j, s := range r.s {
		v += r.w[j] / (x + s)
	}
	return v
}

// worstOn returns the largest error of r on [lo, hi] relative to the largest value on the interval of the fit, on a grid of its own.
func (r *rational) worstOn(lo, hi float64) float64 {
	top := math.Max(math.Pow(r.lo, r.p), math.Pow(r.hi, r.p))
	worst := 0.0
	for i := range 3001 {
		x := lo * math.Pow(hi/lo, float64(i)/3000)
		worst = max(worst, math.Abs(r.at(x)-math.Pow(x, r.p))/top)
	}
	return worst
}

// Fits of all kinds of powers keep their error on the whole interval, also where it has moved, with about as many poles as the best rational
// functions need (2 pi^2/(ln cond + 4 ln 2) digits of base e for each).
func TestFittedPoles(t *testing.T) {
	for _, p := range []float64{-1, -0.9, -0.5, -0.25, -0.05, 0.05, 0.3, 0.5, 0.9} {
		for _, cond := range []float64{1, 1.5, 10, 1e3, 1e6, 1e10} {
			for _, target := range []float64{1e-2, 2e-4, 2e-7, 1e-9} {
				if p > 0.5 && cond > 1e6 && target < 1e-7 {
					continue // the weights cancel
				}
				var r rational
				const lo = 3e-7
				require.True(t, r.require(p, lo, lo*cond, target), "p %g cond %g target %g", p, cond, target)
				require.LessOrEqual(t, r.lo, lo)
				require.GreaterOrEqual(t, r.hi, lo*cond)
				require.LessOrEqual(t, r.err, target)
				require.LessOrEqual(t, r.worstOn(r.lo, r.hi), r.err+1e-14, "p %g cond %g target %g", p, cond, target)
				if math.Abs(p) <= 0.5 && target <= 2e-4 {
					require.LessOrEqual(t, len(r.s), fitPoles(cond*fitMargin, target)+2, "p %g cond %g target %g", p, cond, target)
				}
				poles := len(r.s)
				require.True(t, r.require(p, 1e4*lo, 1e4*lo*cond, target))
				require.Len(t, r.s, poles)
				require.LessOrEqual(t, r.lo, 1e4*lo)
				require.GreaterOrEqual(t, r.hi, 1e4*lo*cond)
				require.LessOrEqual(t, r.worstOn(r.lo, r.hi), r.err+1e-14)
			}
		}
	}
}

// A fit is kept while it serves and is made anew for another power, another target and an interval that is longer or much shorter.
func TestFitIsKept(t *testing.T) {
	var r rational
	require.True(t, r.require(-0.25, 1, 1e4, 1e-6))
	first := &r.s[0]
	kept := append([]float64(nil), r.s...)
	require.True(t, r.require(-0.25, 1.2, 1.1e4, 1e-6))
	require.Same(t, first, &r.s[0])
	require.Equal(t, kept, r.s)
	require.True(t, r.require(-0.25, 1, 1e6, 1e-6))
	require.Greater(t, len(r.s), len(kept))
	require.True(t, r.require(-0.25, 1, 1e2, 1e-6))
	require.Less(t, len(r.s), len(kept))
	require.True(t, r.require(0.5, 1, 1e2, 1e-6))
	require.InDelta(t, 5, r.at(25), 1e-5)
	require.True(t, r.require(0.5, 1, 1e2, 1e-9))
	require.InDelta(t, 5, r.at(25), 1e-8)
}
