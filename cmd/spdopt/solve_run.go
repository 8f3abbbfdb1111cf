package main

import (
	"encoding/json"
	"slices"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
)

// solveKind names the states of solve.
const solveKind = "solve"

// solveKeeper keeps a run of solve. Methods that do not resume (problem.Problem.Resumes) begin again, and end with the same bits all the same.
type solveKeeper struct {
	*keeper
	a     *app
	noted int // last iteration in the journal
	err   error
}

func (a *app) keepSolve(cmd *cobra.Command, f *solveFlags, p problem.Problem, o *problem.Options, more []string) (*solveKeeper, error) {
	k := &solveKeeper{a: a}
	if f.keep.dir != "" && slices.Contains(append(slices.Clone(f.paths), more...), "-") {
		return nil, usagef("--run needs the data in files: standard input can't be read again")
	}
	var err error
	if k.keeper, err = a.keep(cmd, append([]string{p.Name}, more...), &f.keep, "solve-"+p.Name, f.seed, false); err != nil || k.keeper == nil {
		return k, err
	}
	if k.run.Resumed() {
		a.note("going on with %s", k.dir())
		for e, err := range k.run.Tail("iter") {
			var iter struct{ Iteration int }
			if err == nil {
				err = json.Unmarshal(e.Raw, &iter)
			}
			if err != nil {
				return nil, err
			}
			k.noted = max(k.noted, iter.Iteration)
		}
	}
	if !p.Resumes(o) {
		return k, nil
	}
	data, err := k.state(solveKind)
	if err != nil {
		return nil, err
	}
	if data != nil {
		o.Solver.Restore = new(solve.State)
		if err := o.Solver.Restore.UnmarshalBinary(data); err != nil {
			return nil, err
		}
	}
	o.Solver.Checkpoint = func(s *solve.State) error {
		if !k.due() && a.ctx.Err() == nil {
			return nil
		}
		data, err := s.MarshalBinary()
		if err != nil {
			return err
		}
		return k.checkpoint(solveKind, 0, data)
	}
	return k, nil
}

// attach lets the iterations of a solver that runs beside the command go to the run, and be shown.
func (k *solveKeeper) attach(o *problem.Options, g *guard, progress *progressLine) {
	o.Solver.Callback = func(s *solve.Status) bool {
		stop := true
		g.touch(func() {
			progress.show("iteration %d  objective %.10g  gradient %.3g", s.Iteration, s.Cost, s.GradientNorm)
			stop = k.iterated(s) || k.a.ctx.Err() != nil
		})
		return stop
	}
	if store := o.Solver.Checkpoint; store != nil {
		o.Solver.Checkpoint = func(s *solve.State) (err error) {
			g.touch(func() { err = store(s) })
			return err
		}
	}
}

// iterated notes an iteration; true means that this failed.
func (k *solveKeeper) iterated(s *solve.Status) bool {
	if s.Iteration <= k.noted || k.err != nil || k.keeper == nil && !k.a.jsonl {
		return k.err != nil
	}
	k.noted = s.Iteration
	fields := map[string]any{"iteration": s.Iteration, "objective": num(s.Cost), "gradient_norm": num(s.GradientNorm), "evaluations": s.Evaluations}
	if k.err = k.event("iter", fields); k.err == nil {
		k.err = k.a.stream("iter", fields)
	}
	return k.err != nil
}

// failed returns what went wrong with noting iterations.
func (k *solveKeeper) failed() error { return k.err }

func (k *solveKeeper) finishSolve(o *solveOutput) error {
	return k.finish(o.Reason, o.Converged, o)
}
