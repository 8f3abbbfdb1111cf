package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/nnopt/algoperf"
)

// raceFlags are what the benchmarks of training have in common.
type raceFlags struct {
	suite, data string
	generated   bool
	workloads   []string
	opts        []string
}

func (f *raceFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.suite, "suite", "small", "small (the workloads; under the rules of v0.5 with one drawn variant of each) or full (with all variants)")
	flags.StringSliceVar(&f.workloads, "workloads", nil, "these instead of a suite (spdopt list races)")
	flags.StringVar(&f.data, "data", "data", "folder with the digits in mnist/ and a text in text.txt")
	flags.BoolVar(&f.generated, "generated", false, "generated digits and text instead of --data")
}

// suiteSeed draws the variants of the small suite, once and for all.
const suiteSeed = 1

func (f *raceFlags) chosen() ([]algoperf.Workload, error) {
	if len(f.workloads) == 0 {
		switch f.suite {
		case "small":
			return algoperf.Draw(algoperf.Workloads(), suiteSeed), nil
		case "full":
			return algoperf.Workloads(), nil
		}
		return nil, oneOf("--suite", f.suite, "small", "full")
	}
	var all []algoperf.Workload
	for _, name := range f.workloads {
		w, err := algoperf.ByName(name)
		if err != nil {
			return nil, unknown("workload", name, "bench", raceNames(), "spdopt list races")
		}
		all = append(all, w)
	}
	return all, nil
}

func (f *raceFlags) source() *algoperf.Data {
	if f.generated {
		return algoperf.OpenData("")
	}
	return algoperf.OpenData(f.data)
}

func (f *raceFlags) entries() (all []algoperf.Entry, err error) {
	if len(f.opts) == 1 && f.opts[0] == "all" {
		return algoperf.Entries(), nil
	}
	for _, name := range f.opts {
		e, err := algoperf.EntryByName(name)
		if err != nil {
			return nil, unknown("submission", name, "bench", submissionNames(), "spdopt list submissions")
		}
		all = append(all, e)
	}
	return all, nil
}

func raceNames() (names []string) {
	for _, w := range algoperf.Workloads() {
		names = append(names, w.Name)
	}
	return names
}

func submissionNames() (names []string) {
	for _, e := range algoperf.Entries() {
		names = append(names, e.Name)
	}
	return names
}

// raceListing lists the workloads of the benchmark, submissionListing what can take part.
func raceListing() (all []listEntry) {
	for _, w := range algoperf.Workloads() {
		what := w.What
		if w.Base != "" {
			what = "variant of " + w.Base + ": " + what
		}
		all = append(all, listEntry{Name: w.Name, What: what, Input: string(w.Needs)})
	}
	return all
}

func submissionListing() (all []listEntry) {
	for _, e := range algoperf.Entries() {
		all = append(all, listEntry{Name: e.Name, What: e.What})
	}
	return all
}

type benchNNFlags struct {
	raceFlags
	scoreFlags
	ruleset, clock, log string
	targets, costs      string
	trials, studies     int
	seed                uint64
	budget              float64
	jobs                int
	timeout             time.Duration
	curves              bool
}

func (a *app) benchNNCommand() *cobra.Command {
	f := &benchNNFlags{}
	cmd := &cobra.Command{
		Use:   "nn",
		Short: "Compare training algorithms by the time to a result, scored as AlgoPerf does",
		Long: `Train the workloads of a suite with every submission, several tunings in several studies, and print the scores. A trial ends at the first evaluation that meets the
target, or when its budget is spent. With --clock steps, the default, a step takes the time that is stated for it, so that results are the same on
every machine; with --clock real the time is measured, and one trial runs at a time.

Every trial is appended to --log; the same command goes on with a log that is there.`,
		Example: `  spdopt bench nn --suite small --opts spectral,adamw,muon --data data --log small.jsonl --svg small.svg
  spdopt bench nn --ruleset self-tuning --opts spectral-schedule-free,schedule-free-adamw --log self.jsonl
  spdopt bench nn --workloads graph-sbm,click-through --opts all --trials 2 --studies 1`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return a.benchNN(f) },
	}
	flags := cmd.Flags()
	f.raceFlags.add(flags)
	f.scoreFlags.add(cmd)
	flags.StringSliceVar(&f.opts, "opts", []string{"adamw", "nadamw", "spectral"}, "submissions (spdopt list submissions), or all")
	flags.StringVar(&f.ruleset, "ruleset", string(algoperf.External), "external (the fastest of several tunings counts) or self-tuning (one trial in a larger budget)")
	flags.StringVar(&f.clock, "clock", string(algoperf.StepTime), "steps (stated costs) or real")
	flags.IntVar(&f.trials, "trials", 5, "tunings in a study")
	flags.IntVar(&f.studies, "studies", 0, "studies; the median counts; the default is 3 with the rules of v0.6, 5 with v0.5")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of initial parameters and orders of data")
	flags.Float64Var(&f.budget, "budget", 1, "factor on the budgets")
	flags.IntVar(&f.jobs, "jobs", 1, "studies at once, with --clock steps")
	flags.DurationVar(&f.timeout, "timeout", 2*time.Minute, "longest time of a step; a trial that takes longer is given up")
	flags.StringVar(&f.log, "log", "", "file to append the trials to")
	flags.BoolVar(&f.curves, "curves", false, "keep every evaluation in the log")
	flags.StringVar(&f.targets, "targets", "", "targets (spdopt bench target) instead of the stated ones")
	flags.StringVar(&f.costs, "costs", "", "costs of steps (spdopt bench cost) instead of the stated ones")
	return cmd
}

