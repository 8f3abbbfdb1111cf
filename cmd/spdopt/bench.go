package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt/bbob"
	"github.com/spdopt/spdopt/esadapt/bench"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/run"
)

type benchFlags struct {
	dims, instances []int
	functions       []string
	budget, jobs    int
	repeats         int
	suite           string
	strategy, out   string
	svg             string
	keep            keepFlags
}

// benchOutput is the JSON object of "bench es".
type benchOutput struct {
	Schema int            `json:"schema"`
	Suite  string         `json:"suite"`
	Dims   []benchSummary `json:"dimensions"`
	Out    string         `json:"out,omitempty"`
	Run    string         `json:"run,omitempty"`
}

// benchSummary is the outcome in one dimension.
type benchSummary struct {
	Dim     int `json:"dim"`
	Area    num `json:"area"`
	Solved  int `json:"solved"`
	Success num `json:"success"`
}

// comparisonOutput is the JSON object of "bench compare".
type comparisonOutput struct {
	Schema int               `json:"schema"`
	Worse  bool              `json:"worse"`
	Dims   []comparisonEntry `json:"dimensions"`
}

type comparisonEntry struct {
	Dim    int      `json:"dim"`
	Before num      `json:"area_before"`
	After  num      `json:"area_after"`
	Ratio  num      `json:"evaluations_ratio"`
	Worst  num      `json:"worst_ratio"`
	At     string   `json:"worst_function,omitempty"`
	Lost   []string `json:"lost,omitempty"`
	// Functions are those that both solve.
	Functions []ratioEntry `json:"functions,omitempty"`
}

// ratioEntry is the ratio of two expected running times with its 95 % interval; successes are [solved, trials].
type ratioEntry struct {
	Function string `json:"function"`
	Ratio    num    `json:"ratio"`
	Low      num    `json:"low"`
	High     num    `json:"high"`
	Before   [2]int `json:"before"`
	After    [2]int `json:"after"`
}

func newComparisonEntry(c *bench.Comparison) comparisonEntry {
	e := comparisonEntry{c.Dim, num(c.Before), num(c.After), num(c.Ratio), num(c.Worst), c.WorstFunction, c.Lost, nil}
	for _, r := range c.Functions {
		e.Functions = append(e.Functions, ratioEntry{r.Function, num(r.Ratio), num(r.Low), num(r.High), [2]int{r.Before.Solved, r.Before.Trials}, [2]int{r.After.Solved, r.After.Trials}})
	}
	return e
}

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench SUITE",
		Short: "Measure problems, black-box search, matrix roots and training algorithms, and compare results",
		Long: `Measure the methods of solve (spd), black-box search on the test functions (es) and the methods of root (roots), and compare two results (compare). Compare training
algorithms by the time to a target (nn), score their logs (score), and find the targets (target) and the costs of steps (cost) that this rests on.`,
		Example: `  spdopt bench es --dims 2,5 --out today.json
  spdopt bench compare yesterday.json today.json
  spdopt bench nn --suite small --opts spectral,adamw --data data`,
		Args: oneVerb("suite"),
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(a.benchProblemsCommand(), a.benchSearchCommand(), a.benchCompareCommand(), a.benchRootsCommand())
	cmd.AddCommand(a.benchNNCommand(), a.benchScoreCommand(), a.benchTargetCommand(), a.benchCostCommand())
	return cmd
}

func (a *app) benchSearchCommand() *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "es",
		Short: "Run the default search on the functions of a suite",
		Long: `Run searches on the functions of a suite and print, for each dimension, the area below the distribution of running times (1 is everything at once), the functions
solved to 1e-8 and the success rate, and for each function the expected running time to 1e-8. Results do not depend on --jobs.`,
		Example: `  spdopt bench es --dims 2,5 --budget 1000 --out today.json
  spdopt bench es --functions f1,f10 --strategy sep-cma
  spdopt bench es --suite bbob-constrained --dims 5 --instances 1`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.benchSearch(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.suite, "suite", "bbob", "suite: "+strings.Join(suiteNames(), ", "))
	flags.IntSliceVar(&f.dims, "dims", nil, "dimensions; the default is those of the suite")
	flags.IntSliceVar(&f.instances, "instances", []int{1, 2, 3, 4, 5}, "instances of each function")
	flags.IntVar(&f.repeats, "repeats", 1, "trials of each instance, each with a start and a seed of its own")
	flags.StringSliceVar(&f.functions, "functions", nil, "functions (spdopt list functions); the default is the whole suite")
	flags.IntVar(&f.budget, "budget", 1000, "evaluations per variable of one trial")
	flags.StringVar(&f.strategy, "strategy", "", "strategy (spdopt list strategies); the default is the search's own")
	flags.IntVar(&f.jobs, "jobs", 0, "trials at once; 0 is one per processor")
	flags.StringVar(&f.out, "out", "", "write every trial to this .json file")
	pictureFlag(cmd, &f.svg, "the distribution of running times")
	f.keep.register(cmd, "run", `directory to keep the run in, so that it can be resumed; "auto" is one below --runs; the default is none`)
	return cmd
}

func suiteNames() (names []string) {
	for _, s := range bbob.Suites() {
		names = append(names, s.Name)
	}
	return names
}

