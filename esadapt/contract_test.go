package esadapt

import (
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/esadapt/bbob"
	"github.com/spdopt/spdopt/internal/allocs"
)

// byOrder switches off every test that looks at the size of values.
var byOrder = Tolerances{Fun: -1, FunHistory: -1, FunRel: -1, FlatFitness: -1}

func newTest(t testing.TB, name string, n int, tuning Tuning) (Strategy, *bbob.Function) {
	t.Helper()
	f := function(t, "f1", n)
	start := make([]float64, n)
	for i := range start {
		start[i] = 1 + 0.1*float64(i)
	}
	s, err := NewStrategy(name, Setup{Mean: start, Sigma: 0.5, Seed: 11, Tuning: tuning})
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

func step(t testing.TB, s Strategy, f func([]float64) float64) {
	t.Helper()
	x := s.Ask()
	v := make([]float64, len(x))
	for i := range x {
		v[i] = f(x[i])
	}
	if err := s.Tell(v); err != nil {
		t.Fatal(err)
	}
}

// minimum runs s until it stops and returns the best value and the number of evaluations.
func minimum(t testing.TB, s Strategy, f func([]float64) float64, limit int, target float64) (best float64, evaluations int) {
	t.Helper()
	best = math.Inf(1)
	for s.Stop() == nil && evaluations < limit && best > target {
		step(t, s, func(x []float64) float64 {
			v := f(x)
			best = min(best, v)
			evaluations++
			return v
		})
	}
	return best, evaluations
}

func eachStrategy(t *testing.T, run func(t *testing.T, name string)) {
	for _, info := range Strategies() {
		t.Run(info.Name, func(t *testing.T) { run(t, info.Name) })
	}
}

func TestStrategiesConverge(t *testing.T) {
	if allocs.Race {
		t.Skip("too slow")
	}
	eachStrategy(t, func(t *testing.T, name string) {
		for _, id := range []string{"sphere", "ellipsoid"} {
			for _, n := range []int{6, 10} {
				f := function(t, id, n)
				start := make([]float64, n)
				for i := range start {
					start[i] = 2
				}
				s, err := NewStrategy(name, Setup{Mean: start, Sigma: 0.7, Seed: 5, Tuning: Tuning{Tolerances: Tolerances{MaxGenerations: -1, Stagnation: -1}}})
				if err != nil {
					t.Fatal(err)
				}
				limit := 20000
				if id == "ellipsoid" {
					limit = 300000
				}
				if best, used := minimum(t, s, f.Eval, limit, 1e-8); best > 1e-8 {
					t.Errorf("%s n=%d: %.2e after %d evaluations, stopped by %v", id, n, best, used, s.Stop())
				}
			}
		}
	})
}

// The binary form holds the whole state: a copy continues with the same bits, whether taken before or after Ask.
func TestStrategiesResume(t *testing.T) {
	eachStrategy(t, func(t *testing.T, name string) {
		for _, after := range []bool{false, true} {
			a, f := newTest(t, name, 6, Tuning{})
			for range 37 {
				step(t, a, f.Eval)
			}
			if after {
				a.Ask()
			}
			data, err := a.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			b, _ := newTest(t, name, 6, Tuning{})
			if err := b.UnmarshalBinary(data); err != nil {
				t.Fatal(err)
			}
			for range 40 {
				if x, y := a.Ask(), b.Ask(); !slices.EqualFunc(x, y, slices.Equal) {
					t.Fatal("the copy samples other points")
				}
				step(t, a, f.Eval)
				step(t, b, f.Eval)
			}
			if len(data) > 8 && b.UnmarshalBinary(data[:len(data)-8]) == nil {
				t.Error("a truncated state was accepted")
			}
			c, _ := newTest(t, name, 7, Tuning{})
			if c.UnmarshalBinary(data) == nil {
				t.Error("a state of another dimension was accepted")
			}
		}
	})
}

// Only the order of values matters: any increasing transformation of f gives the same points, bit for bit.
func TestStrategiesSeeOnlyTheOrder(t *testing.T) {
	eachStrategy(t, func(t *testing.T, name string) {
		for _, info := range Strategies() {
			if info.Name == name && info.ByValue {
				t.Skip("looks at the values themselves")
			}
		}
		a, f := newTest(t, name, 5, Tuning{Tolerances: byOrder})
		b, _ := newTest(t, name, 5, Tuning{Tolerances: byOrder})
		shifted := func(x []float64) float64 { return f.Eval(x) - f.FOpt }
		for range 60 {
			step(t, a, shifted)
			step(t, b, func(x []float64) float64 { return math.Sqrt(shifted(x)) - 3 })
			if !slices.EqualFunc(a.Ask(), b.Ask(), slices.Equal) {
				t.Fatal("the trajectory depends on the size of the values")
			}
		}
	})
}

func TestStrategiesRefuse(t *testing.T) {
	eachStrategy(t, func(t *testing.T, name string) {
		s, f := newTest(t, name, 5, Tuning{})
		if s.Tell(nil) == nil {
			t.Error("Tell before Ask was accepted")
		}
		x := s.Ask()
		v := evaluateAll(f, x)
		if s.Tell(append(slices.Clone(v), 1)) == nil {
			t.Error("one value too many was accepted")
		}
		bad := slices.Clone(v)
		bad[0] = math.NaN()
		if s.Tell(bad) == nil {
			t.Error("NaN was accepted")
		}
		if y := s.Ask(); !slices.EqualFunc(x, y, slices.Equal) {
			t.Error("a refused Tell changed the sample")
		}
		worst := slices.Clone(v)
		for i := range worst {
			worst[i] = math.Inf(1)
		}
		if err := s.Tell(worst); err != nil {
			t.Errorf("a generation of +Inf: %v", err)
		}
		for _, x := range s.Ask() {
			if !finite(x...) {
				t.Errorf("after a generation of +Inf: sample %v", x)
			}
		}
		if _, err := NewStrategy(name, Setup{Mean: []float64{0, math.NaN()}, Sigma: 1}); err == nil {
			t.Error("NaN in the start was accepted")
		}
		if _, err := NewStrategy(name, Setup{Mean: []float64{0, 0}}); err == nil {
			t.Error("sigma 0 was accepted")
		}
	})
}

func TestStrategiesAllocateNothing(t *testing.T) {
	if allocs.Race {
		t.Skip("the race detector allocates")
	}
	eachStrategy(t, func(t *testing.T, name string) {
		s, f := newTest(t, name, 8, Tuning{Tolerances: Tolerances{X: -1}})
		values := make([]float64, len(s.Ask()))
		generation := func() {
			for i, x := range s.Ask() {
				values[i] = f.Eval(x)
			}
			if err := s.Tell(values); err != nil {
				t.Fatal(err)
			}
			if s.Stop() != nil {
				t.Fatal("stopped during the measurement")
			}
		}
		for range 10 {
			generation()
		}
		if a := allocs.PerRun(60, generation); a != 0 {
			t.Errorf("%v allocations a generation", a)
		}
	})
}

// What a distribution says about itself fits: a point at one deviation along an axis has distance 1 from the mean, and the squared axis lengths add up to the variances.
func TestDistributions(t *testing.T) {
	found := 0
	eachStrategy(t, func(t *testing.T, name string) {
		s, _ := newTest(t, name, 6, Tuning{})
		d, ok := s.(Distribution)
		if !ok {
			t.Skip("no distribution to look at")
		}
		found++
		f := function(t, "f10", 6)
		for range 150 {
			step(t, s, f.Eval)
		}
		sd := make([]float64, 6)
		d.Deviations(sd)
		var variance, axes float64
		for _, v := range sd {
			variance += v * v
		}
		for _, v := range d.AxisLengths(nil) {
			axes += v * v * d.Sigma() * d.Sigma()
		}
		if math.Abs(axes-variance) > 1e-9*variance {
			t.Errorf("squared axes add up to %v, variances to %v", axes, variance)
		}
		x := slices.Clone(d.Mean())
		if v := d.Mahalanobis(x); v != 0 {
			t.Errorf("distance of the mean %v", v)
		}
		if m, ok := s.(interface{ axis([]float64, int) }); ok {
			m.axis(x, 2)
			for j := range x {
				x[j] = d.Mean()[j] + d.Sigma()*x[j]
			}
			if v := d.Mahalanobis(x); math.Abs(v-1) > 1e-6 {
				t.Errorf("distance of a point on an axis %v", v)
			}
		}
	})
	if found < 5 {
		t.Errorf("%d distributions", found)
	}
}
