package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/nnopt/algoperf"
)

func (a *app) benchTargetCommand() *cobra.Command {
	f := &raceFlags{}
	var (
		p   algoperf.Procedure
		out string
	)
	cmd := &cobra.Command{
		Use:   "target",
		Short: "Find the targets of workloads by AlgoPerf's procedure",
		Long: `Tune AdamW, NadamW, Nesterov momentum and the heavy ball on each workload with quasi-random search over the whole budget, repeat the best tuning with other seeds, and
take the median of the best values as target. The published procedure has 200 trials and 20 repeats. --out holds the targets with their evidence; it is
written after each workload, and workloads that it has are left out, so that an interrupted search goes on.`,
		Example: `  spdopt bench target --suite full --trials 200 --repeats 20 --data data --out targets.json`,
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case out == "":
				return usagef("bench target: --out says where the targets go")
			case p.Trials < 1 || p.Repeats < 1:
				return usagef("--trials and --repeats must be positive")
			}
			return a.benchTarget(f, p, out)
		},
	}
	flags := cmd.Flags()
	f.add(flags)
	flags.IntVar(&p.Trials, "trials", 200, "tunings of each of the four")
	flags.IntVar(&p.Repeats, "repeats", 20, "repeats of the best")
	flags.StringVar(&out, "out", "", "the .json file of the targets")
	writtenLast(cmd, "out")
	return cmd
}

func (a *app) benchTarget(f *raceFlags, p algoperf.Procedure, out string) error {
	ws, err := f.chosen()
	if err != nil {
		return err
	}
	p.Data = f.source()
	t := &algoperf.Targets{}
	if _, err := os.Stat(out); err == nil {
		if t, err = readOr(out, algoperf.ReadTargets, nil); err != nil {
			return err
		}
	}
	t.Evidence = fmt.Sprintf("spdopt bench target --trials %d --repeats %d, %s %s/%s", p.Trials, p.Repeats, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	progress := a.newProgress()
	p.Progress = func(w, s string, trial, trials int) { progress.show("%s: %s, trial %d of %d", w, s, trial+1, trials) }
	for _, w := range ws {
		if slices.ContainsFunc(t.Workloads, func(e algoperf.Evidence) bool { return e.Workload == w.Name }) {
			continue
		}
		err := algoperf.FindTargets(a.ctx, t, p, []algoperf.Workload{w})
		progress.clear()
		if a.ctx.Err() != nil {
			return paused(a.ctx, out)
		}
		if err != nil {
			return err
		}
		if err := writeWith(out, t.WriteJSON); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(struct {
			Schema int `json:"schema"`
			*algoperf.Targets
		}{schema, t})
	}
	for _, e := range t.Workloads {
		fmt.Fprintf(a.out, "%-28s %.6g (median of %d repeats of %s: %.6g)\n", e.Workload, e.Target, len(e.Values), e.Winner, e.Median)
	}
	return nil
}

func (a *app) benchCostCommand() *cobra.Command {
	f := &raceFlags{}
	var out string
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Measure what a step of each submission costs, for bench nn --clock steps",
		Long: `Measure the processor time of a step of the submissions on the workloads, gradient included, in rounds that take turns with AdamW, and write seconds of AdamW and ratios
to it. It is written after each workload; an --out that is there is brought up to date. Set GOMAXPROCS=1 for costs on one core.`,
		Example: `  GOMAXPROCS=1 spdopt bench cost --suite full --opts all --data data --out costs.json`,
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			if out == "" {
				return usagef("bench cost: --out says where the costs go")
			}
			return a.benchCost(f, out)
		},
	}
	flags := cmd.Flags()
	f.add(flags)
	flags.StringSliceVar(&f.opts, "opts", []string{"all"}, "submissions (spdopt list submissions), or all")
	flags.StringVar(&out, "out", "", "the .json file of the costs")
	writtenLast(cmd, "out")
	return cmd
}

func (a *app) benchCost(f *raceFlags, out string) error {
	ws, err := f.chosen()
	if err != nil {
		return err
	}
	entries, err := f.entries()
	if err != nil {
		return err
	}
	c := &algoperf.Costs{}
	if _, err := os.Stat(out); err == nil {
		if c, err = readOr(out, algoperf.ReadCosts, nil); err != nil {
			return err
		}
	}
	c.Evidence = fmt.Sprintf("spdopt bench cost, %s %s/%s, %d threads", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	progress := a.newProgress()
	data := f.source()
	for i := range ws {
		err := algoperf.MeasureCosts(a.ctx, c, entries, ws[i:i+1], data, func(s, w string) { progress.show("%s on %s", s, w) })
		progress.clear()
		if err != nil {
			return err
		}
		if err := writeWith(out, c.WriteJSON); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(struct {
			Schema int `json:"schema"`
			*algoperf.Costs
		}{schema, c})
	}
	return printCosts(a.out, c, entries, ws)
}

func printCosts(w io.Writer, c *algoperf.Costs, entries []algoperf.Entry, ws []algoperf.Workload) error {
	for _, race := range ws {
		fmt.Fprintf(w, "%s: adamw %.3g ms", race.Name, 1e3*c.Step[race.Name])
		for _, e := range entries {
			if r := c.Ratio[e.Name][race.Name]; r > 0 {
				fmt.Fprintf(w, ", %s %.2f", e.Name, r)
			}
		}
		fmt.Fprintln(w)
	}
	return nil
}
