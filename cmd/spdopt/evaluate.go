package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/esadapt/bbob"
	"github.com/spdopt/spdopt/internal/objective"
)

// objectiveFlags say what is minimized and what happens when it fails.
type objectiveFlags struct {
	fn             string
	source         map[string]*string // of objectives that are not built in, by form
	instance       int
	env            []string
	shell, perEval bool
	constraints    int
	timeout        time.Duration
	memory         int // MiB
	onFail         string
	retries        int
	maxFailRate    float64
	errors         lateWriter // error output of programs
}

// register adds all of them.
func (f *objectiveFlags) register(cmd *cobra.Command) {
	f.registerSource(cmd)
	flags := cmd.Flags()
	flags.IntVar(&f.constraints, "constraints", 0, `number of values "g" in every answer; feasible means that none is above 0`)
	flags.StringVar(&f.onFail, "on-fail", "worst", "what a failed evaluation counts as: worst, resample or abort")
	flags.Float64Var(&f.maxFailRate, "max-fail-rate", 0.5, "stop with code 5 when more than this share of the last two generations failed; 1 never stops")
}

// registerSource adds those that say what is evaluated, and how.
func (f *objectiveFlags) registerSource(cmd *cobra.Command) {
	f.onFail = "worst"
	flags := cmd.Flags()
	flags.StringVar(&f.fn, "fn", "", "built-in function: f1 ... f24, the name of a classic, f101 ... (noisy), c1 ... (constrained), m1 ... (mixed-integer), l1 ... (large-scale); spdopt list functions")
	flags.IntVar(&f.instance, "instance", 1, "instance of the built-in function")
	f.source = make(map[string]*string)
	for _, form := range objective.Forms() {
		f.source[form.Name] = flags.String(form.Name, "", form.Summary)
	}
	flags.BoolVar(&f.shell, "shell", false, "give --cmd to /bin/sh")
	flags.BoolVar(&f.perEval, "per-eval", false, "start --cmd for every evaluation")
	flags.StringArrayVar(&f.env, "env", nil, "variable of the environment for --cmd: NAME passes the one of this program on, NAME=VALUE sets it; repeat it. Without, programs get PATH, HOME, TMPDIR, LANG, TZ and the like")
	flags.DurationVar(&f.timeout, "timeout", 0, "time for one evaluation by --cmd or --wasm, such as 30s; then it and all it started are killed")
	flags.IntVar(&f.memory, "wasm-memory", 256, "MiB that an instance of --wasm may hold")
	flags.IntVar(&f.retries, "retries", 0, "how often an evaluation is tried again when --cmd crashes")
}

// applies lists the kinds of objective that a flag means something for.
var applies = map[string][]string{
	"instance": {"fn"}, "shell": {"cmd"}, "per-eval": {"cmd"}, "retries": {"cmd"}, "env": {"cmd"}, "wasm-memory": {"wasm"}, "timeout": {"cmd", "wasm"},
	"constraints": {"cmd", "wasm", "expr"}, "on-fail": {"cmd", "wasm", "expr"}, "max-fail-rate": {"cmd", "wasm", "expr"},
}

// kinds lists the flags that name an objective: fn, then the forms.
func kinds() []string {
	all := []string{"fn"}
	for _, form := range objective.Forms() {
		all = append(all, form.Name)
	}
	return all
}

// kind returns the flag that names the objective.
func (f *objectiveFlags) kind() string {
	for name, source := range f.source {
		if *source != "" {
			return name
		}
	}
	return "fn"
}

