package esadapt

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// variants are searches with every part of Options in use somewhere; each is run through the tests that must hold for all.
func variants() map[string]Options {
	box := func(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }
	target := 1e-6
	return map[string]Options{
		"plain":       {Dim: 4, Seed: 1, MaxEvaluations: 700},
		"tpa":         {Dim: 4, Seed: 1, MaxEvaluations: 700, Tuning: Tuning{StepSize: TPA}},
		"msr":         {Dim: 4, Seed: 1, MaxEvaluations: 700, Tuning: Tuning{StepSize: MSR}},
		"lra":         {Dim: 3, Seed: 1, MaxEvaluations: 700, Tuning: Tuning{LearnRate: true}},
		"ipop":        {Dim: 2, Seed: 2, MaxEvaluations: 3000, Restarts: RestartIPOP, StartLower: box(2, -1), StartUpper: box(2, 1)},
		"bipop":       {Dim: 2, Seed: 3, MaxEvaluations: 4000, Restarts: RestartBIPOP, Sigma0: 0.2},
		"bounds":      {X0: []float64{0.5, 1, 1.5}, Lower: box(3, 0.1), Upper: box(3, 2), Seed: 4, MaxEvaluations: 500},
		"half bounds": {Dim: 3, Lower: []float64{0.5, math.Inf(-1), 0.5}, Seed: 4, MaxEvaluations: 500},
		"penalty":     {Dim: 3, Lower: box(3, 0.1), Upper: box(3, 2), Bounds: BoundPenalty, Seed: 5, MaxEvaluations: 500},
		"fixed":       {X0: []float64{1, 2, 3, 4}, Fixed: []int{1, 3}, Scale: []float64{1, 1, 10, 1}, Seed: 6, MaxEvaluations: 500},
		"integers":    {Dim: 4, Lower: box(4, -5), Upper: box(4, 5), Integers: []int{0, 2}, Seed: 7, MaxEvaluations: 600},
		"constraints": {Dim: 3, Constraints: 2, Seed: 8, MaxEvaluations: 800},
		"surrogate":   {Dim: 3, Surrogate: true, Seed: 9, MaxEvaluations: 300},
		"noise":       {Dim: 3, Noise: true, Seed: 9, MaxEvaluations: 1500},
		"resample":    {Dim: 3, OnFailure: FailureResample, MaxFailureRate: 1, Seed: 10, MaxEvaluations: 600},
		"target":      {Dim: 3, Target: &target, Seed: 11},
		"xnes":        {Dim: 3, Strategy: "xnes", Seed: 12, MaxEvaluations: 500},
		"1+1":         {Dim: 3, Strategy: "1+1-cma", Seed: 13, MaxEvaluations: 500},
	}
}

// objective is deterministic, fails now and then, and has two constraints.
func objective(o *Options) func(x []float64) (float64, []float64) {
	return func(x []float64) (float64, []float64) {
		f := 0.0
		for i, v := range x {
			f += float64(i+1) * (v - 0.3) * (v - 0.3)
		}
		if o.Noise {
			f += 0.1 * math.Sin(1e6*f)
		}
		if o.OnFailure == FailureResample && math.Mod(math.Abs(1e4*x[0]), 1) < 0.2 {
			f = math.NaN()
		}
		if o.Constraints == 0 {
			return f, nil
		}
		return f, []float64{1 - x[0], x[1] - 0.2}
	}
}

// trace runs s to its end by whole generations and returns every point in order, then the best.
func trace(t testing.TB, s *Search, tell func(s *Search, x [][]float64, f []float64, g [][]float64)) [][]float64 {
	t.Helper()
	var all [][]float64
	o := s.Options()
	value := objective(&o)
	for s.Stop() == nil {
		x := s.Ask()
		f, g := make([]float64, len(x)), make([][]float64, len(x))
		for i := range x {
			all = append(all, slices.Clone(x[i]))
			f[i], g[i] = value(x[i])
		}
		if o.Constraints == 0 {
			g = nil
		}
		tell(s, x, f, g)
	}
	return append(all, slices.Clone(s.Best().X))
}