func (a *app) benchNN(f *benchNNFlags) error {
	c, err := f.config()
	if err != nil {
		return err
	}
	progress := a.newProgress()
	c.Progress = func(done, all int, r *algoperf.Record) {
		progress.show("trial %d of %d  %s on %s: %s", done, all, r.Submission, r.Workload, r.Status)
	}
	l, err := algoperf.Run(a.ctx, *c)
	progress.clear()
	switch {
	case a.ctx.Err() != nil && f.log != "":
		return paused(a.ctx, f.log)
	case err != nil:
		return benchError(err)
	}
	return a.printScores(l, &f.scoreFlags)
}

// benchError turns what cannot be measured as asked into errors of usage.
func benchError(err error) error {
	var (
		cost   *algoperf.CostError
		target *algoperf.TargetError
	)
	if errors.As(err, &cost) || errors.As(err, &target) {
		return usagef("%v", err)
	}
	return err
}

// paused says that a benchmark was interrupted and how it goes on.
func paused(ctx context.Context, file string) error {
	return haltedf(context.Cause(ctx), "interrupted: what was finished is in %s; the same command goes on", file)
}

func (f *benchNNFlags) config() (*algoperf.Config, error) {
	for _, err := range []error{
		oneOf("--ruleset", f.ruleset, string(algoperf.External), string(algoperf.SelfTuning)),
		oneOf("--clock", f.clock, string(algoperf.StepTime), string(algoperf.RealTime)),
	} {
		if err != nil {
			return nil, err
		}
	}
	if f.trials < 1 || f.studies < 0 || f.jobs < 1 || !(f.budget > 0) || f.timeout <= 0 || f.seed == 0 {
		return nil, usagef("--trials, --jobs, --budget, --timeout and --seed must be positive, --studies not negative")
	}
	if f.jobs > 1 && f.clock == string(algoperf.RealTime) {
		return nil, usagef("--jobs %d would disturb the clock; it needs --clock steps", f.jobs)
	}
	if f.rules == "" && f.suite == "full" {
		f.rules = algoperf.V05().Name
	}
	rules, err := f.scoreFlags.rulesOf()
	if err != nil {
		return nil, err
	}
	c := &algoperf.Config{
		Data: f.source(), Ruleset: algoperf.Ruleset(f.ruleset), Clock: algoperf.ClockKind(f.clock), Rules: rules, Trials: f.trials, Studies: f.studies,
		Seed: f.seed, Budget: f.budget, Jobs: f.jobs, Limit: f.timeout, Log: f.log, Curves: f.curves,
	}
	if c.Workloads, err = f.chosen(); err != nil {
		return nil, err
	}
	if !rules.Variants && len(f.workloads) == 0 {
		c.Workloads = slices.DeleteFunc(c.Workloads, func(w algoperf.Workload) bool { return w.Base != "" })
	}
	if c.Entries, err = f.entries(); err != nil {
		return nil, err
	}
	if c.Targets, err = readOr(f.targets, algoperf.ReadTargets, algoperf.StatedTargets); err != nil {
		return nil, err
	}
	c.Costs, err = readOr(f.costs, algoperf.ReadCosts, algoperf.StatedCosts)
	return c, err
}

// readOr reads a file, or without one returns what is stated.
func readOr[T any](path string, read func(io.Reader) (*T, error), stated func() (*T, error)) (*T, error) {
	if path == "" {
		return stated()
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, matio.SystemError(path, "open", err)
	}
	defer file.Close()
	v, err := read(file)
	if err != nil {
		return nil, &matio.Error{File: path, What: err.Error()}
	}
	return v, nil
}
