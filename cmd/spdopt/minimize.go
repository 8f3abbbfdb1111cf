package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/esadapt/bbob"
	"github.com/spdopt/spdopt/internal/objective"
)

type minimizeFlags struct {
	objectiveFlags
	searchFlags
	dim                int
	x0, lower, upper   string
	sigma0             float64
	maxEvals           int
	target             float64
	limit              seconds
	popsize            int
	strategy, restarts string
	seed               uint64
	jobs               int
	svg                string
	inFlight           int
	keep               keepFlags
	askTell            bool
	far                distributedFlags
}

// minimizeOutput is the JSON object of "minimize".
type minimizeOutput struct {
	Schema      int      `json:"schema"`
	Objective   string   `json:"objective"`
	Dim         int      `json:"dim"`
	Strategy    string   `json:"strategy"`
	BestF       num      `json:"best_f"`
	BestX       []num    `json:"best_x"`
	BestG       []num    `json:"best_g,omitempty"`
	Violation   *num     `json:"violation,omitempty"`
	FOpt        *num     `json:"f_opt,omitempty"`
	Evaluations int      `json:"evaluations"`
	Failures    int      `json:"failures"`
	Generations int      `json:"generations"`
	Restarts    int      `json:"restarts"`
	Stop        []string `json:"stop"`
	Advice      []string `json:"advice"`
	Target      *num     `json:"target,omitempty"`
	TargetMet   *bool    `json:"target_met,omitempty"`
	Seconds     num      `json:"seconds"`
	Seed        uint64   `json:"seed"`
	Run         string   `json:"run,omitempty"`
}

var errSecondsUsed = errors.New("the time is used up")

