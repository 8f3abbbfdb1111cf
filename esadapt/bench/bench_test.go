package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/esadapt/bbob"
	"github.com/spdopt/spdopt/internal/allocs"
)

func run(t *testing.T, c Config) []Trial {
	t.Helper()
	trials, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return trials
}

// The published area of random search, uniform in [-5, 5]^n, on the suite at 1000 n evaluations is .146, .062 and .034 in 2, 5 and 10 dimensions.
func TestAreaOfRandomSearch(t *testing.T) {
	if allocs.Race {
		t.Skip("too slow")
	}
	for n, want := range map[int]float64{2: 0.146, 5: 0.062, 10: 0.034} {
		if got := Area(run(t, Config{Dims: []int{n}, Solver: RandomSearch}), 1000); math.Abs(got-want) > 0.012 {
			t.Errorf("n = %d: area %.3f, published %.3f", n, got, want)
		}
	}
}

// Expected running times of the default search on functions that need no restart, against those of the reference implementation (pycma 4.4.0, same starts
// and step size, five instances): within a factor of 2 each (restarts make single ones vary), and 1.1 in the geometric mean.
func TestEvaluationCounts(t *testing.T) {
	if allocs.Race {
		t.Skip("too slow")
	}
	published := map[string][2]float64{ // 5 and 10 dimensions
		"f1": {732, 1510}, "f2": {1390, 4010}, "f5": {57, 104}, "f6": {1770, 4300}, "f9": {2260, 5170}, "f10": {1530, 4250}, "f11": {1300, 3040},
		"f12": {2600, 9260}, "f13": {2320, 11100}, "f14": {1390, 3930},
	}
	var names []string
	for f := range published {
		names = append(names, f)
	}
	trials := run(t, Config{Functions: names, Dims: []int{5, 10}, Budget: 10000})
	for k, n := range []int{5, 10} {
		sum := 0.0
		for f, want := range published {
			ert, _ := ERT(Select(trials, n, f), 50)
			ratio := ert / want[k]
			sum += math.Log(ratio)
			if ratio > 2 {
				t.Errorf("%s, n = %d: %.0f evaluations, published %.0f", f, n, ert, want[k])
			}
		}
		if mean := math.Exp(sum / float64(len(published))); mean > 1.1 {
			t.Errorf("n = %d: mean ratio %.2f to the published numbers", n, mean)
		}
	}
}

func TestResultsDoNotDependOnWorkers(t *testing.T) {
	c := Config{Functions: []string{"f3", "f8"}, Dims: []int{3}, Budget: 200, Instances: []int{1, 2}}
	c.Workers = 1
	one := run(t, c)
	c.Workers = 4
	if four := run(t, c); !reflect.DeepEqual(one, four) {
		t.Error("one and four workers differ")
	}
}

