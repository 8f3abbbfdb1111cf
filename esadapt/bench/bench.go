// Package bench runs searches on the BBOB functions and condenses the outcome: expected running times, the distribution of running times,
// and the area below it, by which two optimizers, or two versions of one, are compared.
package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
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
	Functions []string // IDs; nil means the 24 functions of the suite
	Dims      []int    // nil means 2, 5, 10
	Instances []int    // nil means 1 to 5
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

// Solver minimizes f, which returns false once the trial is over, from the given start.
type Solver func(f func(x []float64) (float64, bool), x0 []float64, seed uint64, budget int, c *Config)

// Trial is the outcome of one run on one instance.
type Trial struct {
	Function    string
	Dim         int
	Instance    int
	Budget      int
	Evaluations int   // spent, up to the first value at the last target
	Hits        []int // evaluations at the first value at each target, 0 for a target not reached
	Best        float64
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
				trials = append(trials, Trial{Function: id, Dim: n, Instance: i, Budget: c.Budget * n})
			}
		}
	}
	errs := make([]error, len(trials))
	var next atomic.Int64
	var group sync.WaitGroup
	var told sync.Mutex
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	for range c.Workers {
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

func (c *Config) fill() error {
	if c.Functions == nil {
		for _, d := range bbob.Suite() {
			c.Functions = append(c.Functions, d.ID)
		}
	}
	if c.Dims == nil {
		c.Dims = []int{2, 5, 10}
	}
	if c.Instances == nil {
		c.Instances = []int{1, 2, 3, 4, 5}
	}
	if c.Budget == 0 {
		c.Budget = 1000
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Solver == nil {
		c.Solver = Search
	}
	if c.Budget < 0 || c.Workers < 0 {
		return fmt.Errorf("bench: budget %d and workers %d must be positive", c.Budget, c.Workers)
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
		if b.Function == t.Function && b.Dim == t.Dim && b.Instance == t.Instance && b.Budget == t.Budget {
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
	t.Best = math.Inf(1)
	reached := 0
	eval := func(x []float64) (float64, bool) {
		v := f.Eval(x)
		t.Evaluations++
		t.Best = min(t.Best, v-f.FOpt)
		for reached < len(targets) && t.Best <= targets[reached] {
			t.Hits[reached] = t.Evaluations
			reached++
		}
		return v, reached < len(targets) && t.Evaluations < t.Budget && ctx.Err() == nil
	}
	seed := uint64(t.Instance)<<32 + uint64(t.Dim)
	random := rand.New(rand.NewPCG(seed, uint64(len(t.Function))))
	x0 := make([]float64, t.Dim)
	for i := range x0 {
		x0[i] = f.Lower + (f.Upper-f.Lower)*(0.1+0.8*random.Float64())
	}
	c.Solver(eval, x0, seed, t.Budget, c)
	return nil
}

// Search is the solver under test: an esadapt.Search with sigma0 = 2, restarts from points of [-4, 4]^n, and the options of the configuration.
func Search(f func(x []float64) (float64, bool), x0 []float64, seed uint64, budget int, c *Config) {
	o := c.Options
	o.X0, o.Seed, o.MaxEvaluations = x0, seed, budget
	if o.Sigma0 == 0 {
		o.Sigma0 = 2
	}
	o.StartLower, o.StartUpper = make([]float64, len(x0)), make([]float64, len(x0))
	for i := range x0 {
		o.StartLower[i], o.StartUpper[i] = -4, 4
	}
	s, err := esadapt.New(o)
	if err != nil {
		panic(err)
	}
	var values []float64
	for s.Stop() == nil {
		values = values[:0]
		for _, x := range s.Ask() {
			v, more := f(x)
			if !more {
				return
			}
			values = append(values, v)
		}
		if err := s.Tell(values); err != nil {
			panic(err)
		}
	}
}

// RandomSearch draws uniformly from [-5, 5]^n.
func RandomSearch(f func(x []float64) (float64, bool), x0 []float64, seed uint64, _ int, _ *Config) {
	random := rand.New(rand.NewPCG(seed, 77))
	x := make([]float64, len(x0))
	for more := true; more; {
		for i := range x {
			x[i] = -5 + 10*random.Float64()
		}
		_, more = f(x)
	}
}
