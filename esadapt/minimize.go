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
	Mean        []float64 // mean of the final distribution, in the variables of the objective; nil if the strategy has none
	Evaluations int
	Failures    int
	Failure     error // the last error that the objective returned, in the order of the candidates
	Generations int
	Restarts    int
	Reasons     []Reason // why the search ended; empty if the context did
	LastRun     []Reason // why the last complete run ended
}

// Minimize searches for a minimum of f: a loop of Ask and Tell. Evaluations that return an error count as failed. Workers > 1 evaluates
// a generation in that many goroutines, with the same result for any number. When ctx ends it returns ctx.Err() with the outcome so far, the evaluations
// of an incomplete generation included, but for those whose error is that of ctx. x is f's own until it returns: f may change it, but keeps a copy.
func Minimize(ctx context.Context, f func(x []float64) (float64, error), o Options) (Result, error) {
	if o.Constraints > 0 {
		return Result{}, fmt.Errorf("esadapt: Minimize takes no constraints; use MinimizeConstrained")
	}
	if f == nil {
		return Result{}, errNoObjective
	}
	return MinimizeConstrained(ctx, func(x, _ []float64) (float64, error) { return f(x) }, o)
}

// MinimizeConstrained is Minimize for an objective that fills g with its o.Constraints constraint values as well; one that it leaves out
// makes the evaluation a failed one.
func MinimizeConstrained(ctx context.Context, f func(x, g []float64) (float64, error), o Options) (Result, error) {
	if f == nil {
		return Result{}, errNoObjective
	}
	s, err := New(o)
	if err != nil {
		return Result{}, err
	}
	e := evaluator{f: f, workers: max(1, o.Workers), constraints: o.Constraints}
	for s.Stop() == nil && ctx.Err() == nil {
		x := s.Ask()
		e.evaluate(ctx, x)
		if ctx.Err() != nil {
			if err = e.report(s); err == nil && s.Stop() == nil {
				err = ctx.Err()
			}
			return s.outcome(e.failure), err
		}
		told := e.g[:len(x)]
		if o.Constraints == 0 {
			told = nil
		}
		if err := s.Tell(e.values, told...); err != nil {
			return s.outcome(e.failure), err
		}
	}
	return s.outcome(e.failure), ctx.Err()
}

// evaluator calls the objective for the rows of a generation.
type evaluator struct {
	f                    func(x, g []float64) (float64, error)
	workers, constraints int
	values               []float64
	g                    [][]float64 // as many rows as the largest generation had
	errs                 []error
	made                 []bool      // evaluations that came to an end
	points               [][]float64 // what the objective is given, one for each worker
	failure              error       // the last of errs that is not nil, of all generations
}

// evaluate fills values and g for the rows of x, with NaN where f failed.
func (e *evaluator) evaluate(ctx context.Context, x [][]float64) {
	e.values, e.errs, e.made = resize(e.values, len(x)), resize(e.errs, len(x)), resize(e.made, len(x))
	for len(e.g) < len(x) {
		e.g = append(e.g, make([]float64, e.constraints))
	}
	for len(e.points) < min(e.workers, len(x)) {
		e.points = append(e.points, make([]float64, len(x[0])))
	}
	clear(e.errs)
	clear(e.made)
	e.run(ctx, x)
	for i, err := range e.errs {
		if err != nil && errors.Is(err, ctx.Err()) {
			e.made[i], err = false, nil // not the point's fault
		}
		if err != nil {
			e.failure = err
		}
	}
}

// report tells the search what was made of a generation whose rest is not wanted.
func (e *evaluator) report(s *Search) error {
	for i, c := range s.Pending() {
		if !e.made[i] || s.Stop() != nil {
			continue
		}
		if err := s.Report(Evaluation{ID: c.ID, F: e.values[i], G: e.g[i]}); err != nil {
			return err
		}
	}
	return nil
}

// run calls f for every row, in as many goroutines as there are workers.
func (e *evaluator) run(ctx context.Context, x [][]float64) {
	var next atomic.Int64
	work := func(point []float64) {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= len(x) {
				return
			}
			copy(point, x[i])
			e.one(i, point)
		}
	}
	var group sync.WaitGroup
	for _, point := range e.points[1:min(e.workers, len(x))] {
		group.Go(func() { work(point) })
	}
	work(e.points[0])
	group.Wait()
}

// one evaluates row i at point. Constraint values begin as NaN, so that none of an earlier point stands for one that f leaves out.
func (e *evaluator) one(i int, point []float64) {
	for k := range e.g[i] {
		e.g[i][k] = math.NaN()
	}
	e.values[i], e.errs[i] = e.f(point, e.g[i])
	if e.errs[i] != nil {
		e.values[i] = math.NaN()
	}
	e.made[i] = true
}

func (s *Search) outcome(failure error) Result {
	return Result{
		Best: s.best, Mean: s.Mean(), Evaluations: s.evaluations, Failures: s.failures, Failure: failure, Generations: s.generations,
		Restarts: s.book.run, Reasons: s.stop, LastRun: s.lastRun,
	}
}
