// Package bench runs searches on the suites of the BBOB testbed and condenses the outcome: expected running times, the distribution of running times,
// and the area below it, by which two optimizers, or two versions of one, are compared. What is computed from trials expects those of Run or Read, each with a hit for every one of Targets.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/esadapt/bbob"
)

// Targets are the 51 precisions f - f_opt that a trial is measured at: 100, ..., 1e-8, five for each power of ten.
func Targets() []float64 {
	t := make([]float64, 51)
	for k := range t {
		t[k] = math.Pow(10, 2-float64(k)/5)
	}
	return t
}

// Config says what to run.
type Config struct {
	Suite     string   // name of one of bbob.Suites; "" means "bbob"
	Functions []string // IDs; nil means all functions of the suite
	Dims      []int    // nil means those of the suite
	Instances []int    // nil means 1 to 5
	Repeats   int      // trials of each instance, with starts and seeds of their own; 0 means 1
	// Budget is the number of evaluations per variable of a trial; 0 means 1000.
	Budget int
	// Solver searches; nil means Search.
	Solver  Solver
	Workers int // trials at once; 0 means all processors. The results do not depend on it
	// Options are the options of Search; start, seed, budget and target are filled in for each trial.
	Options esadapt.Options
	Made    []Trial           // trials of an earlier, interrupted run of the same configuration: they are not made again
	Done    func(Trial) error // called with each trial that is made, one at a time; an error ends the run. nil does nothing
}

// Solver works on a task until its Eval says that it is over. An error ends the whole run.
type Solver func(t *Task) error

// Task is what a solver is given.
type Task struct {
	Function *bbob.Function // bounds, integers, number of constraints
	X0       []float64      // the start
	Seed     uint64
	Budget   int
	Options  esadapt.Options // of the configuration
	// Eval returns what a searcher sees at x, and false once the trial is over; g receives the values of the constraints.
	Eval func(x, g []float64) (f float64, more bool)
}

// Trial is the outcome of one run on one instance.
type Trial struct {
	Function    string
	Dim         int
	Instance    int
	Repeat      int `json:",omitempty"` // counts the trials of the instance from 0
	Budget      int
	Evaluations int     // spent, up to the first value at the last target
	Hits        []int   // evaluations at the first value at each target, 0 for a target not reached
	Best        float64 // lowest f - f_opt of a feasible point; MaxFloat64 if there was none
}