func (a *app) minimizeCommand() *cobra.Command {
	f := &minimizeFlags{}
	cmd := &cobra.Command{
		Use:   "minimize (--fn NAME | --cmd COMMAND | --wasm FILE | --expr TEXT)",
		Short: "Minimize a function from its values alone",
		Long: `Minimize a function of real and integer variables from its values alone, by an evolution strategy (spdopt list strategies).

--fn takes a built-in function (spdopt list functions), --cmd a program that gets one JSON object a line and answers each:
  {"spdopt":1,"type":"hello","dim":2,"seed":7}               once
  {"type":"eval","id":1,"x":[0.5,1],"seed":981}              answer: {"id":1,"f":3.25}
  {"type":"stop"}
Quotes keep the words of a command together: --cmd "python3 objective.py". With --per-eval the command is started for every evaluation and prints the value last; it reads the line "eval", or its arguments hold {x0}, {x1}, ...,
{x} (all of them, joined by commas), {file} (a file with one a line), {seed} or {id}.

With --distributed, or --nats for a server elsewhere, processes on any number of machines evaluate (spdopt worker); the result is that of a run on one.

With --in-flight nothing waits for the slowest evaluation of a generation, here or on other machines. The result then depends on the order in which evaluations end; a run that is kept goes on from its journal all the same.

With --out, and with --cmd unless told otherwise, every result is kept in a directory at once, and a run that was interrupted or killed goes on without evaluating anything again:
spdopt runs resume. With --ask-tell nothing is evaluated here: spdopt ask and tell drive the search.

--wasm takes a WebAssembly module, which runs without files, network and clock: it exports its memory, alloc(bytes) and evaluate(address of x, n) -> f64, or, with
--constraints, evaluate_g(x, n, address of g, m); a WASI program is run once for every evaluation instead, as with --per-eval.
--expr takes an expression in x and n: sum(x, # * #), x[0]**2 + abs(x[1]), with sin, cos, exp, log, sqrt, norm, dot, pi and the like; with --constraints a list [f, g, ..].

A run stops at the target, when --max-evals or --max-seconds are used up, or when it has converged; with --max-evals it restarts until then.
Exit code 4 means that --target was not met, 5 that the objective failed.`,
		Example: `  spdopt minimize --fn f10 --dim 10 --seed 1
  spdopt minimize --fn f8 --dim 10 --svg search.svg
  spdopt minimize --fn rastrigin --dim 5 --max-evals 50000 --restarts ipop --json
  spdopt minimize --cmd ./objective.py --x0 1,2,3 --sigma0 0.5 --jobs 4 --timeout 30s
  spdopt minimize --cmd ./simulate --dim 4 --in-flight 16 --max-evals 2000
  spdopt minimize --ask-tell --out runs/lab --dim 3 --lower 0 --upper 1
  spdopt minimize --cmd ./simulate --per-eval --lower 0,1 --upper 90,20 --max-evals 300
  spdopt minimize --expr "sum(x,#*#)+abs(x[0]-1)" --dim 5
  spdopt minimize --wasm objective.wasm --dim 10 --timeout 1s
  spdopt minimize --cmd ./simulate --dim 20 --distributed --listen 0.0.0.0:4222 --token-file token.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("minimize takes flags only, got %q (--fn NAME, --cmd COMMAND, --wasm FILE or --expr TEXT)", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return a.minimize(cmd, f) },
	}
	f.objectiveFlags.register(cmd)
	flags := cmd.Flags()
	flags.IntVar(&f.dim, "dim", 0, "number of variables; the default is the length of --x0, --lower or --upper")
	flags.StringVar(&f.x0, "x0", "", "start: a,b,..., or one number for all variables; the default is random")
	flags.Float64Var(&f.sigma0, "sigma0", 0, "standard deviation at the start; the default is 0.3 of the width between two bounds, a fifth of the region of a built-in function, otherwise 1")
	flags.StringVar(&f.lower, "lower", "", "lower bounds: a,b,... (-inf for none), or one number for all variables")
	flags.StringVar(&f.upper, "upper", "", "upper bounds, likewise")
	f.searchFlags.register(cmd)
	flags.IntVar(&f.maxEvals, "max-evals", 0, "evaluations that may be spent")
	maxSecondsFlag(cmd, &f.limit)
	flags.Float64Var(&f.target, "target", 0, "stop at a value this low; exit with code 4 without one")
	flags.IntVar(&f.popsize, "popsize", 0, "points in a generation; the default is 4 + floor(3 ln n)")
	flags.StringVar(&f.strategy, "strategy", "", "evolution strategy: "+strings.Join(strategyNames(), ", ")+"; the default is dd-cma from 20 variables on, lm-ma-es from 3000 on, otherwise cma")
	flags.StringVar(&f.restarts, "restarts", "auto", "ipop, bipop, none, or auto: bipop with --max-evals, otherwise none")
	flags.Uint64Var(&f.seed, "seed", 0, "seed; the default is random and printed")
	flags.IntVar(&f.inFlight, "in-flight", 0, "evaluations to keep under way without waiting for the slowest of a generation; the result depends on the order in which they end, which a run that is kept remembers")
	pictureFlag(cmd, &f.svg, "convergence, axis lengths, standard deviations and coordinates")
	flags.IntVar(&f.jobs, "jobs", 1, "evaluations at once, in a distributed run those handed out (default a generation); the result does not depend on it")
	flags.BoolVar(&f.askTell, "ask-tell", false, "evaluate nothing: make the run --out for spdopt ask and tell")
	f.far.register(cmd)
	f.keep.register(cmd, "out", `directory of the run; the default is one below --runs with --cmd, none with --fn; "auto" and "none" choose`)
	return cmd
}

// local returns how to evaluate in this process; nothing is opened if workers do it.
func (f *minimizeFlags) local(o *esadapt.Options, function *bbob.Function) (evaluator, func(), error) {
	if f.far.asked() {
		return nil, func() {}, nil
	}
	return f.evaluator(o, function, max(f.jobs, f.inFlight))
}

func strategyNames() (names []string) {
	for _, s := range esadapt.Strategies() {
		names = append(names, s.Name)
	}
	return names
}

// options turns the flags into the options of a search; function is nil for a program.
func (f *minimizeFlags) options(cmd *cobra.Command) (o esadapt.Options, function *bbob.Function, err error) {
	if err := f.check(cmd); err != nil {
		return o, nil, err
	}
	if err := f.space(cmd, &o); err != nil {
		return o, nil, err
	}
	if function, err = f.builtin(o.Dim); err != nil {
		return o, nil, err
	}
	if function != nil {
		o.Constraints = function.Constraints
		if o.Integers == nil && o.Lower == nil && o.Upper == nil {
			o.Integers, o.Lower, o.Upper = function.Integers, function.BoxLower, function.BoxUpper
		}
		if o.X0 == nil && o.Lower == nil {
			o.X0 = function.X0
		}
		if o.X0 == nil && o.Lower == nil && o.Upper == nil {
			o.StartLower, o.StartUpper = repeated(0.8*function.Lower, o.Dim), repeated(0.8*function.Upper, o.Dim)
		}
		if o.Sigma0 == 0 && (o.Lower == nil || o.Upper == nil) {
			o.Sigma0 = (function.Upper - function.Lower) / 5
		}
	}
	o.PopSize, o.Strategy, o.Seed, o.MaxEvaluations = f.popsize, f.strategy, f.seed, f.maxEvals
	o.Restarts = map[string]esadapt.Restarts{
		"auto": esadapt.RestartAuto, "none": esadapt.RestartNone, "ipop": esadapt.RestartIPOP, "bipop": esadapt.RestartBIPOP,
	}[f.restarts]
	if cmd.Flags().Changed("target") {
		o.Target = &f.target
	}
	f.policy(&o)
	if err := f.applyConstraints(&o); err != nil {
		return o, nil, err
	}
	if err := o.Validate(); err != nil {
		return o, nil, usagef("%s", flagWords.Replace(err.Error()))
	}
	return o, function, nil
}

// flagWords turns the names of options in messages into those of flags.
var flagWords = strings.NewReplacer("esadapt: ", "", "; use Fixed to hold a variable", " (--lower, --upper; --fixed holds a variable)", "X0", "--x0", "Sigma0", "--sigma0", "Dim is", "--dim is", "Lower", "--lower", "Upper", "--upper", "Integers", "--integers",
	"Fixed", "--fixed", "Equalities", "--equalities", "Surrogate", "--surrogate", "Noise", "--noise", "BoundPenalty", "--bounds penalty", "PopSize", "--popsize", "MaxEvaluations", "--max-evals", "Constraints", "--constraints", "MaxFailureRate", "--max-fail-rate", "Target", "--target")

// check looks at the flags that need no knowledge of the problem, and draws the seed.
func (f *minimizeFlags) check(cmd *cobra.Command) error {
	flags := cmd.Flags()
	if f.askTell {
		if err := checkAskTell(cmd); err != nil {
			return err
		}
	} else if err := f.objectiveFlags.check(cmd); err != nil {
		return err
	}
	if err := f.far.check(cmd, &f.keep); err != nil {
		return err
	}
	if err := oneOf("--restarts", f.restarts, "auto", "ipop", "bipop", "none"); err != nil {
		return err
	}
	if err := f.limit.check(); err != nil {
		return err
	}
	bounded := flags.Changed("max-evals") || f.limit > 0
	switch {
	case f.strategy != "" && nearest(f.strategy, strategyNames()) != f.strategy:
		return unknown("strategy", f.strategy, "minimize", strategyNames(), "spdopt list strategies")
	case f.learnRate && f.strategy != "" && f.strategy != "cma":
		return usagef("--learn-rate adapts the learning rates of the strategy cma, not those of %s", f.strategy)
	case flags.Changed("dim") && f.dim < 1:
		return usagef("--dim must be at least 1, not %d", f.dim)
	case flags.Changed("sigma0") && !(f.sigma0 > 0 && f.sigma0 <= math.MaxFloat64):
		return usagef("--sigma0 must be a positive number, not %v", f.sigma0)
	case flags.Changed("max-evals") && f.maxEvals < 1:
		return usagef("--max-evals must be at least 1, not %d", f.maxEvals)
	case flags.Changed("popsize") && f.popsize < 2:
		return usagef("--popsize must be at least 2, not %d", f.popsize)
	case f.target != f.target:
		return usagef("--target must be a number, not NaN")
	case f.jobs < 1 || f.jobs > 4096:
		return usagef("--jobs must be 1 to 4096, not %d", f.jobs)
	case flags.Changed("in-flight") && (f.inFlight < 1 || f.inFlight > 4096):
		return usagef("--in-flight must be 1 to 4096, not %d", f.inFlight)
	case flags.Changed("in-flight") && flags.Changed("jobs"):
		return usagef("--jobs and --in-flight exclude each other")
	case f.inFlight > 0 && f.askTell:
		return usagef("--in-flight is about evaluating; with --ask-tell nothing is evaluated here")
	case (f.restarts == "ipop" || f.restarts == "bipop") && !bounded:
		return usagef("--restarts %s goes on until the budget is used up; give --max-evals or --max-seconds", f.restarts)
	}
	return nil
}

// space reads the variables (dimension, start, bounds) and the flags that name some of them.
func (f *minimizeFlags) space(cmd *cobra.Command, o *esadapt.Options) error {
	lists := []struct {
		flag, text string
		into       *[]float64
	}{{"x0", f.x0, &o.X0}, {"lower", f.lower, &o.Lower}, {"upper", f.upper, &o.Upper}}
	o.Dim, o.Sigma0 = f.dim, f.sigma0
	for _, l := range lists {
		if !cmd.Flags().Changed(l.flag) {
			continue
		}
		v, ok := parseNumbers(l.text)
		if !ok {
			return usagef("--%s must be numbers such as 1,2.5,-3, not %q", l.flag, l.text)
		}
		*l.into = v
		if f.dim == 0 {
			o.Dim = max(o.Dim, len(v))
		}
	}
	if o.Dim == 0 {
		return usagef("how many variables are there? give --dim N or --x0 a,b,...")
	}
	for _, l := range lists {
		if len(*l.into) == 1 {
			*l.into = repeated((*l.into)[0], o.Dim)
		}
	}
	return f.apply(o)
}

func repeated(v float64, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = v
	}
	return all
}

// search makes the search; with --in-flight it is inside an asynchronous one.
func (f *minimizeFlags) search(o esadapt.Options) (*esadapt.Search, *esadapt.Async, error) {
	if f.inFlight == 0 {
		s, err := esadapt.New(o)
		return s, nil, err
	}
	a, err := esadapt.NewAsync(o, f.inFlight)
	if err != nil {
		return nil, nil, err
	}
	return a.Search(), a, nil
}

func (a *app) minimize(cmd *cobra.Command, f *minimizeFlags) (err error) {
	a.drawSeed(cmd)
	var o esadapt.Options
	var function *bbob.Function // its rotations take minutes in thousands of variables
	if err := beside(a.ctx, func(*guard) (err error) { o, function, err = f.options(cmd); return err }); err != nil {
		return err
	}
	s, async, err := f.search(o)
	if err != nil {
		return usagef("%s", flagWords.Replace(err.Error()))
	}
	choice := "asked for"
	if f.strategy == "" {
		choice = "the default for so many"
	}
	a.debug("%s, strategy %s, %s, population %d", counted(o.Dim, "variable"), s.StrategyName(), choice, s.PopSize())
	if f.askTell {
		return a.beginAskTell(cmd, f, s)
	}
	eval, done, err := f.local(&o, function)
	if err != nil {
		return err
	}
	defer done()
	k, err := a.keep(cmd, nil, &f.keep, "es-"+shortName(f.name()), f.seed, f.far.asked() || f.kind() == "cmd")
	if err != nil {
		return err
	}
	defer k.end(a.ctx, &err)
	f.errors.to = k.log()
	record, s, err := a.record(k, s, async, f.far.asked())
	if err != nil {
		return err
	}
	ctx, cancel := f.limited(a.ctx, k)
	defer cancel()
	jobs := max(f.jobs, f.inFlight)
	var q *queue
	if f.far.asked() {
		if q, err = a.openQueue(ctx, f, &o, k, record); err != nil {
			return err
		}
		defer q.close()
		eval, jobs = q.Evaluate, f.handedOut(cmd)
	}
	began := time.Now()
	progress := a.newProgress()
	d := &driver{search: s, jobs: jobs, progress: progress}
	record.attach(d, eval)
	if d.plot, err = newSearchPlot(f.svg, function); err != nil {
		return err
	}
	defer d.plot.abort()
	err = d.run(ctx)
	progress.clear()
	if err != nil && err != errSecondsUsed && s.Best().Evaluation == 0 {
		return err
	}
	if err := d.plot.write(f.name() + ", " + s.StrategyName()); err != nil {
		return err
	}
	out := f.output(s, function, err, time.Since(began)+k.spent())
	out.Run = k.dir()
	if a.ctx.Err() == nil && (err == nil || err == errSecondsUsed) {
		if err := q.finish(context.WithoutCancel(ctx), k); err != nil {
			a.note("the queue could not be removed: %v", err)
		}
		if err := record.finish(s, out); err != nil {
			return err
		}
	}
	if err := a.reportMinimize(out); err != nil {
		return err
	}
	return minimizeVerdict(s, &o, d.lastFailure, err)
}

// limited is the context that ends with --max-seconds, the time of earlier processes of the run included.
func (f *minimizeFlags) limited(ctx context.Context, k *keeper) (context.Context, context.CancelFunc) {
	if f.limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, f.limit.duration()-k.spent(), errSecondsUsed)
}

// minimizeVerdict decides what the end of a run means for the exit code.
func minimizeVerdict(s *esadapt.Search, o *esadapt.Options, last *objective.Error, ended error) error {
	var signal interrupted
	if errors.As(ended, &signal) {
		return haltedf(ended, "interrupted after %d evaluations; the best point so far is on standard output", s.Evaluations())
	}
	if ended != nil && ended != errSecondsUsed {
		return ended
	}
	stop := s.Stop()
	if len(stop) > 0 && stop[0].Code == esadapt.TooManyFailures {
		return &failingError{stop[0].Detail, last}
	}
	best := s.Best()
	if o.Target != nil && (len(stop) == 0 || stop[0].Code != esadapt.TargetReached) {
		return &unmetError{fmt.Sprintf("the best value is %.6g after %d evaluations; the target is %g", best.F, s.Evaluations(), *o.Target)}
	}
	return nil
}

func (f *minimizeFlags) output(s *esadapt.Search, function *bbob.Function, ended error, took time.Duration) *minimizeOutput {
	best := s.Best()
	o := s.Options()
	out := &minimizeOutput{
		Schema: schema, Objective: f.name(), Dim: o.Dim, Strategy: s.StrategyName(), BestF: num(best.F), BestX: nums(best.X), BestG: nums(best.G),
		Evaluations: s.Evaluations(), Failures: s.Failures(), Generations: s.Generations(), Restarts: s.Restarts(), Stop: []string{}, Advice: []string{},
		Seconds: num(took.Seconds()), Seed: f.seed,
	}
	if best.Evaluation == 0 {
		out.BestF = num(math.NaN())
	}
	if o.Constraints > 0 {
		v := num(best.Violation)
		out.Violation = &v
	}
	if function != nil {
		v := num(function.FOpt)
		out.FOpt = &v
	}
	for _, r := range s.Stop() {
		out.Stop = append(out.Stop, string(r.Code))
		out.Advice = append(out.Advice, r.String())
	}
	if ended != nil {
		out.Stop = append(out.Stop, endCode(ended))
	}
	if o.Target != nil {
		target, met := num(*o.Target), len(out.Stop) > 0 && out.Stop[0] == string(esadapt.TargetReached)
		out.Target, out.TargetMet = &target, &met
	}
	return out
}

// endCode names what ended a run from outside the search.
func endCode(ended error) string {
	var signal interrupted
	switch {
	case ended == errSecondsUsed:
		return "max-seconds"
	case errors.As(ended, &signal):
		return "interrupted"
	}
	return "objective-error"
}

func nums(v []float64) []num {
	all := make([]num, len(v))
	for i, x := range v {
		all[i] = num(x)
	}
	return all
}

func (a *app) reportMinimize(o *minimizeOutput) error {
	if a.json {
		return a.printJSON(o)
	}
	x := make([]string, 0, printable)
	for i, v := range o.BestX {
		if i == printable {
			x = append(x, "... (all with --json)")
			break
		}
		x = append(x, fmt.Sprintf("%.8g", float64(v)))
	}
	stop := strings.Join(o.Advice, "; ")
	if stop == "" {
		stop = strings.Join(o.Stop, ", ")
	}
	variables := "variables"
	if o.Dim == 1 {
		variables = "variable"
	}
	lines := [][2]string{
		{"objective", fmt.Sprintf("%s, %d %s", o.Objective, o.Dim, variables)},
		{"best f", "none"},
	}
	if o.Evaluations > o.Failures {
		lines[1] = [2]string{"best f", fmt.Sprintf("%.10g", float64(o.BestF))}
		lines = append(lines, [2]string{"best x", strings.Join(x, " ")})
	}
	if o.FOpt != nil && o.Evaluations > o.Failures {
		lines = append(lines, [2]string{"above optimum", fmt.Sprintf("%.3g", float64(o.BestF-*o.FOpt))})
	}
	if o.Violation != nil {
		lines = append(lines, [2]string{"violation", fmt.Sprintf("%.3g", float64(*o.Violation))})
	}
	a.pairs(append(lines,
		[2]string{"evaluations", fmt.Sprintf("%d (%d failed), %d generations, %d restarts", o.Evaluations, o.Failures, o.Generations, o.Restarts)},
		[2]string{"strategy", o.Strategy},
		[2]string{"stop", stop},
		[2]string{"seed", fmt.Sprint(o.Seed)},
		[2]string{"time", fmt.Sprintf("%.3g s", float64(o.Seconds))},
		[2]string{"run", o.Run},
	)...)
	return nil
}
