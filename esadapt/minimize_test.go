package esadapt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"
)

// TestObjectiveMayChangeItsPoint: what an objective does to x, sorting it say, leaves the search alone.
func TestObjectiveMayChangeItsPoint(t *testing.T) {
	for _, workers := range []int{1, 3} {
		o := Options{Dim: 4, Seed: 5, MaxEvaluations: 300, Workers: workers}
		f := func(x []float64) (float64, error) {
			return x[0]*x[0] + 2*x[1]*x[1] + 3*x[2]*x[2] + 4*x[3]*x[3] - x[0], nil
		}
		want, err := Minimize(t.Context(), f, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Minimize(t.Context(), func(x []float64) (float64, error) {
			v, err := f(x)
			slices.Sort(x)
			clear(x[1:])
			return v, err
		}, o)
		if err != nil || !slices.Equal(got.Best.X, want.Best.X) || got.Best.F != want.Best.F {
			t.Errorf("%d workers: %v, want %v: %v", workers, got.Best, want.Best, err)
		}
	}
}

// TestFailureIsKept: the result has what the objective said last, whatever the number of workers.
func TestFailureIsKept(t *testing.T) {
	licence := errors.New("no licence")
	var said []string
	for _, workers := range []int{1, 4} {
		r, err := Minimize(t.Context(), func(x []float64) (float64, error) { return 0, fmt.Errorf("%v: %w", x, licence) }, Options{Dim: 3, Seed: 1, Workers: workers})
		if err != nil || !errors.Is(r.Failure, licence) || r.Reasons[0].Code != TooManyFailures {
			t.Fatalf("%+v %v", r, err)
		}
		said = append(said, r.Failure.Error())
	}
	if said[0] != said[1] {
		t.Errorf("one worker %q, four %q", said[0], said[1])
	}
	r, err := Minimize(t.Context(), func(x []float64) (float64, error) { return x[0] * x[0], nil }, Options{Dim: 1, MaxEvaluations: 50})
	if err != nil || r.Failure != nil {
		t.Errorf("without failures: %v %v", r.Failure, err)
	}
}

// TestConstraintsLeftOut: a constraint value that the objective forgets makes a failed evaluation, not that of the point before.
func TestConstraintsLeftOut(t *testing.T) {
	calls := 0
	r, err := MinimizeConstrained(t.Context(), func(x, g []float64) (float64, error) {
		g[0] = -1
		if calls++; calls%5 != 0 {
			g[1] = x[0]
		}
		return x[0] * x[0], nil
	}, Options{Dim: 2, Constraints: 2, Seed: 2, MaxEvaluations: 100})
	if err != nil || r.Failures != 20 {
		t.Errorf("%d failures, want 20: %v", r.Failures, err)
	}
}

// TestCancelledGeneration: what was evaluated of a generation when the context ends counts; what the context ended does not.
func TestCancelledGeneration(t *testing.T) {
	for _, workers := range []int{1, 3} {
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int64
		best := math.Inf(1)
		r, err := Minimize(ctx, func(x []float64) (float64, error) {
			n := calls.Add(1)
			if n == 23 { // in the third generation of ten
				cancel()
			}
			if n >= 23 {
				return 0, fmt.Errorf("stopped: %w", ctx.Err())
			}
			f := x[0]*x[0] + 3*x[1]*x[1] + 1/float64(n)
			if workers == 1 {
				best = min(best, f)
			}
			return f, nil
		}, Options{Dim: 2, Seed: 4, PopSize: 10, Workers: workers})
		if !errors.Is(err, context.Canceled) || r.Evaluations != 22 || r.Failures != 0 || r.Failure != nil || r.Generations != 2 {
			t.Errorf("%d workers: %+v %v", workers, r, err)
		}
		if workers == 1 && r.Best.F != best {
			t.Errorf("the best value is %v, want %v", r.Best.F, best)
		}
	}
}