// Run makes all trials. The error says what is wrong with the configuration, or that ctx ended.
func Run(ctx context.Context, c Config) ([]Trial, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	var trials []Trial
	for _, n := range c.Dims {
		for _, id := range c.Functions {
			for _, i := range c.Instances {
				for r := range c.Repeats {
					trials = append(trials, Trial{Function: id, Dim: n, Instance: i, Repeat: r, Budget: c.Budget * n})
				}
			}
		}
	}
	errs := make([]error, len(trials))
	var next atomic.Int64
	var group sync.WaitGroup
	var told sync.Mutex
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	for range min(c.Workers, len(trials)) {
		group.Go(func() {
			for inner.Err() == nil {
				k := int(next.Add(1)) - 1
				if k >= len(trials) {
					return
				}
				if trials[k].made(c.Made) {
					continue
				}
				errs[k] = trials[k].run(inner, &c)
				if errs[k] == nil && inner.Err() == nil && c.Done != nil {
					told.Lock()
					errs[k] = c.Done(trials[k])
					told.Unlock()
				}
				if errs[k] != nil {
					cancel()
				}
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return trials, ctx.Err()
}

func lookupSuite(name string) (bbob.SuiteInfo, error) {
	var names []string
	for _, s := range bbob.Suites() {
		if s.Name == name || name == "" {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return bbob.SuiteInfo{}, fmt.Errorf("bench: no suite %q; there are %s", name, strings.Join(names, ", "))
}

// mostTrials bounds what a run holds.
const mostTrials = 1 << 22

func (c *Config) fill() error {
	suite, err := lookupSuite(c.Suite)
	if err != nil {
		return err
	}
	if c.Functions == nil {
		for _, d := range suite.Functions {
			c.Functions = append(c.Functions, d.ID)
		}
	}
	if c.Dims == nil {
		c.Dims = suite.Dims
	}
	if c.Instances == nil {
		c.Instances = []int{1, 2, 3, 4, 5}
	}
	if c.Budget == 0 {
		c.Budget = 1000
	}
	c.Repeats = cmp.Or(c.Repeats, 1)
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Solver == nil {
		c.Solver = Search
	}
	if c.Budget < 0 || c.Workers < 0 || c.Repeats < 0 {
		return fmt.Errorf("bench: budget %d, workers %d and repeats %d must be positive", c.Budget, c.Workers, c.Repeats)
	}
	if all := float64(len(c.Dims)*len(c.Functions)*len(c.Instances)) * float64(c.Repeats); all > mostTrials {
		return fmt.Errorf("bench: %.3g trials, want at most %d; repeats is %d", all, mostTrials, c.Repeats)
	}
	for _, id := range c.Functions {
		if _, err := bbob.Lookup(id); err != nil {
			return err
		}
	}
	return nil
}

// made takes over the outcome of the same trial, if there is one.
func (t *Trial) made(before []Trial) bool {
	for _, b := range before {
		if b.Function == t.Function && b.Dim == t.Dim && b.Instance == t.Instance && b.Repeat == t.Repeat && b.Budget == t.Budget {
			*t = b
			return true
		}
	}
	return false
}

func (t *Trial) run(ctx context.Context, c *Config) error {
	d, err := bbob.Lookup(t.Function)
	if err != nil {
		return err
	}
	f, err := d.New(t.Dim, t.Instance)
	if err != nil {
		return err
	}
	targets := Targets()
	t.Hits = make([]int, len(targets))
	t.Best = math.MaxFloat64
	reached := 0
	eval := func(x, g []float64) (float64, bool) {
		v := f.Eval(x)
		f.Constrain(x, g)
		t.Evaluations++
		if feasible(g) {
			t.Best = min(t.Best, v-f.FOpt)
		}
		for reached < len(targets) && t.Best <= targets[reached] {
			t.Hits[reached] = t.Evaluations
			reached++
		}
		if f.IsNoisy() {
			v = f.Measure(x, uint64(t.Repeat)<<40+uint64(t.Instance)<<20+uint64(t.Evaluations))
		}
		return v, reached < len(targets) && t.Evaluations < t.Budget && ctx.Err() == nil
	}
	seed := uint64(t.Repeat)<<48 + uint64(t.Instance)<<32 + uint64(t.Dim)
	if err := c.Solver(&Task{Function: f, X0: t.start(f, seed), Seed: seed, Budget: t.Budget, Options: c.Options, Eval: eval}); err != nil {
		return fmt.Errorf("%s in %d dimensions: %w", t.Function, t.Dim, err)
	}
	return nil
}

func feasible(g []float64) bool {
	for _, v := range g {
		if v > 0 {
			return false
		}
	}
	return true
}

// start is the testbed's own, or else uniform in the middle 80 % of the region of interest or of the box.
func (t *Trial) start(f *bbob.Function, seed uint64) []float64 {
	if f.X0 != nil {
		return f.X0
	}
	random := rand.New(rand.NewPCG(seed, uint64(len(t.Function))))
	x0 := make([]float64, t.Dim)
	for i := range x0 {
		low, high := f.Lower, f.Upper
		if f.BoxLower != nil {
			low, high = f.BoxLower[i], f.BoxUpper[i]
		}
		x0[i] = low + (high-low)*(0.1+0.8*random.Float64())
	}
	return x0
}

// check reports a task that Run did not make.
func (t *Task) check() error {
	if t == nil || t.Function == nil || t.Eval == nil {
		return errors.New("bench: a task needs a function and its evaluation; Run makes them")
	}
	return nil
}

// Search is the solver under test: an esadapt.Search with the options of the task. It starts from X0 with sigma0 = 2 and restarts from points of [-4, 4]^n; where there are
// bounds, sigma0 is 0.3 of their distance.
func Search(t *Task) error {
	if err := t.check(); err != nil {
		return err
	}
	f, o := t.Function, t.Options
	o.X0, o.Seed, o.MaxEvaluations = t.X0, t.Seed, t.Budget
	o.Constraints, o.Integers = f.Constraints, f.Integers
	if f.BoxLower != nil {
		o.Lower, o.Upper = f.BoxLower, f.BoxUpper
	} else {
		if o.Sigma0 == 0 {
			o.Sigma0 = 2
		}
		o.StartLower, o.StartUpper = slices.Repeat([]float64{-4}, f.Dim), slices.Repeat([]float64{4}, f.Dim)
	}
	s, err := esadapt.New(o)
	if err != nil {
		return err
	}
	var values []float64
	var g [][]float64
	for s.Stop() == nil {
		values, g = values[:0], g[:0]
		for _, x := range s.Ask() {
			row := make([]float64, f.Constraints)
			v, more := t.Eval(x, row)
			if !more {
				return nil
			}
			values = append(values, v)
			if f.Constraints > 0 {
				g = append(g, row)
			}
		}
		if err := s.Tell(values, g...); err != nil {
			return err
		}
	}
	return nil
}

// RandomSearch draws uniformly from [-5, 5]^n.
func RandomSearch(t *Task) error {
	if err := t.check(); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(t.Seed, 77))
	x := make([]float64, t.Function.Dim)
	for more := true; more; {
		for i := range x {
			x[i] = -5 + 10*random.Float64()
		}
		_, more = t.Eval(x, make([]float64, t.Function.Constraints))
	}
	return nil
}