func (f *objectiveFlags) check(cmd *cobra.Command) error {
	flags := cmd.Flags()
	var given []string
	for _, name := range kinds() {
		if flag := flags.Lookup(name); flag.Changed && flag.Value.String() != "" {
			given = append(given, "--"+name)
		}
	}
	switch {
	case len(given) == 0:
		return usagef("minimize what? give --fn NAME (spdopt list functions), --cmd COMMAND, --wasm FILE or --expr TEXT")
	case len(given) > 1:
		return usagef("%s exclude each other", strings.Join(given, " and "))
	}
	for _, name := range slices.Sorted(maps.Keys(applies)) {
		if with := applies[name]; flags.Changed(name) && !slices.Contains(with, f.kind()) {
			return usagef("--%s needs --%s", name, strings.Join(with, " or --"))
		}
	}
	switch {
	case f.timeout < 0:
		return usagef("--timeout must not be negative")
	case f.retries < 0:
		return usagef("--retries must not be negative")
	case f.memory < 1 || f.memory > 4096:
		return usagef("--wasm-memory must be 1 to 4096 MiB, not %d", f.memory)
	case f.constraints < 0:
		return usagef("--constraints must not be negative")
	case !(f.maxFailRate >= 0 && f.maxFailRate <= 1):
		return usagef("--max-fail-rate must be 0 to 1, not %v", f.maxFailRate)
	}
	return oneOf("--on-fail", f.onFail, "worst", "resample", "abort")
}

// policy fills in what the search does about failures.
func (f *objectiveFlags) policy(o *esadapt.Options) {
	o.Constraints = max(o.Constraints, f.constraints)
	o.OnFailure = map[string]esadapt.OnFailure{
		"worst": esadapt.FailureWorst, "resample": esadapt.FailureResample, "abort": esadapt.FailureAbort,
	}[f.onFail]
	o.MaxFailureRate = max(f.maxFailRate, math.SmallestNonzeroFloat64) // 0 would be the default
}

func functionNames() (names []string) {
	for _, d := range bbob.All() {
		names = append(names, d.ID)
	}
	return names
}

// builtin returns the built-in function, nil if a program was asked for.
func (f *objectiveFlags) builtin(dim int) (*bbob.Function, error) {
	if f.fn == "" {
		return nil, nil
	}
	d, err := bbob.Lookup(f.fn)
	if err != nil {
		return nil, unknown("function", f.fn, "minimize", functionNames(), "spdopt list functions")
	}
	function, err := d.New(dim, f.instance)
	if err != nil {
		return nil, usagef("--fn %s: %s", f.fn, strings.TrimPrefix(err.Error(), "bbob: "))
	}
	return function, nil
}

func (f *objectiveFlags) name() string {
	if f.fn != "" {
		return f.fn
	}
	return *f.source[f.kind()]
}

// evaluator computes the value at a point; id counts the evaluations from 1. It may be called from several goroutines.
type evaluator func(ctx context.Context, id uint64, x []float64) (objective.Value, error)

// evaluator returns how to evaluate, and what to do at the end.
func (f *objectiveFlags) evaluator(o *esadapt.Options, function *bbob.Function, jobs int) (evaluator, func(), error) {
	if function != nil {
		return func(_ context.Context, id uint64, x []float64) (objective.Value, error) {
			v := objective.Value{F: function.Measure(x, id)}
			if function.Constraints > 0 {
				v.G = make([]float64, function.Constraints)
				function.Constrain(x, v.G)
			}
			return v, nil
		}, func() {}, nil
	}
	source := f.name()
	options := objective.Options{
		Dim: o.Dim, Constraints: f.constraints, Seed: o.Seed, Lower: o.Lower, Upper: o.Upper,
		PerEval: f.perEval, Jobs: jobs, Timeout: f.timeout, Retries: f.retries, Memory: f.memory << 20, Stderr: &f.errors,
	}
	env, err := objective.Environment(f.env)
	if err != nil {
		return nil, nil, usagef("--env: %v", err)
	}
	options.Env = env
	if f.shell {
		options.Argv = objective.Shell(source)
	}
	form := objective.Forms()[slices.IndexFunc(objective.Forms(), func(form objective.Form) bool { return form.Name == f.kind() })]
	e, err := form.Open(source, options)
	var wrong *objective.SourceError
	if errors.As(err, &wrong) && wrong.Form != "wasm" {
		return nil, nil, usagef("--%s: %v", wrong.Form, wrong)
	}
	if err != nil {
		return nil, nil, err
	}
	return e.Evaluate, e.Close, nil
}

