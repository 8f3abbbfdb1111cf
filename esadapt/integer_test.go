package esadapt

import (
	"context"
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// Integer problems with known optima; half the variables are integer, their optimum is not at the rounded optimum of the others' mean.
func TestIntegerProblems(t *testing.T) {
	if allocs.Race {
		t.Skip("too slow")
	}
	lower, upper := make([]float64, 6), make([]float64, 6)
	for i := range lower {
		lower[i], upper[i] = -10, 10
	}
	shift := []float64{2.2, -3.7, 5.4, 0.1, 1.9, -6.6}
	for name, test := range map[string]struct {
		weight func(i int) float64
		narrow bool // the first integer variable has only the values 0 and 1
	}{
		"sphere":           {func(int) float64 { return 1 }, false},
		"ellipsoid":        {func(i int) float64 { return math.Pow(1e4, float64(i)/5) }, false},
		"binary":           {func(int) float64 { return 1 }, true},
		"flat in integers": {func(i int) float64 { return map[bool]float64{true: 1e-4, false: 1}[i%2 == 0] }, false},
	} {
		t.Run(name, func(t *testing.T) {
			lo, up := append([]float64(nil), lower...), append([]float64(nil), upper...)
			want := 0.0
			for i, s := range shift {
				if i%2 == 0 {
					best := math.Round(s)
					if test.narrow && i == 0 {
						lo[i], up[i], best = 0, 1, 1
					}
					want += test.weight(i) * (best - s) * (best - s)
				}
			}
			solved := 0
			for seed := range uint64(5) {
				r, err := Minimize(context.Background(), func(x []float64) (float64, error) {
					f := 0.0
					for i, v := range x {
						f += test.weight(i) * (v - shift[i]) * (v - shift[i])
					}
					return f, nil
				}, Options{Lower: lo, Upper: up, Integers: []int{0, 2, 4}, Seed: seed, MaxEvaluations: 12000})
				if err != nil {
					t.Fatal(err)
				}
				if r.Best.F < want+1e-8 {
					solved++
				}
			}
			if solved < 4 {
				t.Errorf("%d of 5 runs found the optimum", solved)
			}
		})
	}
}

// The margin keeps every integer variable able to change: its probability to leave the present value stays at 1/(n lambda) or above, however small the
// distribution has become.
func TestMarginIsKept(t *testing.T) {
	s := newSearch(t, Options{Dim: 3, Lower: []float64{-9, -9, -9}, Upper: []float64{9, 9, 9}, Integers: []int{0, 1}, Seed: 1, Restarts: RestartNone, MaxEvaluations: 3000})
	deviations := make([]float64, 3)
	for s.Stop() == nil {
		x := s.Ask()
		f := make([]float64, len(x))
		for k := range x {
			for i, v := range x[k] {
				f[k] += (v - 0.3*float64(i)) * (v - 0.3*float64(i))
			}
		}
		if err := s.Tell(f); err != nil {
			t.Fatal(err)
		}
		d := s.Strategy().(Distribution)
		d.Deviations(deviations)
		for _, j := range []int{0, 1} {
			unit := s.space.scale[j] * s.stretch[j]
			mean, sd := d.Mean()[j]*unit, deviations[j]*unit
			cell := math.Floor(mean + 0.5)
			leave := standardNormal.CDF((cell-0.5-mean)/sd) + standardNormal.CDF((mean-cell-0.5)/sd)
			if least := 1 / (3 * float64(s.PopSize())); leave < 0.9*least {
				t.Fatalf("generation %d, variable %d: probability %.2e to change, at least %.2e is due", s.Generations(), j, leave, least)
			}
		}
	}
}

// TestNoObjective: a nil objective is an error.
func TestNoObjective(t *testing.T) {
	if _, err := Minimize(t.Context(), nil, Options{Dim: 2}); err == nil {
		t.Error("Minimize took a nil objective")
	}
	if _, err := MinimizeConstrained(t.Context(), nil, Options{Dim: 2, Constraints: 1}); err == nil {
		t.Error("MinimizeConstrained took a nil objective")
	}
}

// TestIntegersAreNotNegativeZero: zero has one sign, so that what an objective is sent reads "0".
func TestIntegersAreNotNegativeZero(t *testing.T) {
	s, err := New(Options{Dim: 4, X0: make([]float64, 4), Sigma0: 0.3, Integers: []int{0, 1, 2, 3}, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		for _, x := range s.Ask() {
			for i, v := range x {
				if v == 0 && math.Signbit(v) {
					t.Fatalf("variable %d is -0", i)
				}
			}
		}
		f := make([]float64, s.PopSize())
		for i := range f {
			f[i] = float64(i)
		}
		if err := s.Tell(f); err != nil {
			t.Fatal(err)
		}
		if s.Stop() != nil {
			break
		}
	}
}
