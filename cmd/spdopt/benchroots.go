package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/roots/bench"
)

type rootBenchFlags struct {
	sizes               []int
	conds, powers, tols []float64
	budget              time.Duration
	prune, limit        float64
	out                 string
}

// rootBenchOutput is the JSON object of "bench roots".
type rootBenchOutput struct {
	Schema int          `json:"schema"`
	Suite  string       `json:"suite"`
	Limit  num          `json:"limit"`
	Worst  num          `json:"worst_ratio"`
	Within int          `json:"within_limit"`
	Count  int          `json:"compared"`
	Cases  []bench.Case `json:"cases"`
	Out    string       `json:"out,omitempty"`
	Ended  bool         `json:"interrupted,omitempty"` // before all cases were timed
}

func (a *app) benchRootsCommand() *cobra.Command {
	f := &rootBenchFlags{}
	cmd := &cobra.Command{
		Use:   "roots",
		Short: "Time every method of root pow and hold auto's choice against the best; exit code 4 if it is slower than --limit",
		Long: `Time every registered method that can form A^p, for matrices of several sizes, condition numbers and tolerances, and compare auto, its choice
included, with the fastest method that promises the tolerance. Processor time of one thread, least of several rounds. The exit code is 4 if auto is
slower than --limit times the best anywhere. An interruption ends it at once, with the cases that were timed.`,
		Example: `  spdopt bench roots --sizes 16,64 --powers=-0.5 --tols 1e-3,1e-8
  spdopt bench roots --json --out roots.json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return a.benchRoots(f) },
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&f.sizes, "sizes", []int{8, 16, 32, 64, 128, 256, 512}, "dimensions")
	numbersFlag(flags, &f.conds, "conds", []float64{1e2, 1e6}, "condition numbers")
	numbersFlag(flags, &f.powers, "powers", []float64{-0.5, -0.25, -1, 0.37}, "exponents")
	numbersFlag(flags, &f.tols, "tols", []float64{1e-3, 1e-8, 1e-14}, "tolerances; 0 asks for the best accuracy")
	flags.DurationVar(&f.budget, "budget", 100*time.Millisecond, "processor time for each method of a case, beyond the first calls")
	flags.Float64Var(&f.prune, "prune", 8, "skip methods predicted to be this many times slower than auto's choice")
	flags.Float64Var(&f.limit, "limit", 1.2, "how many times slower than the best auto may be")
	flags.StringVar(&f.out, "out", "", "write all timings to this .json file")
	return cmd
}

func (a *app) benchRoots(f *rootBenchFlags) error {
	if !(f.limit >= 1) {
		return usagef("--limit must be at least 1, not %v", f.limit)
	}
	c := bench.Config{Sizes: f.sizes, Conds: f.conds, Powers: f.powers, Tols: f.tols, Budget: f.budget, Prune: f.prune}
	if err := c.Validate(); err != nil {
		return usagef("%v (spdopt bench roots --help)", err)
	}
	file, err := reserve(f.out)
	if err != nil {
		return err
	}
	defer file.Abort()
	o := rootBenchOutput{Schema: schema, Suite: "roots", Limit: num(f.limit), Out: f.out}
	progress := a.newProgress()
	err = unlessInterrupted(a.ctx, func(g *guard) error {
		return bench.Run(a.ctx, c, func(r bench.Case) {
			g.touch(func() {
				progress.show("n = %d, power %g, condition %.0e, tolerance %.0e", r.N, r.Power, r.Cond, r.Tol)
				o.add(r, f.limit)
			})
		})
	})
	progress.clear()
	if o.Ended = a.ctx.Err() != nil; err != nil && !(o.Ended && len(o.Cases) > 0) {
		return err
	}
	worst, found := bench.Worst(o.Cases)
	if !found && !o.Ended {
		return errors.New("bench roots: no method promises any of the tolerances")
	}
	o.Worst = num(worst.Ratio)
	if err := fill(file, f.out, asJSON(o)); err != nil {
		return err
	}
	if err := a.printRootBench(&o, f.limit); err != nil {
		return err
	}
	if o.Ended {
		return cutShort(a.ctx, len(o.Cases), f.out)
	}
	return overLimit(worst, f.limit)
}

// add counts a case.
func (o *rootBenchOutput) add(r bench.Case, limit float64) {
	o.Cases = append(o.Cases, r)
	if r.Ratio > 0 {
		o.Count++
	}
	if r.Ratio > 0 && r.Ratio <= limit {
		o.Within++
	}
}

// cutShort says that a benchmark was interrupted and where the cases are that were measured.
func cutShort(ctx context.Context, cases int, file string) error {
	where := "standard output"
	if file != "" {
		where = file
	}
	return haltedf(context.Cause(ctx), "interrupted; cases measured: %d, in %s", cases, where)
}

// overLimit says where auto is slower than the limit allows.
func overLimit(worst bench.Case, limit float64) error {
	if worst.Ratio <= limit {
		return nil
	}
	return &unmetError{fmt.Sprintf("bench roots: auto took %.2f times as long as %s at n = %d, power %g, condition %.0e, tolerance %.0e (limit %.2f)",
		worst.Ratio, worst.Best, worst.N, worst.Power, worst.Cond, worst.Tol, limit)}
}

func (a *app) printRootBench(o *rootBenchOutput, limit float64) error {
	if a.json {
		return a.printJSON(o)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "n\tpower\tcondition\ttolerance\tauto\tus\tproducts\tbest\tratio\t")
	for _, r := range o.Cases {
		best, ratio, mark := r.Best, fmt.Sprintf("%.2f", r.Ratio), ""
		if r.Ratio == 0 {
			best, ratio = "none promises it", "-"
		}
		if r.Ratio > limit {
			mark = "over the limit"
		}
		fmt.Fprintf(w, "%d\t%.4g\t%.0e\t%.0e\t%s\t%.4g\t%.3g\t%s\t%s\t%s\n", r.N, r.Power, r.Cond, r.Tol, r.Auto.Method, 1e6*r.Auto.Seconds, r.Auto.Seconds/r.Product, best, ratio, mark)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "%d of %d within %.2f; worst %.2f\n", o.Within, o.Count, limit, float64(o.Worst))
	return err
}