func whole(t testing.TB) func(s *Search, x [][]float64, f []float64, g [][]float64) {
	return func(s *Search, _ [][]float64, f []float64, g [][]float64) {
		if err := s.Tell(f, g...); err != nil {
			t.Fatal(err)
		}
	}
}

func newSearch(t testing.TB, o Options) *Search {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func eachVariant(t *testing.T, run func(t *testing.T, o Options)) {
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) { run(t, o) })
	}
}

// Saved and restored at random moments, in the middle of generations too, a search makes the same evaluations as one left alone.
func TestResumeIsExact(t *testing.T) {
	eachVariant(t, func(t *testing.T, o Options) {
		run := func(interrupted bool) (points [][]float64) {
			random := rand.New(rand.NewPCG(1, 5))
			s := newSearch(t, o)
			value := objective(&o)
			for s.Stop() == nil {
				for _, c := range s.Take(1 + random.IntN(5)) {
					points = append(points, slices.Clone(c.X))
					f, g := value(c.X)
					if err := s.Report(Evaluation{ID: c.ID, F: f, G: g}); err != nil {
						t.Fatal(err)
					}
					if s.Stop() != nil {
						break
					}
				}
				if random.IntN(3) == 0 && interrupted {
					s = reload(t, s)
				}
			}
			return append(points, slices.Clone(s.Best().X))
		}
		got, want := run(true), run(false)
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("%d points against %d, first difference at %d", len(got), len(want), firstDifference(got, want))
		}
	})
}

func firstDifference(a, b [][]float64) int {
	for i := range min(len(a), len(b)) {
		if !slices.Equal(a[i], b[i]) {
			return i
		}
	}
	return min(len(a), len(b))
}

func reload(t testing.TB, s *Search) *Search {
	t.Helper()
	data, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Restore(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, again) {
		t.Fatal("a restored search has another state")
	}
	return r
}

// The order in which results come does not matter.
func TestOrderOfResults(t *testing.T) {
	eachVariant(t, func(t *testing.T, o Options) {
		if o.OnFailure == FailureResample || o.Target != nil {
			t.Skip("what ends early or is redrawn depends on the order")
		}
		want := trace(t, newSearch(t, o), whole(t))
		random := rand.New(rand.NewPCG(7, 7))
		got := trace(t, newSearch(t, o), func(s *Search, x [][]float64, f []float64, g [][]float64) {
			for _, k := range random.Perm(len(x)) {
				r := Evaluation{ID: s.first + uint64(s.asked[k]), F: f[k]}
				if g != nil {
					r.G = g[k]
				}
				if err := s.Report(r); err != nil && !errors.Is(err, ErrFinished) {
					t.Fatal(err)
				}
			}
		})
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("first difference at %d of %d", firstDifference(got, want), len(want))
		}
	})
}

func TestWorkersDoNotMatter(t *testing.T) {
	var first Result
	for k, workers := range []int{1, 2, 7} {
		o := Options{Dim: 6, Seed: 42, MaxEvaluations: 3000, Workers: workers}
		r, err := Minimize(context.Background(), func(x []float64) (float64, error) {
			f := 0.0
			for i, v := range x {
				f += float64(i+1) * v * v * (2 + math.Sin(10*v))
			}
			return f, nil
		}, o)
		if err != nil {
			t.Fatal(err)
		}
		if k == 0 {
			first = r
		} else if !slices.Equal(r.Best.X, first.Best.X) || r.Evaluations != first.Evaluations || !slices.Equal(r.Mean, first.Mean) {
			t.Errorf("%d workers: %v, one: %v", workers, r.Best, first.Best)
		}
	}
}

func TestBudgetIsKept(t *testing.T) {
	eachVariant(t, func(t *testing.T, o Options) {
		if o.MaxEvaluations == 0 {
			t.Skip()
		}
		s := newSearch(t, o)
		points := len(trace(t, s, whole(t))) - 1
		if s.Evaluations() != o.MaxEvaluations || points != o.MaxEvaluations {
			t.Errorf("%d evaluations of %d", s.Evaluations(), o.MaxEvaluations)
		}
		if s.Stop()[0].Code != BudgetUsed {
			t.Errorf("stopped by %v", s.Stop())
		}
		if s.Ask() != nil || s.Take(3) != nil || !errors.Is(s.Tell([]float64{1}), ErrFinished) {
			t.Error("the search goes on after its end")
		}
	})
}

