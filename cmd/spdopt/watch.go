package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/monitor"
	"github.com/spdopt/spdopt/internal/run"
)

// watchEvery is the time between two looks at a run.
const watchEvery = 500 * time.Millisecond

func (a *app) watchCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "watch RUN",
		Short: "Watch a run in the terminal until it ends",
		Long: `Show the progress of a run, its best value as a curve of characters, and its workers, again and again until it ends or is interrupted. It only reads: the run does not notice. With
--once, or when standard output is no terminal, it is shown once.`,
		Example: "  spdopt watch 7f3a0c21",
		Args:    oneRun,
		RunE: func(_ *cobra.Command, args []string) error {
			views, err := a.views(args)
			if err != nil {
				return err
			}
			v := views[0]
			if once || a.json || !a.screen {
				return a.look(v)
			}
			return a.watch(v)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "show it once")
	return cmd
}

// watchOutput is the JSON object of "watch".
type watchOutput struct {
	Schema int `json:"schema"`
	runEntry
	Events      int   `json:"events"`
	Evaluations int   `json:"evaluations"`
	Failures    int   `json:"failures"`
	Open        int   `json:"open"`
	BestF       *num  `json:"best_f,omitempty"`
	Latest      []any `json:"latest"`
}

// look shows a run once.
func (a *app) look(v *monitor.View) error {
	if !a.json {
		_, err := fmt.Fprint(a.out, screen(v, time.Now()))
		return err
	}
	o := watchOutput{Schema: schema, runEntry: newRunEntry(v.Info), Events: v.Events, Evaluations: v.Told, Failures: v.Failed, Open: v.Open, Latest: []any{}}
	if !math.IsNaN(v.Best) {
		best := num(v.Best)
		o.BestF = &best
	}
	for _, n := range v.Latest {
		o.Latest = append(o.Latest, map[string]any{"name": n.Name, "value": num(n.Value)})
	}
	return a.printJSON(o)
}

// watch rewrites the screen whenever something is new.
func (a *app) watch(v *monitor.View) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	fmt.Fprint(a.out, "\x1b[2J")
	for {
		fmt.Fprint(a.out, "\x1b[H", strings.ReplaceAll(screen(v, time.Now()), "\n", "\x1b[K\n"), "\x1b[J")
		if v.Info.Status != run.Running {
			return nil
		}
		select {
		case <-a.ctx.Done():
			return haltedf(context.Cause(a.ctx), "interrupted: no longer watching; the run goes on")
		case <-tick.C:
		}
		if _, err := v.Refresh(); err != nil {
			return err
		}
	}
}

// screen is a run as text.
func screen(v *monitor.View, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s, last line %s ago\n\n", v.Name(), v.Title(), v.Age(now))
	for _, pair := range v.Summary() {
		fmt.Fprintf(&b, "%-16s %s\n", pair[0], pair[1])
	}
	for _, s := range v.Series {
		if line := monitor.Spark(s, sparkWidth); line != "" {
			fmt.Fprintf(&b, "%-16s %s\n", strings.ReplaceAll(s.Name, "_", " "), line)
		}
	}
	if len(v.Workers) > 1 {
		b.WriteString("\nworker           evaluations  failed  seconds each\n")
		for _, w := range v.Workers {
			fmt.Fprintf(&b, "%-16s %11d %7d %13.3g\n", w.Name, w.Told, w.Failed, w.Seconds/float64(w.Told))
		}
	}
	for _, f := range v.Failures[max(0, len(v.Failures)-3):] {
		fmt.Fprintf(&b, "evaluation %d failed: %s\n", f.ID, f.Error)
	}
	return b.String()
}

// sparkWidth is the number of characters of a curve.
const sparkWidth = 60