func (a *app) benchSearch(cmd *cobra.Command, f *benchFlags) (err error) {
	if err := oneOf("--suite", f.suite, suiteNames()...); err != nil {
		return err
	}
	for _, n := range slices.Concat(f.dims, f.instances) {
		if n < 1 {
			return usagef("--dims and --instances must be positive, got %d", n)
		}
	}
	if f.budget < 1 || f.repeats < 1 || f.jobs < 0 {
		return usagef("--budget and --repeats must be positive and --jobs not negative")
	}
	if f.strategy != "" && !slices.Contains(strategyNames(), f.strategy) {
		return unknown("strategy", f.strategy, "bench es", strategyNames(), "spdopt list strategies")
	}
	file, err := reserve(f.out)
	if err != nil {
		return err
	}
	defer file.Abort()
	c := bench.Config{Suite: f.suite, Functions: f.functions, Dims: f.dims, Instances: f.instances, Repeats: f.repeats, Budget: f.budget, Workers: f.jobs}
	c.Options.Strategy = f.strategy
	k, err := a.keepTrials(cmd, f, &c)
	if err != nil {
		return err
	}
	defer k.end(a.ctx, &err)
	trials, err := bench.Run(a.ctx, c)
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	var lost *run.WriteError
	if errors.As(err, &lost) {
		return err
	}
	if err != nil {
		return usagef("%v (spdopt bench es --help)", err)
	}
	if err := fill(file, f.out, func(w io.Writer) error { return bench.Write(w, f.suite, "spdopt", trials) }); err != nil {
		return err
	}
	if err := writePicture(f.svg, runningTimesPicture(f.suite, trials)); err != nil {
		return err
	}
	o := benchOutput{Schema: schema, Suite: f.suite, Out: f.out, Run: k.dir()}
	for _, n := range bench.Dims(trials) {
		t := bench.Select(trials, n, "")
		solved, rate := bench.Solved(t, len(bench.Targets())-1)
		o.Dims = append(o.Dims, benchSummary{Dim: n, Area: num(bench.Area(t, f.budget)), Solved: solved, Success: num(rate)})
	}
	if err := k.finish("all trials made", true, o); err != nil {
		return err
	}
	if !a.json {
		return bench.Table(a.out, trials)
	}
	return a.printJSON(o)
}

func (a *app) benchCompareCommand() *cobra.Command {
	allow, picture := 0.01, ""
	cmd := &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "Compare two results of bench es or spd; exit code 4 if the later one is worse",
		Long: "Compare two files of bench es, dimension by dimension, over the functions that both have: the exit code is 4 if an area fell by more than --allow. " +
			"Each function that both solve has a line: the expected running time to 1e-8 over the earlier one, its 95 % interval (bootstrap over the trials), and the trials that got there. " +
			"Or two of bench spd, over the cases that both have: then it is 4 if a case no longer converges, or the geometric mean of the times grew by a quarter and --allow.",
		Example: "  spdopt bench compare yesterday.json today.json --svg profile.svg",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("bench compare needs two files, got %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.benchCompare(args[0], args[1], allow, picture) },
	}
	cmd.Flags().Float64Var(&allow, "allow", allow, "how much an area may fall; its standard error is about 0.005")
	pictureFlag(cmd, &picture, "the performance profile of both")
	return cmd
}

func readBench(path string) (bench.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return bench.File{}, matio.SystemError(path, "open", err)
	}
	defer f.Close()
	r, err := bench.Read(f)
	if err != nil {
		return r, &matio.Error{File: path, What: err.Error()}
	}
	return r, nil
}

func (a *app) benchCompare(before, after string, allow float64, picture string) error {
	if !(allow >= 0) {
		return usagef("--allow must not be negative, got %v", allow)
	}
	if done, err := a.compareProblems(before, after, allow); done {
		return err
	}
	x, err := readBench(before)
	if err != nil {
		return err
	}
	y, err := readBench(after)
	if err != nil {
		return err
	}
	if x.Suite != y.Suite {
		return &matio.Error{File: after, What: fmt.Sprintf("is about %s, but %s about %s", y.Suite, before, x.Suite)}
	}
	if err := writePicture(picture, comparisonPicture(before, after, &x, &y)); err != nil {
		return err
	}
	o := comparisonOutput{Schema: schema}
	var worse []string
	for _, c := range bench.Compare(x.Trials, y.Trials) {
		o.Dims = append(o.Dims, newComparisonEntry(&c))
		if c.After < c.Before-allow {
			worse = append(worse, fmt.Sprintf("n = %d: %.3f after %.3f", c.Dim, c.After, c.Before))
		}
	}
	if len(o.Dims) == 0 {
		return &matio.Error{File: after, What: "has no dimension in common with " + before}
	}
	o.Worse = worse != nil
	if err := a.printComparison(&o); err != nil {
		return err
	}
	if o.Worse {
		return &unmetError{"the area fell: " + strings.Join(worse, "; ")}
	}
	return nil
}

func (a *app) printComparison(o *comparisonOutput) error {
	if a.json {
		return a.printJSON(o)
	}
	for _, c := range o.Dims {
		ratio := "no function solved by both"
		if r := float64(c.Ratio); !math.IsNaN(r) && r > 0 {
			ratio = fmt.Sprintf("evaluations x %.2f, worst %.2f at %s", r, float64(c.Worst), c.At)
		}
		lost := ""
		if c.Lost != nil {
			lost = "; no longer solved: " + strings.Join(c.Lost, ", ")
		}
		if _, err := fmt.Fprintf(a.out, "n = %-3d area %.3f -> %.3f; %s%s\n", c.Dim, float64(c.Before), float64(c.After), ratio, lost); err != nil {
			return err
		}
		for _, r := range c.Functions {
			if _, err := fmt.Fprintf(a.out, "  %-5s x %-5.2f [%.2f, %.2f]  solved %d of %d -> %d of %d\n",
				r.Function, float64(r.Ratio), float64(r.Low), float64(r.High), r.Before[0], r.Before[1], r.After[0], r.After[1]); err != nil {
				return err
			}
		}
	}
	return nil
}
