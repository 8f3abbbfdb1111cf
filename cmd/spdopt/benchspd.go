package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/manifold/problem/bench"
)

type problemBenchFlags struct {
	problems     []string
	sizes        []int
	kappas       []float64
	methods, out string
	repeats      int
	timeout      time.Duration
	tol          float64
}

// problemBenchOutput is the JSON object of "bench spd".
type problemBenchOutput struct {
	Schema    int                 `json:"schema"`
	Suite     string              `json:"suite"`
	Threads   int                 `json:"threads"`
	Converged int                 `json:"converged"`
	Count     int                 `json:"count"`
	Cases     []*problemBenchCase `json:"cases"`
	Out       string              `json:"out,omitempty"`
	Ended     bool                `json:"interrupted,omitempty"` // before all cases were measured
}

// problemBenchCase is one problem, size, condition and method. CPU is the processor time of all threads. Ratio is that time over that of the fastest
// method that converged.
type problemBenchCase struct {
	Problem         string       `json:"problem"`
	Method          string       `json:"method"`
	N               int          `json:"n"`
	Kappa           num          `json:"condition"`
	Count           int          `json:"count,omitempty"`
	CPU             num          `json:"cpu_seconds"`
	Wall            num          `json:"wall_seconds"`
	Ratio           num          `json:"ratio,omitempty"`
	Product         num          `json:"product_seconds"`
	PerIteration    num          `json:"products_per_iteration,omitempty"`
	Converged       bool         `json:"converged"`
	Reason          string       `json:"reason,omitempty"`
	Iterations      int          `json:"iterations"`
	Evaluations     int          `json:"evaluations"`
	HessianProducts int          `json:"hessian_products"`
	Relative        num          `json:"relative_gradient"`
	Certificate     *certificate `json:"certificate,omitempty"`
	Error           string       `json:"error,omitempty"`
}

