// Package bench measures the problems of package problem on data of the benchmark recipes: every problem of the registry, any sizes, conditions and
// methods. It is what "spdopt bench spd" runs.
package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
)

// Config says what to measure; the zero value is every problem by its default method at n = 10 and 50, condition 1e2 and 1e6.
type Config struct {
	Problems []string  // names; nil means all
	Sizes    []int     // orders n; nil means 10 and 50
	Kappas   []float64 // conditions of the data; nil means 1e2 and 1e6
	All      bool      // every method of a problem in place of the default one
	Repeats  int       // runs of which the least time counts; 0 means 3
	// MaxTime ends a run; 0 means 20 s. It is not run again then.
	MaxTime time.Duration
	// Tolerance is that of problem.Options; 0 means its default.
	Tolerance float64
}

// Entry is the outcome for one problem, size, condition and method.
type Entry struct {
	Problem, Method       string
	N                     int
	Kappa                 float64
	Count                 int     // matrices or samples
	CPU                   float64 // processor seconds of the process, all threads, the least of the repeats
	Wall                  float64 // seconds by the clock, the least of the repeats
	Product               float64 // processor seconds of one product of n x n matrices in the same run
	Converged             bool
	Reason                string
	Iterations            int
	Evaluations, Products int
	Relative              float64 // relative gradient
	Certificate           solve.Certificate
	Error                 string // why there is no result; empty if there is
}

func (c *Config) fill() error {
	if c.Problems == nil {
		for _, p := range problem.List() {
			c.Problems = append(c.Problems, p.Name)
		}
	}
	for _, name := range c.Problems {
		if _, err := problem.ByName(name); err != nil {
			return err
		}
	}
	if c.Sizes == nil {
		c.Sizes = []int{10, 50}
	}
	if c.Kappas == nil {
		c.Kappas = []float64{1e2, 1e6}
	}
	if c.Repeats == 0 {
		c.Repeats = 3
	}
	if c.MaxTime == 0 {
		c.MaxTime = 20 * time.Second
	}
	for _, n := range c.Sizes {
		if n < 2 || n > 4096 {
			return fmt.Errorf("bench: size %d, want 2 to 4096", n)
		}
	}
	for _, k := range c.Kappas {
		if !(k >= 1 && k <= 1e12) {
			return fmt.Errorf("bench: condition %v, want 1 to 1e12", k)
		}
	}
	if c.Repeats < 0 || c.MaxTime < 0 {
		return fmt.Errorf("bench: Repeats is %d and MaxTime %v, want them positive", c.Repeats, c.MaxTime)
	}
	return nil
}

// Run measures one case after the other; report, if not nil, is given each entry when it is known. Sizes beyond what the recipe of a problem is
// meant for are left out. It returns early, with what it has, when ctx ends.
func Run(ctx context.Context, c Config, report func(Entry)) ([]Entry, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	var all []Entry
	product := map[int]float64{}
	for _, n := range c.Sizes {
		product[n] = productTime(n)
	}
	for _, name := range c.Problems {
		p, err := problem.ByName(name)
		if err != nil {
			return nil, err
		}
		r := recipes[name]
		for _, kappa := range c.Kappas {
			for _, n := range c.Sizes {
				if n > r.largest {
					continue
				}
				if ctx.Err() != nil {
					return all, nil
				}
				d, o := r.make(n, kappa)
				for k, method := range p.Methods() {
					if k > 0 && !c.All {
						break
					}
					o.Method = method
					e := measure(ctx, p, d, o, &c)
					if ctx.Err() != nil {
						return all, nil
					}
					e.N, e.Kappa, e.Product = n, kappa, product[n]
					all = append(all, e)
					if report != nil {
						report(e)
					}
				}
			}
			if r.plain {
				break
			}
		}
	}
	return all, nil
}

// measure runs the problem as often as the configuration says.
func measure(ctx context.Context, p problem.Problem, d problem.Data, o problem.Options, c *Config) Entry {
	e := Entry{Problem: p.Name, Method: o.Method, CPU: math.Inf(1), Wall: math.Inf(1)}
	o.Solver.Tolerance, o.Solver.MaxTime, o.Solver.MaxIterations = c.Tolerance, c.MaxTime, 100000
	o.Solver.Callback = func(*solve.Status) bool { return ctx.Err() != nil }
	for range c.Repeats {
		before, _ := cputime.Seconds()
		start := time.Now()
		r, err := p.Solve(d, &o)
		wall := time.Since(start).Seconds()
		after, _ := cputime.Seconds()
		if err != nil {
			e.CPU, e.Wall, e.Error = 0, 0, err.Error()
			return e
		}
		e.CPU, e.Wall = min(e.CPU, after-before), min(e.Wall, wall)
		e.Count, e.Converged, e.Reason, e.Iterations, e.Evaluations, e.Products = r.Count, r.Converged, r.Reason, r.Iterations, r.Evaluations, r.HessianProducts
		e.Relative, e.Certificate = r.RelativeGradient, r.Certificate
		if r.Seconds > c.MaxTime.Seconds()/4 {
			break
		}
	}
	return e
}

// PerIteration returns the processor time of an iteration, everything else of the run included, in products of n x n matrices; for a problem that is a sum over
// matrices, for each of them. It is 0 where the method does not iterate.
func (e *Entry) PerIteration() float64 {
	if e.Iterations == 0 || e.Product == 0 {
		return 0
	}
	t := e.CPU / e.Product / float64(e.Iterations)
	if recipes[e.Problem].sum {
		t /= float64(e.Count)
	}
	return t
}

// productTime returns the processor seconds of one product of n x n matrices, the least of a few.
func productTime(n int) float64 {
	s := gallery.NewStream(uint64(n))
	a, b, c := s.Normals(n, n), s.Normals(n, n), dense.New[float64](n, n)
	calls := 1 + int(2e7/float64(n)/float64(n)/float64(n))
	least := math.Inf(1)
	for range 5 {
		before, _ := cputime.Seconds()
		for range calls {
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, b, 0, c)
		}
		after, _ := cputime.Seconds()
		least = min(least, (after-before)/float64(calls))
	}
	return least
}

// Names returns the problems that have a recipe, in the order of the registry.
func Names() (names []string) {
	for _, p := range problem.List() {
		if _, ok := recipes[p.Name]; ok {
			names = append(names, p.Name)
		}
	}
	return slices.Clip(names)
}