func TestPointsAreAdmissible(t *testing.T) {
	eachVariant(t, func(t *testing.T, o Options) {
		for _, x := range trace(t, newSearch(t, o), whole(t)) {
			for i, v := range x {
				switch {
				case !finite(v):
					t.Fatalf("variable %d is %v", i, v)
				case o.Lower != nil && v < o.Lower[i], o.Upper != nil && v > o.Upper[i]:
					t.Fatalf("variable %d is %v, outside its bounds", i, v)
				case slices.Contains(o.Fixed, i) && v != o.X0[i]:
					t.Fatalf("fixed variable %d is %v", i, v)
				case slices.Contains(o.Integers, i) && v != math.Trunc(v):
					t.Fatalf("integer variable %d is %v", i, v)
				}
			}
		}
	})
}

func TestReportsOutOfTurn(t *testing.T) {
	s := newSearch(t, Options{Dim: 3, Seed: 1})
	c := s.Take(2)
	if err := s.Report(Evaluation{ID: c[1].ID + 1, F: 1}); err == nil {
		t.Error("a result for a candidate that was never handed out was accepted")
	}
	if err := s.Report(Evaluation{ID: math.MaxUint64, F: 1}); err == nil {
		t.Error("a result for an impossible candidate was accepted")
	}
	if err := s.Report(Evaluation{ID: 1 << 40, F: 1}); err == nil {
		t.Error("a result for an unknown candidate was accepted")
	}
	if err := s.Report(Evaluation{ID: c[0].ID, F: math.Inf(-1)}); err == nil {
		t.Error("-Inf was accepted")
	}
	if err := s.Report(Evaluation{ID: c[0].ID, F: 1, G: []float64{1}}); err == nil {
		t.Error("a constraint value too many was accepted")
	}
	for range 2 {
		if err := s.Report(Evaluation{ID: c[0].ID, F: 1}); err != nil {
			t.Errorf("a duplicate: %v", err)
		}
	}
	if s.Evaluations() != 1 {
		t.Errorf("%d evaluations, one was told", s.Evaluations())
	}
	if p := s.Pending(); len(p) != 1 || p[0].ID != c[1].ID {
		t.Errorf("pending: %v", p)
	}
	if err := s.Tell([]float64{1, 2}); err == nil {
		t.Error("two values for no Ask were accepted")
	}
}

