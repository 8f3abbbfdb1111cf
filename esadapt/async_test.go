package esadapt

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// runAsync keeps up to inFlight evaluations under way and reports them in random order, some twice; visit sees the search after every report and may replace it.
func runAsync(t *testing.T, o Options, inFlight int, seed uint64, value func(x []float64) (float64, []float64), visit func(*Async) *Async) *Async {
	t.Helper()
	a, err := NewAsync(o, inFlight)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 3))
	var out []Candidate
	for a.Stop() == nil {
		out = append(out, a.Take(1+random.IntN(inFlight))...)
		if len(out) > inFlight {
			t.Fatalf("%d evaluations in flight, %d allowed", len(out), inFlight)
		}
		k := random.IntN(len(out))
		c := out[k]
		out = slices.Delete(out, k, k+1)
		f, g := value(c.X)
		for range 1 + random.IntN(2) {
			if err := a.Report(Evaluation{ID: c.ID, F: f, G: g}); err != nil && a.Stop() == nil {
				t.Fatal(err)
			}
		}
		if visit != nil {
			a = visit(a)
		}
	}
	return a
}

// With results in any order and several generations in flight the search still converges, for at most twice the evaluations of a search with the same population that waits.
func TestAsyncConverges(t *testing.T) {
	target := 1e-8
	for _, name := range []string{"cma", "dd-cma", "sep-cma", "xnes"} {
		for _, inFlight := range []int{1, 10, 40} {
			o := Options{X0: []float64{3, -2, 1, 4, 0, 2}, Sigma0: 1, Strategy: name, Seed: 5, Target: &target, MaxEvaluations: 20000, Restarts: RestartNone}
			f := func(x []float64) (float64, []float64) {
				var s float64
				for i, v := range x {
					s += float64(i+1) * v * v
				}
				return s, nil
			}
			a := runAsync(t, o, inFlight, 1, f, nil)
			o.PopSize = a.Search().PopSize()
			s := newSearch(t, o)
			for s.Stop() == nil {
				var v []float64
				for _, x := range s.Ask() {
					y, _ := f(x)
					v = append(v, y)
				}
				if err := s.Tell(v); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := a.Search().Evaluations(), s.Evaluations(); a.Stop()[0].Code != TargetReached || got > 2*want {
				t.Errorf("%s, %d in flight: %d evaluations, %d when waiting; %v", name, inFlight, got, want, a.Stop())
			}
		}
	}
}

// Every option that applies works: the budget is spent to the last evaluation, a saved copy goes on with the same points and what was out is known.
func TestAsyncVariants(t *testing.T) {
	eachVariant(t, func(t *testing.T, o Options) {
		if _, err := NewAsync(o, 9); err != nil {
			if !o.Noise && !o.Surrogate && o.Strategy != "1+1-cma" {
				t.Error(err)
			}
			t.Skip(err)
		}
		run := func(interrupted bool) (points [][]float64) {
			random := rand.New(rand.NewPCG(1, 9))
			value := objective(&o)
			a := runAsync(t, o, 9, 2, func(x []float64) (float64, []float64) {
				points = append(points, slices.Clone(x))
				return value(x)
			}, func(a *Async) *Async {
				if !interrupted || random.IntN(4) > 0 {
					return a
				}
				data, err := a.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				b, err := RestoreAsync(data)
				if err != nil {
					t.Fatal(err)
				}
				again, err := b.MarshalBinary()
				if err != nil || !bytes.Equal(data, again) || len(b.Pending()) != len(a.Pending()) {
					t.Fatalf("the copy has another state: %v", err)
				}
				return b
			})
			s := a.Search()
			if o.Target == nil && s.Stop()[0].Code == BudgetUsed && s.Evaluations() != o.MaxEvaluations {
				t.Errorf("%d of %d evaluations spent", s.Evaluations(), o.MaxEvaluations)
			}
			if s.Best().Evaluation == 0 {
				t.Error("nothing found")
			}
			return append(points, s.Best().X)
		}
		if a, b := run(false), run(true); !slices.EqualFunc(a, b, slices.Equal) {
			t.Errorf("the interrupted run differs at point %d of %d", firstDifference(a, b), len(a))
		}
	})
}

func TestAsyncRefusals(t *testing.T) {
	for _, o := range []Options{{}, {Dim: 2, Noise: true}, {Dim: 2, Surrogate: true}, {Dim: 2, Strategy: "ma-es"}, {Dim: 2, Strategy: "axis"}} {
		if _, err := NewAsync(o, 3); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := NewAsync(Options{Dim: 2}, 0); err == nil {
		t.Error("nothing in flight was accepted")
	}
	a, err := NewAsync(Options{Dim: 2, Constraints: 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	a.Take(1)
	for _, r := range []Evaluation{{ID: 5}, {ID: 0, F: 1}, {ID: 0, F: math.Inf(-1), G: []float64{0}}} {
		if a.Report(r) == nil {
			t.Errorf("%+v was accepted", r)
		}
	}
	if len(a.Pending()) != 1 {
		t.Error("an error changed the state")
	}
	for _, data := range [][]byte{nil, []byte("spdopt async 1"), make([]byte, 100)} {
		if _, err := RestoreAsync(data); err == nil {
			t.Errorf("%q was restored", data)
		}
	}
}
