package esadapt

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEdges runs every strategy at the edges of what it takes: one variable, the smallest and very large populations, numbers at the ends of the range, boxes without
// width, single integers, values that say nothing. Points stay finite and in the box, and the search ends by itself.
func TestEdges(t *testing.T) {
	problems := map[string]Options{
		"one variable":      {Dim: 1},
		"population of two": {Dim: 1, PopSize: 2},
		"large population":  {Dim: 2, PopSize: 200},
		"one is free":       {X0: []float64{1, 2, 3}, Fixed: []int{0, 2}},
		"tiny step":         {Dim: 6, Sigma0: 1e-300},
		"huge step":         {Dim: 6, Sigma0: 1e300},
		"far start":         {X0: []float64{1e20, -1e140}},
		"scales":            {Dim: 3, Scale: []float64{1e-300, 1, 1e300}},
		"widest box":        {Lower: []float64{-math.MaxFloat64, -1e308}, Upper: []float64{math.MaxFloat64, 1e308}},
		"no width":          {Lower: []float64{1, 1}, Upper: []float64{math.Nextafter(1, 2), 1 + 1e-15}},
		"single integers":   {Lower: []float64{3, 0}, Upper: []float64{3.4, 1}, Integers: []int{0, 1}},
		"noise":             {Dim: 1, PopSize: 2, Noise: true, MaxRepeats: 3},
		"penalty":           {Lower: []float64{1, 1}, Upper: []float64{2, 2}, Bounds: BoundPenalty},
		"one evaluation":    {Dim: 6, MaxEvaluations: 1},
	}
	values := map[string]func(x []float64) float64{
		"sphere": func(x []float64) float64 {
			var s float64
			for _, v := range x {
				s += v * v
			}
			return s
		},
		"constant": func([]float64) float64 { return 3 },
		"linear":   func(x []float64) float64 { return x[0] },
		"infinite": func([]float64) float64 { return math.Inf(1) },
		"lowest":   func([]float64) float64 { return -math.MaxFloat64 },
		"failing":  func([]float64) float64 { return math.NaN() },
	}
	for _, strategy := range Strategies() {
		for problem, o := range problems {
			for value, f := range values {
				name := strategy.Name + ", " + problem + ", " + value
				o.Strategy, o.Seed = strategy.Name, 3
				if o.MaxEvaluations == 0 {
					o.MaxEvaluations = 300
				}
				if strategy.Name == "vd-cma" && (o.dim()-len(o.Fixed)) < 5 {
					continue
				}
				r, err := Minimize(context.Background(), func(x []float64) (float64, error) {
					for i, v := range x {
						require.False(t, math.IsNaN(v) || math.IsInf(v, 0) || o.Lower != nil && (v < o.Lower[i] || v > o.Upper[i]), "%s: x[%d] = %v", name, i, v)
					}
					return f(x), nil
				}, o)
				require.NoError(t, err, name)
				require.NotEmpty(t, r.Reasons, name)
				require.LessOrEqual(t, r.Evaluations, o.MaxEvaluations, name)
				require.False(t, math.IsNaN(r.Best.F), name)
			}
		}
	}
}

// TestAxesWithoutRoom resumes a search along axes on which nothing lies between the ends.
func TestAxesWithoutRoom(t *testing.T) {
	s, err := New(Options{X0: []float64{1e20, 1e20}, Strategy: "axis", MaxEvaluations: 40})
	require.NoError(t, err)
	for s.Stop() == nil {
		rows := s.Ask()
		f := make([]float64, len(rows))
		for i, x := range rows {
			f[i] = x[0] - x[1]
		}
		require.NoError(t, s.Tell(f))
		state, err := s.MarshalBinary()
		require.NoError(t, err)
		s, err = Restore(state)
		require.NoError(t, err)
	}
}

func TestTuningIsChecked(t *testing.T) {
	for part, tuning := range map[string]Tuning{
		"step-size rule 7":                {StepSize: 7},
		"Batch -1":                        {Batch: -1},
		"Sweeps -1":                       {Sweeps: -1},
		"Tolerances.X is NaN":             {Tolerances: Tolerances{X: math.NaN()}},
		"Tolerances.MaxGenerations is Na": {Tolerances: Tolerances{MaxGenerations: math.NaN()}},
	} {
		o := Options{Dim: 2, Tuning: tuning}
		require.ErrorContains(t, o.Validate(), part)
		_, err := NewStrategy("cma", Setup{Mean: []float64{0, 0}, Sigma: 1, Tuning: tuning})
		require.ErrorContains(t, err, part)
	}
	_, err := NewPareto(2, Options{Dim: 2, Surrogate: true})
	require.ErrorContains(t, err, "Surrogate")
}

// TestConstraintsWithoutValue: a constraint that is NaN is a failure, in both kinds of search, and does not become the best point.
func TestConstraintsWithoutValue(t *testing.T) {
	o := Options{Dim: 2, Constraints: 1, Seed: 1, MaxFailureRate: 1}
	s, err := New(o)
	require.NoError(t, err)
	a, err := NewAsync(o, 4)
	require.NoError(t, err)
	for _, search := range []interface {
		Take(n int) []Candidate
		Report(r Evaluation) error
	}{s, a} {
		c := search.Take(3)
		require.NoError(t, search.Report(Evaluation{ID: c[0].ID, F: 1, G: []float64{math.NaN()}}))
		require.NoError(t, search.Report(Evaluation{ID: c[1].ID, F: 5, G: []float64{2}}))
		require.NoError(t, search.Report(Evaluation{ID: c[2].ID, F: 7, G: []float64{0}}))
	}
	for _, search := range []*Search{s, a.Search()} {
		require.Equal(t, 1, search.Failures())
		require.Equal(t, 7.0, search.Best().F)
		require.Equal(t, 0.0, search.Best().Violation)
	}
}

func TestTakeOfNothing(t *testing.T) {
	s, err := New(Options{Dim: 2})
	require.NoError(t, err)
	require.Empty(t, s.Take(0))
	require.Empty(t, s.Take(-1))
	require.Empty(t, s.Pending())
	require.Len(t, s.Take(2), 2)
}