func (a *app) benchProblemsCommand() *cobra.Command {
	f := &problemBenchFlags{}
	cmd := &cobra.Command{
		Use:   "spd",
		Short: "Run every problem of solve on generated data: time, iterations, certificates",
		Long: `Run problems of solve on seeded data of several sizes and condition numbers, and print the processor time of all threads and the time by the clock, each the
least of the repeats, with iterations and the distance to the optimum that is certified or estimated. GOMAXPROCS sets the number of threads: with one, both times
are about the same. "products" is the processor time of an iteration, everything else of the run included, in products of n x n matrices timed in the same
run; for a sum over matrices, for each of them. --methods all runs every method and states its processor time over that of the fastest one that converged.
Sizes beyond what the data of a problem are meant for are left out. An interruption ends it at once, with the runs that were measured.`,
		Example: `  spdopt bench spd --sizes 10,50,100
  spdopt bench spd --problems mean,tyler --methods all --sizes 50 --json --out spd.json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return a.benchProblems(f) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.problems, "problems", nil, "problems (spdopt list problems); the default is all")
	flags.IntSliceVar(&f.sizes, "sizes", []int{10, 50}, "orders of the matrices")
	numbersFlag(flags, &f.kappas, "conds", []float64{1e2, 1e6}, "condition numbers of the data")
	flags.StringVar(&f.methods, "methods", "default", "default (of each problem) or all")
	flags.IntVar(&f.repeats, "repeats", 3, "runs of which the least time counts")
	flags.DurationVar(&f.timeout, "timeout", 20*time.Second, "time at which a run is stopped")
	flags.Float64Var(&f.tol, "tol", 1e-8, "relative gradient at which a run has converged")
	flags.StringVar(&f.out, "out", "", "write all results to this .json file")
	return cmd
}

func (a *app) benchProblems(f *problemBenchFlags) error {
	if err := oneOf("--methods", f.methods, "default", "all"); err != nil {
		return err
	}
	for _, name := range f.problems {
		if !slices.Contains(problemNames(), name) {
			return unknown("problem", name, "bench spd", problemNames(), "spdopt list problems")
		}
	}
	if f.repeats < 1 || f.timeout <= 0 || !(f.tol > 0 && f.tol < 1) {
		return usagef("--repeats and --timeout must be positive, and --tol between 0 and 1")
	}
	file, err := reserve(f.out)
	if err != nil {
		return err
	}
	defer file.Abort()
	progress := a.newProgress()
	c := bench.Config{Problems: f.problems, Sizes: f.sizes, Kappas: f.kappas, All: f.methods == "all", Repeats: f.repeats, MaxTime: f.timeout, Tolerance: f.tol}
	var entries []bench.Entry
	err = unlessInterrupted(a.ctx, func(g *guard) error {
		_, err := bench.Run(a.ctx, c, func(e bench.Entry) {
			g.touch(func() {
				progress.show("%s by %s, n = %d, condition %.0e", e.Problem, e.Method, e.N, e.Kappa)
				entries = append(entries, e)
			})
		})
		return err
	})
	progress.clear()
	ended := a.ctx.Err() != nil
	switch {
	case ended && len(entries) == 0:
		return context.Cause(a.ctx)
	case err != nil && !ended:
		return usagef("%v (spdopt bench spd --help)", err)
	}
	o := newProblemBench(entries, f)
	o.Ended = ended
	if err := fill(file, f.out, asJSON(o)); err != nil {
		return err
	}
	if err := a.printProblemBench(o); err != nil || !ended {
		return err
	}
	return cutShort(a.ctx, len(entries), f.out)
}

func newProblemBench(entries []bench.Entry, f *problemBenchFlags) *problemBenchOutput {
	type group struct {
		problem string
		n       int
		kappa   float64
	}
	best := map[group]float64{}
	for _, e := range entries {
		g := group{e.Problem, e.N, e.Kappa}
		if t, known := best[g]; e.Converged && (!known || e.CPU < t) {
			best[g] = e.CPU
		}
	}
	o := &problemBenchOutput{Schema: schema, Suite: "spd", Threads: runtime.GOMAXPROCS(0), Count: len(entries), Out: f.out}
	for _, e := range entries {
		c := &problemBenchCase{Problem: e.Problem, Method: e.Method, N: e.N, Kappa: num(e.Kappa), Count: e.Count, CPU: num(e.CPU), Wall: num(e.Wall),
			Converged: e.Converged, Reason: e.Reason, Iterations: e.Iterations, Evaluations: e.Evaluations, HessianProducts: e.Products, Relative: num(e.Relative), Error: e.Error}
		c.Product, c.PerIteration = num(e.Product), num(e.PerIteration())
		if e.Error == "" {
			c.Certificate = &certificate{e.Certificate.Kind, num(e.Certificate.Value), e.Certificate.Bound}
		}
		if t := best[group{e.Problem, e.N, e.Kappa}]; f.methods == "all" && t > 0 {
			c.Ratio = num(e.CPU / t)
		}
		if e.Converged {
			o.Converged++
		}
		o.Cases = append(o.Cases, c)
	}
	return o
}

func (a *app) printProblemBench(o *problemBenchOutput) error {
	if a.json {
		return a.printJSON(o)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "problem\tmethod\tn\tcondition\tcpu ms\twall ms\tratio\titerations\tproducts\trelative gradient\tdistance\t")
	for _, c := range o.Cases {
		if c.Error != "" {
			fmt.Fprintf(w, "%s\t%s\t%d\t%.0e\t%s\n", c.Problem, c.Method, c.N, float64(c.Kappa), c.Error)
			continue
		}
		ratio, products, distance, mark := "", "-", "-", ""
		if c.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", float64(c.Ratio))
		}
		if c.PerIteration > 0 {
			products = fmt.Sprintf("%.1f", float64(c.PerIteration))
		}
		if c.Certificate.Kind != "none" && !math.IsInf(float64(c.Certificate.Value), 0) {
			relation := "~"
			if c.Certificate.Bound {
				relation = "<="
			}
			distance = fmt.Sprintf("%s %.2g", relation, float64(c.Certificate.Value))
		}
		if !c.Converged {
			mark = "not converged: " + c.Reason
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0e\t%.4g\t%.4g\t%s\t%d\t%s\t%.2g\t%s\t%s\n", c.Problem, c.Method, c.N, float64(c.Kappa), 1e3*float64(c.CPU),
			1e3*float64(c.Wall), ratio, c.Iterations, products, float64(c.Relative), distance, mark)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "%d of %d converged, %s\n", o.Converged, o.Count, counted(o.Threads, "thread"))
	return err
}
