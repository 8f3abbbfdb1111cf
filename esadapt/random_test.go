package esadapt

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// drawOptions is a problem at random: ordinary numbers or ones at the ends of the range, any combination of what a search can do. Many are refused by New.
func drawOptions(r *rand.Rand) Options {
	n := 1 + r.IntN(6)
	extreme := []float64{0, 1, -1, 1e20, -1e20, 1e-20, 1e150, -1e150, 1e300, math.MaxFloat64, 1e-310}
	number := func() float64 { return 3 * r.NormFloat64() }
	if r.IntN(2) == 0 {
		number = func() float64 { return extreme[r.IntN(len(extreme))] }
	}
	vector := func() []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = number()
		}
		return v
	}
	one := func(in int) bool { return r.IntN(in) == 0 }
	o := Options{Dim: n, Seed: r.Uint64(), MaxEvaluations: 1 + r.IntN(250), OnFailure: OnFailure(r.IntN(3)), MaxFailureRate: 1, Restarts: Restarts(r.IntN(4)), Noise: one(5), MaxRepeats: 3, Surrogate: one(6)}
	if one(2) {
		o.X0 = vector()
	}
	if one(2) {
		o.Lower = vector()
	}
	if one(3) {
		o.Upper = vector()
	}
	if one(3) {
		o.Bounds = BoundPenalty
	}
	if one(2) {
		o.Sigma0 = math.Abs(number())
	}
	for i := range n {
		if one(6) {
			o.Integers = append(o.Integers, i)
		}
		if one(8) && o.X0 != nil {
			o.Fixed = append(o.Fixed, i)
		}
	}
	if one(2) {
		o.Strategy = registry[r.IntN(len(registry))].Name
	}
	if one(3) {
		o.Constraints, o.Equalities = 2, []int{1}
	}
	o.Tuning = Tuning{StepSize: StepSize(r.IntN(3)), NoActive: one(3), LearnRate: one(5), Batch: r.IntN(3)}
	for i := range o.X0 {
		if o.Lower != nil {
			o.X0[i] = max(o.X0[i], o.Lower[i])
		}
		if o.Upper != nil {
			o.X0[i] = min(o.X0[i], o.Upper[i])
		}
	}
	return o
}

// TestRandomSearches: whatever was asked for, points are finite, in the box and whole where they must be, and a search that is saved and restored at any time, injected points under
// way or not, goes on with the same bits.
func TestRandomSearches(t *testing.T) {
	accepted, seeds := uint64(0), seedsOf(1500)
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		o := drawOptions(r)
		s, err := New(o)
		if err != nil {
			continue
		}
		accepted++
		twin := s
		for step := 0; s.Stop() == nil; step++ {
			require.Less(t, step, 3000, "seed %d", seed)
			if r.IntN(4) == 0 {
				twin = restored(t, s)
			}
			injectZero(t, seed, s, twin)
			taken := s.Take(1 + r.IntN(9))
			if twin != s {
				require.Equal(t, taken, twin.Take(len(taken)), "seed %d", seed)
			}
			if r.IntN(4) == 0 {
				twin = restored(t, s)
			}
			waiting := s.Pending()
			r.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
			for _, c := range waiting {
				if s.Stop() != nil {
					break
				}
				checkPoint(t, seed, &o, c.X)
				e := randomResult(r, c, o.Constraints)
				require.NoError(t, s.Report(e), "seed %d", seed)
				if twin != s {
					require.NoError(t, twin.Report(e), "seed %d", seed)
				}
			}
		}
		a, err := s.MarshalBinary()
		require.NoError(t, err)
		b, err := twin.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, a, b, "seed %d", seed)
	}
	require.Greater(t, accepted, seeds/5)
}

// seedsOf is a tenth of count in short runs, which are those of the race detector.
func seedsOf(count uint64) uint64 {
	if testing.Short() {
		return count / 10
	}
	return count
}

func restored(t testing.TB, s *Search) *Search {
	state, err := s.MarshalBinary()
	require.NoError(t, err)
	r, err := Restore(state)
	require.NoError(t, err)
	return r
}

// injectZero injects the origin now and then, where a search takes it.
func injectZero(t *testing.T, seed uint64, s, twin *Search) {
	if s.Evaluations()%5 != 0 {
		return
	}
	x := make([]float64, s.space.n)
	err := s.Inject(x)
	if twin != s {
		require.Equal(t, err, twin.Inject(x), "seed %d", seed)
	}
}

// checkBox demands a finite point within the bounds.
func checkBox(t *testing.T, seed uint64, o *Options, x []float64) {
	for i, v := range x {
		if !finite(v) || o.Lower != nil && v < o.Lower[i] || o.Upper != nil && v > o.Upper[i] {
			t.Fatalf("seed %d: x[%d] = %v", seed, i, v)
		}
	}
}

func checkPoint(t *testing.T, seed uint64, o *Options, x []float64) {
	checkBox(t, seed, o, x)
	for i, v := range x {
		if slices.Contains(o.Fixed, i) {
			require.Equal(t, o.X0[i], v, "seed %d", seed)
		} else if slices.Contains(o.Integers, i) {
			require.Equal(t, math.Round(v), v, "seed %d", seed)
		}
	}
}

func randomResult(r *rand.Rand, c Candidate, constraints int) Evaluation {
	e := Evaluation{ID: c.ID, F: math.Abs(c.X[0]), G: slices.Repeat([]float64{c.X[0] - 1}, constraints)}
	switch r.IntN(20) {
	case 0:
		e.Failed = true
	case 1:
		e.F = math.NaN()
	case 2:
		e.F = math.Inf(1)
	case 3:
		e.F = -math.MaxFloat64 * r.Float64()
	default:
		e.F += r.NormFloat64()
	}
	return e
}
