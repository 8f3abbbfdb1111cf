package bench

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/roots"
)

// TestRun times two small cases and checks that they are complete: every method that can is there, run or with a reason, and the best is the
// fastest one that met the tolerance. How auto fares is for the benchmark to say.
func TestRun(t *testing.T) {
	var all []Case
	c := Config{Sizes: []int{6}, Conds: []float64{1e3}, Powers: []float64{-0.5}, Tols: []float64{1e-6, 1e-13}, Budget: time.Millisecond, Prune: math.Inf(1)}
	require.NoError(t, Run(context.Background(), c, func(r Case) { all = append(all, r) }))
	require.Len(t, all, 2)
	for _, r := range all {
		require.Positive(t, r.Product)
		require.True(t, r.Auto.Met)
		require.LessOrEqual(t, r.Auto.Bound, r.Tol)
		want := 0
		for _, m := range roots.Methods() {
			if m.Can(roots.Query{Power: -0.5, N: 6}) {
				want++
			}
		}
		require.Len(t, r.Methods, want)
		best := math.Inf(1)
		for _, m := range r.Methods {
			require.True(t, m.Seconds > 0 || m.Skipped != "", m.Method)
			require.False(t, m.Met && m.Bound > r.Tol, m.Method)
			if m.Met {
				best = min(best, m.Seconds)
			}
		}
		require.Equal(t, r.Auto.Seconds/best, r.Ratio)
	}
	require.Less(t, len(met(all[1])), len(met(all[0])), "a tolerance of 1e-13 at condition 1e3 is met by fewer methods than 1e-6")
	w, ok := Worst(all)
	require.True(t, ok)
	require.Equal(t, max(all[0].Ratio, all[1].Ratio), w.Ratio)
}

func met(r Case) (names []string) {
	for _, m := range r.Methods {
		if m.Met {
			names = append(names, m.Method)
		}
	}
	return names
}

func TestRunStopsAndRefuses(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	cancel(why)
	require.ErrorIs(t, Run(ctx, Config{}, func(Case) { t.Error("a case after the end") }), why)
	for _, c := range []Config{{Sizes: []int{0}}, {Conds: []float64{0.5}}, {Powers: []float64{math.NaN()}}, {Tols: []float64{1}}, {Budget: -1}, {Prune: 0.5}} {
		require.Error(t, c.Validate())
		require.Error(t, Run(context.Background(), c, nil))
	}
	require.ErrorContains(t, Run(context.Background(), Config{}, nil), "no function")
	require.NoError(t, Config{}.Validate())
	_, ok := Worst([]Case{{}})
	require.False(t, ok)
}

// TestCompareAtZero checks that without a tolerance only methods about as accurate as the best one count.
func TestCompareAtZero(t *testing.T) {
	r := Case{Auto: Timing{Met: true, Seconds: 2}, Methods: []Timing{
		{Method: "fast", Met: true, Seconds: 1, Bound: 1e-6}, {Method: "fine", Met: true, Seconds: 4, Bound: 1e-9}, {Method: "near", Met: true, Seconds: 3, Bound: 3e-9}, {Method: "idle", Met: true},
	}}
	r.compare()
	require.Equal(t, "near", r.Best)
	require.Equal(t, 2./3, r.Ratio)
	r.Tol = 1e-3
	r.compare()
	require.Equal(t, "fast", r.Best)
}