func TestFilesAndComparison(t *testing.T) {
	c := Config{Functions: []string{"f1", "f8", "f24"}, Dims: []int{2, 3}, Budget: 1000}
	good := run(t, c)
	c.Options = esadapt.Options{Strategy: "snes"}
	poor := run(t, c)
	var buf bytes.Buffer
	if err := Write(&buf, "", "esadapt", good); err != nil {
		t.Fatal(err)
	}
	f, err := Read(&buf)
	if err != nil || !reflect.DeepEqual(f.Trials, good) {
		t.Errorf("read back differs: %v", err)
	}
	for _, bad := range []string{"", "{}", `{"schema":1,"suite":"bbob","trials":[{"Dim":2}]}`} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	for _, cmp := range Compare(good, poor) {
		if cmp.After >= cmp.Before {
			t.Errorf("n = %d: area %v after %v", cmp.Dim, cmp.After, cmp.Before)
		}
	}
	for _, cmp := range Compare(good, good) {
		if cmp.Ratio != 1 || cmp.Worst != 1 || cmp.After != cmp.Before || cmp.Lost != nil {
			t.Errorf("a result differs from itself: %+v", cmp)
		}
	}
	var table strings.Builder
	if err := Table(&table, good); err != nil {
		t.Fatal(err)
	}
	if s := table.String(); strings.Count(s, "\n") != 8 || !strings.Contains(s, "2 of 3") && !strings.Contains(s, "3 of 3") {
		t.Errorf("table:\n%s", s)
	}
	if a := GroupArea(good, 1000, bbob.Separable); a <= GroupArea(good, 1000, bbob.Weak) {
		t.Errorf("area of the sphere %v", a)
	}
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []Config{{Functions: []string{"f99"}}, {Budget: -1}, {Dims: []int{1}, Functions: []string{"f8"}}, {Suite: "bob"}, {Repeats: -1}, {Repeats: 1 << 40}} {
		if _, err := Run(context.Background(), c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Config{Dims: []int{2}}); err == nil {
		t.Error("a cancelled run returned no error")
	}
}

// Problems whose optimum lies on several constraints are solved to eight digits by feasible points.
func TestConstrainedSuite(t *testing.T) {
	if allocs.Race {
		t.Skip("too slow")
	}
	trials := run(t, Config{Suite: "bbob-constrained", Functions: []string{"c1", "c3", "c7", "c13", "c15", "c33", "c37", "c39"}, Dims: []int{5}, Instances: []int{1, 2}})
	if solved, rate := Solved(trials, len(Targets())-1); solved < 7 || rate < 0.7 {
		t.Errorf("%d of 8 functions solved, success rate %.2f", solved, rate)
	}
}

// Every suite runs from start to end, with bounds, integers, noise and constraints.
func TestSuites(t *testing.T) {
	for _, suite := range bbob.Suites() {
		c := Config{Suite: suite.Name, Dims: []int{5}, Instances: []int{1}, Budget: 20}
		trials := run(t, c)
		if len(trials) != len(suite.Functions) {
			t.Errorf("%s: %d trials", suite.Name, len(trials))
		}
		for _, r := range trials {
			if r.Evaluations == 0 || r.Evaluations > 100 || r.Hits[50] == 0 && r.Evaluations < 100 {
				t.Errorf("%s: %+v", suite.Name, r)
			}
		}
		c.Workers = 3
		if again := run(t, c); !reflect.DeepEqual(again, trials) {
			t.Errorf("%s: three workers give another result", suite.Name)
		}
	}
}

func TestRunningTimesAndProfile(t *testing.T) {
	hits := func(at ...int) []int { return append(make([]int, 51-len(at)), at...) }
	a := []Trial{{Function: "f1", Dim: 2, Budget: 200, Evaluations: 100, Hits: hits(40, 100)}, {Function: "f2", Dim: 2, Budget: 200, Evaluations: 200, Hits: hits()}}
	b := []Trial{{Function: "f1", Dim: 2, Budget: 200, Evaluations: 50, Hits: hits(50)}, {Function: "f2", Dim: 2, Budget: 200, Evaluations: 60, Hits: hits(60)}}
	if got, want := RunningTimes(a, 2), [][2]float64{{20, 1. / 102}, {50, 2. / 102}, {100, 2. / 102}}; !reflect.DeepEqual(got, want) {
		t.Errorf("running times %v, want %v", got, want)
	}
	want := [][][2]float64{{{2, 0.5}}, {{1, 1}}}
	if got := Profile(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("profile %v, want %v", got, want)
	}
}

// TestRepeats: the first trials of an instance are those of a run without repeats, the others start elsewhere, and noise differs too.
func TestRepeats(t *testing.T) {
	for _, suite := range []Config{{Functions: []string{"f1", "f8"}, Suite: "bbob"}, {Functions: []string{"f101"}, Suite: "bbob-noisy"}} {
		suite.Dims, suite.Instances, suite.Budget = []int{3}, []int{1, 2}, 100
		once := run(t, suite)
		suite.Repeats = 3
		var first []Trial
		hits := make(map[string]bool)
		all := run(t, suite)
		for _, trial := range all {
			if trial.Repeat == 0 {
				first = append(first, trial)
			}
			hits[fmt.Sprint(trial.Hits, trial.Best)] = true
		}
		if !reflect.DeepEqual(first, once) {
			t.Errorf("%s: the first repeats %v, without repeats %v", suite.Suite, first, once)
		}
		if len(all) != 3*len(once) || len(hits) != len(all) {
			t.Errorf("%s: %d trials after %d, %d different", suite.Suite, len(all), len(once), len(hits))
		}
	}
}

// TestRatiosHaveIntervals: an interval covers the true ratio of exponential running times about as often as it says, and is open where a result may have no success.
func TestRatiosHaveIntervals(t *testing.T) {
	const seed, truth, rounds = 11, 1.5, 100
	random := rand.New(rand.NewPCG(seed, 0))
	made := func(mean float64) (trials []Trial) {
		for range 40 {
			n := int(mean*random.ExpFloat64()) + 1
			hits := make([]int, len(Targets()))
			hits[len(hits)-1] = n
			trials = append(trials, Trial{Function: "f1", Dim: 2, Budget: 1 << 30, Evaluations: n, Hits: hits})
		}
		return trials
	}
	covered := 0
	for range rounds {
		r := ratio("f1", made(1e6), made(truth*1e6), len(Targets())-1)
		if !(r.Low < r.Ratio && r.Ratio < r.High) {
			t.Fatalf("seed %d: %+v", seed, r)
		}
		if r.Low <= truth && truth <= r.High {
			covered++
		}
	}
	if covered < 85 {
		t.Errorf("seed %d: %d of %d intervals hold the ratio", seed, covered, rounds)
	}
	never := made(1000)
	for i := range never[1:] {
		clear(never[i+1].Hits)
	}
	c := Compare(made(1000), never)[0].Functions[0]
	if !math.IsInf(c.High, 1) || c.Low <= 1 || c.Before != (Successes{40, 40}) || c.After != (Successes{1, 40}) {
		t.Errorf("one success of forty: %+v", c)
	}
	if c := Compare(never, made(1000))[0].Functions[0]; c.Low != 0 || c.High >= 1 {
		t.Errorf("one success of forty before: %+v", c)
	}
}

// TestInterruptedRunsGoOn: a run that ends after some trials, and one that begins with them, make every trial once, and together what one run makes.
func TestInterruptedRunsGoOn(t *testing.T) {
	c := Config{Functions: []string{"f1", "f8", "f15"}, Dims: []int{2, 3}, Instances: []int{1, 2}, Budget: 50, Workers: 2}
	want := run(t, c)
	var made []Trial
	failure := errors.New("enough")
	c.Done = func(trial Trial) error {
		made = append(made, trial)
		if len(made) == 5 {
			return failure
		}
		return nil
	}
	if _, err := Run(context.Background(), c); !errors.Is(err, failure) {
		t.Fatalf("error %v", err)
	}
	c.Made = slices.Clone(made)
	made = nil
	c.Done = func(trial Trial) error { made = append(made, trial); return nil }
	if got := run(t, c); !reflect.DeepEqual(got, want) {
		t.Errorf("in two parts %v, in one %v", got, want)
	}
	if len(made)+len(c.Made) != len(want) {
		t.Errorf("%d trials made, then %d, of %d", len(c.Made), len(made), len(want))
	}
}

// TestSolversThatCannot: a strategy that does not take a problem is an error of the run, as is what a solver returns.
func TestSolversThatCannot(t *testing.T) {
	c := Config{Functions: []string{"f1"}, Dims: []int{2}, Budget: 10, Options: esadapt.Options{Strategy: "vd-cma"}}
	if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "f1 in 2 dimensions") || !strings.Contains(err.Error(), "vd-cma") {
		t.Error(err)
	}
	c.Solver = func(*Task) error { return errors.New("no licence") }
	if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "no licence") {
		t.Error(err)
	}
}

// TestHandMade: tasks and trials that Run did not make are checked.
func TestHandMade(t *testing.T) {
	for _, task := range []*Task{nil, {}} {
		if Search(task) == nil || RandomSearch(task) == nil {
			t.Errorf("%+v was searched", task)
		}
	}
	if err := Table(io.Discard, []Trial{{Function: "f1"}}); err == nil || !strings.Contains(err.Error(), "trial 0 (f1)") {
		t.Error(err)
	}
}

// TestAreaOfTheSmallestBudget is a number.
func TestAreaOfTheSmallestBudget(t *testing.T) {
	trials, err := Run(context.Background(), Config{Functions: []string{"f1"}, Dims: []int{2}, Budget: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a := Area(trials, 1); !(a >= 0 && a <= 1) {
		t.Error(a)
	}
}