func TestFailurePolicies(t *testing.T) {
	run := func(o Options, fails func(x []float64) bool) *Search {
		s := newSearch(t, o)
		for s.Stop() == nil {
			for _, c := range s.Take(100) {
				if s.Stop() != nil {
					break
				}
				if err := s.Report(Evaluation{ID: c.ID, F: c.X[0] * c.X[0], Failed: fails(c.X)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		return s
	}
	half := func(x []float64) bool { return x[1] > 0 }
	if s := run(Options{Dim: 2, Seed: 3, MaxEvaluations: 400, Restarts: RestartNone}, func([]float64) bool { return true }); s.Stop()[0].Code != TooManyFailures {
		t.Errorf("an objective that always fails ended by %v", s.Stop())
	} else if s.Evaluations() > 6 {
		t.Errorf("an objective that always fails was tried %d times", s.Evaluations())
	}
	s := run(Options{Dim: 2, Seed: 3, X0: []float64{3, 1}, MaxEvaluations: 300, MaxFailureRate: 1}, half)
	if s.Best().X[1] > 0 || s.Failures() == 0 {
		t.Errorf("best %v with %d failures", s.Best(), s.Failures())
	}
	if s := run(Options{Dim: 2, Seed: 3, X0: []float64{3, 0}, OnFailure: FailureAbort}, half); s.Stop()[0].Code != TooManyFailures {
		t.Errorf("abort ended by %v", s.Stop())
	}
	if s := run(Options{Dim: 2, Seed: 3, X0: []float64{3, 0}, OnFailure: FailureResample, MaxEvaluations: 300, MaxFailureRate: 1}, half); s.Best().X[1] > 0 {
		t.Errorf("resampling: best %v", s.Best())
	}
}

func TestRestartLedger(t *testing.T) {
	rastrigin := function(t, "rastrigin", 3)
	for rule, least := range map[Restarts]int{RestartIPOP: 2, RestartBIPOP: 3} {
		s := newSearch(t, Options{Dim: 3, Seed: 5, MaxEvaluations: 30000, Restarts: rule, StartLower: []float64{-4, -4, -4}, StartUpper: []float64{4, 4, 4}})
		sizes := map[int]bool{}
		for s.Stop() == nil {
			if err := s.Tell(evaluateAll(rastrigin, s.Ask())); err != nil {
				t.Fatal(err)
			}
			sizes[s.PopSize()] = true
		}
		b := s.book
		if s.Restarts() < least {
			t.Errorf("%v: %d restarts", rule, s.Restarts())
		}
		if b.small+b.large+b.axes != b.spent || b.axes == 0 {
			t.Errorf("%v: ledger %+v, %d evaluations", rule, b, s.Evaluations())
		}
		if !sizes[7] || !sizes[14] {
			t.Errorf("%v: populations %v", rule, sizes)
		}
		if rule == RestartIPOP && s.Best().F > 1e-8 {
			t.Errorf("best value %v", s.Best().F)
		}
		if s.LastRun() == nil {
			t.Errorf("%v: no reason for the last run's end", rule)
		}
	}
	s := newSearch(t, Options{Dim: 2, Seed: 1, Restarts: RestartIPOP, MaxRestarts: 2})
	trace(t, s, whole(t))
	if s.Restarts() != 2 || s.Stop()[0].Code != RestartsUsed {
		t.Errorf("%d restarts, stopped by %v", s.Restarts(), s.Stop())
	}
}

// What doubles is the default population before it is rounded, 12.99 in 20 dimensions, or one that was asked for.
func TestPopulationsDouble(t *testing.T) {
	for asked, want := range map[int][]int{0: {12, 25, 51, 103}, 12: {12, 25, 51, 103}, 13: {13, 26, 52, 104}} {
		s := newSearch(t, Options{Dim: 20, PopSize: asked})
		got := []int{s.PopSize()}
		for range 3 {
			got = append(got, s.nextIPOP().lambda)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d: populations %v, want %v", asked, got, want)
		}
	}
}

// The population is the strategy's, which may have another one than was asked for, before and after restarts and after a resume.
func TestPopSizeIsTheStrategys(t *testing.T) {
	sphere := function(t, "sphere", 5)
	for _, info := range Strategies() {
		s := newSearch(t, Options{Dim: 5, Seed: 2, Strategy: info.Name, PopSize: 9, Restarts: RestartIPOP, MaxRestarts: 1, MaxEvaluations: 60000})
		for s.Stop() == nil {
			rows := s.Ask()
			if len(rows) != s.PopSize() {
				t.Fatalf("%s: %d candidates after %d restarts, PopSize says %d", info.Name, len(rows), s.Restarts(), s.PopSize())
			}
			if err := s.Tell(evaluateAll(sphere, rows)); err != nil {
				t.Fatal(err)
			}
		}
		if s.Restarts() != 1 {
			t.Errorf("%s: %d restarts, stopped by %v", info.Name, s.Restarts(), s.Stop())
		}
		state, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Restore(state); err != nil || again.PopSize() != s.PopSize() {
			t.Errorf("%s: resumed with %v, %v for %d", info.Name, again, err, s.PopSize())
		}
	}
}

func TestSearchAllocatesNothing(t *testing.T) {
	if allocs.Race {
		t.Skip("the race detector allocates")
	}
	for _, name := range []string{"plain", "tpa", "bounds", "fixed", "constraints", "integers", "penalty"} {
		o := variants()[name]
		o.MaxEvaluations, o.Restarts, o.Tuning.Tolerances = 0, RestartNone, never
		s := newSearch(t, o)
		values, g := make([]float64, 0, 64), make([][]float64, 0, 64)
		constraints := make([]float64, 64*max(1, o.Constraints))
		generation := func() {
			values, g = values[:0], g[:0]
			for k, x := range s.Ask() {
				f := 0.0
				for i, v := range x {
					f += float64(i+1) * v * v
				}
				values = append(values, f)
				if o.Constraints > 0 {
					row := constraints[k*o.Constraints : (k+1)*o.Constraints]
					for i := range row {
						row[i] = 1 - x[i]
					}
					g = append(g, row)
				}
			}
			if err := s.Tell(values, g...); err != nil {
				t.Fatal(err)
			}
		}
		for range 40 {
			generation()
		}
		if a := allocs.PerRun(50, generation); a != 0 {
			t.Errorf("%s: %v allocations a generation", name, a)
		}
	}
}

func TestBadOptions(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for want, o := range map[string]Options{
		"no variables":         {},
		"X0 has 2 values":      {Dim: 3, X0: []float64{1, 2}},
		"X0[1] is NaN":         {X0: []float64{1, nan}},
		"X0[0] = +Inf":         {X0: []float64{inf}},
		"outside [0, 1]":       {X0: []float64{2}, Lower: []float64{0}, Upper: []float64{1}},
		"not below":            {Lower: []float64{1}, Upper: []float64{1}},
		"Sigma0 = NaN":         {Dim: 1, Sigma0: nan},
		"Sigma0 = -1":          {Dim: 1, Sigma0: -1},
		"Scale[0] = -2":        {Scale: []float64{-2}},
		"Fixed names index 4":  {X0: []float64{1, 2}, Fixed: []int{4}},
		"twice":                {X0: []float64{1, 2}, Integers: []int{1, 1}},
		"all 1 variables":      {X0: []float64{1}, Fixed: []int{0}},
		"Fixed needs X0":       {Dim: 2, Fixed: []int{0}},
		"no integer in":        {Lower: []float64{0.2}, Upper: []float64{0.8}, Integers: []int{0}},
		"Dim is 1099511627776": {Dim: 1 << 40},
		"MaxEvaluations is -1: it may not be negative": {Dim: 1, MaxEvaluations: -1},
		"no strategy":           {Dim: 1, Strategy: "simplex"},
		"belong together":       {Dim: 1, StartLower: []float64{0}},
		"is not an interval":    {StartLower: []float64{2}, StartUpper: []float64{1}},
		"MaxFailureRate":        {Dim: 1, MaxFailureRate: 2},
		"Target is NaN":         {Dim: 1, Target: &nan},
		"population of 2":       {Dim: 1, PopSize: 1},
		"unknown restart rule":  {Dim: 1, Restarts: 9},
		"unknown bound rule":    {Dim: 1, Bounds: 9},
		"unknown failure":       {Dim: 1, OnFailure: 9},
		"unknown step-size":     {Dim: 1, Tuning: Tuning{StepSize: 7}},
		"Equalities names":      {Dim: 1, Constraints: 1, Equalities: []int{1}},
		"start region of":       {Lower: []float64{0}, Upper: []float64{1}, StartLower: []float64{-1}, StartUpper: []float64{1}},
		"Surrogate cannot":      {Dim: 1, Surrogate: true, Noise: true},
		"Surrogate needs":       {Dim: 2, Surrogate: true, Strategy: "snes"},
		"upper bound -Inf":      {Upper: []float64{math.Inf(-1)}},
		"Lower[0] is NaN":       {Lower: []float64{nan}},
		"is for many variables": {Dim: 2, Strategy: "vd-cma"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
}

func TestDamagedStates(t *testing.T) {
	s := newSearch(t, Options{Dim: 3, Seed: 1})
	s.Take(3)
	data, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for k := range data {
		bad := slices.Clone(data)
		bad[k] ^= 0x40
		if _, err := Restore(bad); err == nil {
			t.Fatalf("a state with byte %d changed was accepted", k)
		}
		if _, err := Restore(data[:k]); err == nil {
			t.Fatalf("the first %d bytes of a state were accepted", k)
		}
	}
}

func FuzzRestore(f *testing.F) {
	for _, o := range variants() {
		s, err := New(o)
		if err != nil {
			f.Fatal(err)
		}
		s.Take(2)
		data, err := s.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:len(data)-8])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := Restore(withChecksum(body))
		if err == nil {
			s.Ask()
		}
	})
}

func withChecksum(body []byte) []byte {
	a := &archive{buf: slices.Clone(body)}
	sum := checksum(body)
	a.word(&sum)
	return a.buf
}
