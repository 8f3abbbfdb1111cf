package esadapt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

var errNoObjective = errors.New("esadapt: the objective is nil")

// Result is the outcome of Minimize.
type Result struct {
	Best        Point
	Mean        []float64 // mean of the final distribution, in the variables of the objective
	Evaluations int
	Failures    int
	Generations int
	Restarts    int
	Reasons     []Reason // why the search ended; empty if the context did
	LastRun     []Reason // why the last complete run ended
}

// Minimize searches for a minimum of f: a loop of Ask and Tell. Evaluations that return an error count as failed. Workers > 1 evaluates
// a generation in that many goroutines, with the same result for any number. It returns ctx.Err() with the outcome so far when ctx ends.
func Minimize(ctx context.Context, f func(x []float64) (float64, error), o Options) (Result, error) {
	if o.Constraints > 0 {
		return Result{}, fmt.Errorf("esadapt: Minimize takes no constraints; use MinimizeConstrained")
	}
	if f == nil {
		return Result{}, errNoObjective
	}
	return MinimizeConstrained(ctx, func(x, _ []float64) (float64, error) { return f(x) }, o)
}

// MinimizeConstrained is Minimize for an objective that fills g with its o.Constraints constraint values as well.
func MinimizeConstrained(ctx context.Context, f func(x, g []float64) (float64, error), o Options) (Result, error) {
	if f == nil {
		return Result{}, errNoObjective
	}
	s, err := New(o)
	if err != nil {
		return Result{}, err
	}
	var values []float64
	var g [][]float64
	for s.Stop() == nil && ctx.Err() == nil {
		x := s.Ask()
		values = resize(values, len(x))
		for len(g) < len(x) {
			g = append(g, make([]float64, o.Constraints))
		}
		evaluate(ctx, f, o.Workers, x, values, g)
		if ctx.Err() != nil {
			break
		}
		told := g[:len(x)]
		if o.Constraints == 0 {
			told = nil
		}
		if err := s.Tell(values, told...); err != nil {
			return s.outcome(), err
		}
	}
	return s.outcome(), ctx.Err()
}

// evaluate fills values and g for the rows of x, with NaN where f failed.
func evaluate(ctx context.Context, f func(x, g []float64) (float64, error), workers int, x [][]float64, values []float64, g [][]float64) {
	one := func(i int) {
		v, err := f(x[i], g[i])
		if err != nil {
			v = math.NaN()
		}
		values[i] = v
	}
	if workers <= 1 || len(x) < 2 {
		for i := range x {
			if ctx.Err() != nil {
				return
			}
			one(i)
		}
		return
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(workers, len(x)) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(x) {
					return
				}
				one(i)
			}
		})
	}
	group.Wait()
}

func (s *Search) outcome() Result {
	return Result{
		Best: s.best, Mean: s.Mean(), Evaluations: s.evaluations, Failures: s.failures, Generations: s.generations,
		Restarts: s.book.run, Reasons: s.stop, LastRun: s.lastRun,
	}
}
