package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/distribute"
	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/internal/run"
)

type workerFlags struct {
	objectiveFlags
	natsFlags
	run   string
	jobs  int
	once  bool
	drain time.Duration
}

func (a *app) workerCommand() *cobra.Command {
	f := &workerFlags{}
	cmd := &cobra.Command{
		Use:   "worker --nats URL (--cmd COMMAND | --wasm FILE | --expr TEXT | --fn NAME)",
		Short: "Evaluate objectives for a distributed run",
		Long: `Evaluate for runs that were started with minimize --distributed or --nats, on any number of machines. The objective is given here as it was there: a worker whose program differs is refused; --objective-version on
both sides names it by hand.

A worker takes evaluations as it has room for them, and waits while there is no run, no work or no server. An evaluation whose worker is silent for the run's --ack-wait is
given to another. On the first SIGINT or SIGTERM a worker takes nothing more, finishes what it is at, delivers it, and ends with 130 or 143.

The token of the server comes from SPDOPT_TOKEN or --token-file.`,
		Example: `  spdopt worker --nats nats://127.0.0.1:4222 --cmd ./objective.py --jobs 4
  spdopt worker --nats tls://queue.example.org --nats-creds me.creds --cmd ./simulate --timeout 10m --once`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.worker(cmd, f) },
	}
	f.objectiveFlags.registerSource(cmd)
	f.natsFlags.register(cmd, "nats://127.0.0.1:4222", "address of the NATS server of the run")
	flags := cmd.Flags()
	flags.StringVar(&f.run, "run", "", "identifier of the only run to work for; the default is any of this objective")
	flags.IntVar(&f.jobs, "jobs", 1, "evaluations at once")
	flags.BoolVar(&f.once, "once", false, "end when the run is over, instead of waiting for the next")
	flags.DurationVar(&f.drain, "drain", 30*time.Second, "how long evaluations under way may still take when the worker is told to end; 0 for as long as they need")
	return cmd
}

func (a *app) worker(cmd *cobra.Command, f *workerFlags) error {
	if err := f.objectiveFlags.check(cmd); err != nil {
		return err
	}
	if err := f.checkLogin(); err != nil {
		return err
	}
	switch {
	case f.jobs < 1 || f.jobs > 4096:
		return usagef("--jobs must be 1 to 4096, not %d", f.jobs)
	case f.drain < 0:
		return usagef("--drain must not be negative")
	case f.run != "":
		if err := (&distribute.Spec{Run: f.run, Dim: 1}).Validate(); err != nil {
			return usagef("--run: %v", err)
		}
	}
	version, err := f.objectiveVersion(f.version)
	if err != nil {
		return err
	}
	f.errors.to = a.err
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	o := distribute.WorkerOptions{
		Name: fmt.Sprintf("%s-%d", host, os.Getpid()), Run: f.run, Version: version, Jobs: f.jobs, Once: f.once, Drain: f.drain, Open: f.open, Log: a.note,
	}
	conn, err := a.dial(a.ctx, &f.natsFlags, o.Name)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = distribute.Work(a.ctx, conn, o)
	_ = conn.FlushTimeout(time.Second) // acknowledgements; the server may be gone with the run
	var signal interrupted
	if errors.As(err, &signal) {
		return haltedf(signal, "interrupted: no more evaluations are taken, those under way were delivered or given back")
	}
	return err
}

// open makes the evaluator for a run.
func (f *workerFlags) open(s *distribute.Spec) (objective.Evaluator, error) {
	function, err := f.builtin(s.Dim)
	if err != nil {
		return nil, err
	}
	f.constraints = s.Constraints
	eval, done, err := f.evaluator(&esadapt.Options{Dim: s.Dim, Seed: s.Seed, Lower: floats(s.Lower), Upper: floats(s.Upper)}, function, f.jobs)
	if err != nil {
		return nil, err
	}
	return opened{eval, done}, nil
}

// opened is an evaluator as an objective.Evaluator.
type opened struct {
	evaluator
	done func()
}

// Evaluate implements objective.Evaluator.
func (o opened) Evaluate(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
	return o.evaluator(ctx, id, x)
}

// Close implements objective.Evaluator.
func (o opened) Close() { o.done() }

// floats is nil for nothing, which means that there are no bounds.
func floats(v []run.Num) []float64 {
	var all []float64
	for _, x := range v {
		all = append(all, float64(x))
	}
	return all
}