// failingError says that too many evaluations failed.
type failingError struct {
	detail string
	last   *objective.Error
}

// Error tells the last failure as well.
func (e *failingError) Error() string {
	text := "too many evaluations failed: " + e.detail
	if e.last != nil {
		text += "; the last: " + e.last.Error()
	}
	return text
}

// driver evaluates what a search asks for. Results are reported in the order of the candidates, so that a run does not depend on jobs.
type driver struct {
	search      *esadapt.Search
	eval        evaluator
	jobs        int
	progress    *progressLine
	after       func(*esadapt.Search) error // runs between two batches
	lastFailure *objective.Error
	plot        *searchPlot
	flight      *flight // with --in-flight; search is the one inside
}

// verdict is the outcome for one candidate.
type verdict struct {
	index int
	value objective.Value
	err   error
}

// run goes on until the search stops, ctx ends (its cause is the error) or the objective can't be used.
func (d *driver) run(ctx context.Context) error {
	if d.flight != nil {
		return d.fly(ctx)
	}
	for d.search.Stop() == nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := d.generation(ctx); err != nil {
			return err
		}
		if err := d.after(d.search); err != nil {
			return err
		}
		d.show()
	}
	return nil
}

// generation evaluates the candidates that wait.
func (d *driver) generation(ctx context.Context) error {
	batch := d.search.Take(math.MaxInt)
	if len(batch) == 0 {
		return errors.New("internal error: the search goes on but has no candidates")
	}
	first := uint64(d.search.Evaluations()) + 1
	verdicts := make(chan verdict, len(batch))
	inner, cancel := context.WithCancel(ctx)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(d.jobs, len(batch)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(batch) && inner.Err() == nil; i = int(next.Add(1)) - 1 {
				v, err := d.eval(inner, first+uint64(i), batch[i].X)
				verdicts <- verdict{i, v, err}
			}
		})
	}
	go func() {
		group.Wait()
		close(verdicts)
	}()
	err := d.collect(ctx, batch, first, verdicts)
	cancel()
	group.Wait()
	return err
}

// collect reports verdicts in the order of the candidates; when ctx ends, those that have come.
func (d *driver) collect(ctx context.Context, batch []esadapt.Candidate, first uint64, verdicts <-chan verdict) error {
	come := make([]*verdict, len(batch))
	reported := 0
	for v := range verdicts {
		if ctx.Err() != nil && v.err != nil {
			continue
		}
		var failed *objective.Error
		if v.err != nil && (!errors.As(v.err, &failed) || failed.Fatal()) {
			return v.err
		}
		come[v.index] = &v
		for ; reported < len(batch) && come[reported] != nil; reported++ {
			if err := d.report(batch[reported].ID, first+uint64(reported), come[reported]); err != nil || d.search.Stop() != nil {
				return err
			}
		}
	}
	for ; reported < len(batch); reported++ {
		if come[reported] == nil {
			continue
		}
		if err := d.report(batch[reported].ID, first+uint64(reported), come[reported]); err != nil || d.search.Stop() != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// report tells the search a verdict. The first evaluation must not fail: then the objective, not the point, is at fault.
func (d *driver) report(id, serial uint64, v *verdict) error {
	if v.err != nil {
		errors.As(v.err, &d.lastFailure)
		if serial == 1 {
			return v.err
		}
	}
	return d.search.Report(esadapt.Evaluation{ID: id, F: v.value.F, G: v.value.G, Failed: v.err != nil})
}

func (d *driver) show() {
	d.plot.add(d.search)
	sigma := ""
	if s, ok := d.search.Strategy().(esadapt.Distribution); ok {
		sigma = fmt.Sprintf("  sigma %.2e", s.Sigma())
	}
	d.progress.show("evaluations %d  best %.10g%s  restarts %d", d.search.Evaluations(), d.search.Best().F, sigma, d.search.Restarts())
}
