package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/run"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/train"
)

type trainFlags struct {
	train.Options
	schedule              string
	target                float64
	requireTarget, resume bool
	keep                  keepFlags
}

// trainOutput is the JSON object of "train".
type trainOutput struct {
	Schema int `json:"schema"`
	*train.Result
	Out string `json:"out,omitempty"`
}

func (a *app) trainCommand() *cobra.Command {
	f := &trainFlags{}
	cmd := &cobra.Command{
		Use:   "train WORKLOAD",
		Short: "Train a network with an optimizer of choice",
		Long: `Train a network: ` + strings.Join(workloadNames(), ", ") + ` (spdopt list workloads says what --data is), with one of the optimizers ` +
			strings.Join(optimizerNames(), ", ") + `. Without --data the data are generated.

The run is kept in a directory: its state is written at every evaluation and when the run is interrupted, and spdopt runs resume goes on from there, bit for bit. At the end the
directory holds the model (safetensors), result.json, curve.svg and, of diffusion, samples.svg.`,
		Example: `  spdopt train mnist-mlp
  spdopt train mnist-cnn --data mnist/ --opt nadamw --out runs/cnn
  spdopt train char-transformer --data text.txt --steps 1000 --json
  spdopt train graph --opt sgd --set '{"momentum":0.8,"nesterov":true}'`,
		Annotations: map[string]string{"set": "options of the optimizer"},
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && f.resume:
			case len(args) == 0:
				return usagef("train: name a workload: %s", strings.Join(workloadNames(), ", "))
			case len(args) > 1:
				return usagef("train takes one workload, got %q as well", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.resume && a.resume == nil {
				return a.resumeTrain(cmd, f, args)
			}
			f.Workload = args[0]
			if cmd.Flags().Changed("target") {
				f.Target = &f.target
			} else if f.requireTarget {
				return usagef("--require-target needs --target")
			}
			return a.train(cmd, args, f)
		},
	}
	a.choices[cmd] = f.choices
	flags := cmd.Flags()
	flags.StringVar(&f.Data, "data", "", "files to train on (spdopt list workloads); the default is a generated set")
	flags.StringVar(&f.Optimizer, "opt", "adamw", "optimizer: "+strings.Join(optimizerNames(), ", "))
	flags.Float64Var(&f.LR, "lr", 0, "peak learning rate; the default is the workload's or the optimizer's own")
	flags.StringVar(&f.schedule, "schedule", "", "course of the learning rate after a warm-up: constant, cosine, linear, inverse-root, step-down; the default suits the optimizer")
	flags.IntVar(&f.Steps, "steps", 0, "steps; the default is the workload's")
	flags.Float64Var(&f.Epochs, "epochs", 0, "passes over the data, instead of --steps")
	flags.IntVar(&f.Batch, "batch", 0, "examples in a step; the default is the workload's")
	flags.IntVar(&f.EvalEvery, "eval-every", 0, "steps between evaluations; the default is the workload's")
	flags.IntVar(&f.Merges, "merges", 0, "byte-pair tokens to learn on top of the characters (char-transformer)")
	flags.Float64Var(&f.target, "target", 0, "stop when the metric is at least as good")
	flags.BoolVar(&f.requireTarget, "require-target", false, "exit with code 4 if --target was not reached")
	flags.IntVar(&f.Patience, "patience", 0, "stop after this many evaluations without a better metric")
	flags.Uint64Var(&f.Seed, "seed", 1, "seed of the weights, the order of the data and generated sets")
	flags.StringVar(&f.Device, "device", "", "where the optimizer and the network compute: cpu, cuda, cuda:1; the default is cpu")
	flags.StringVar((*string)(&f.Precision), "precision", "", "of matrix products on the device: fp32, tf32, bf16; the default is tf32, of the optimizer spectral bf16")
	f.keep.register(cmd, "out", `directory of the run; the default is one below --runs; "none" keeps nothing`)
	flags.BoolVar(&f.resume, "resume", false, "go on with the run in --out, with its settings")
	return cmd
}

// choices are the defaults of the workload, as far as the data do not decide.
func (f *trainFlags) choices(args []string) map[string]choice {
	o := f.Options
	if len(args) > 0 {
		o.Workload = args[0]
	}
	o.Schedule = nnopt.Shape(f.schedule)
	o, err := o.Resolved()
	if err != nil {
		return nil
	}
	const workload, optimizer = "default of the workload", "default of the optimizer"
	made := map[string]choice{"batch": {strconv.Itoa(o.Batch), workload}, "eval-every": {strconv.Itoa(o.EvalEvery), workload},
		"steps": {strconv.Itoa(o.Steps), workload}, "schedule": {string(o.Schedule), optimizer},
		"target": {"", run.FromDefault}, "lr": {strconv.FormatFloat(o.LR, 'g', -1, 64), "default of the workload for " + run.Origin(o.Optimizer)}}
	if o.LR == 0 {
		made["lr"] = choice{"", optimizer}
	}
	if o.Epochs > 0 {
		made["steps"] = choice{"", "those of the epochs"}
	}
	return made
}

func workloadNames() (names []string) {
	for _, w := range train.Workloads() {
		names = append(names, w.Name)
	}
	return names
}

func optimizerNames() (names []string) {
	for _, e := range nnopt.Optimizers() {
		names = append(names, e.Name)
	}
	return names
}

func (a *app) train(cmd *cobra.Command, args []string, f *trainFlags) (err error) {
	o := f.Options
	o.Schedule = nnopt.Shape(f.schedule)
	if o.Settings, err = a.optimizerSettings(); err != nil {
		return err
	}
	if err := contradiction(cmd, o.Settings); err != nil {
		return err
	}
	if err := o.Check(); err != nil {
		return trainError(err)
	}
	k, err := a.keep(cmd, args, &f.keep, "train-"+o.Workload, o.Seed, true)
	if err != nil {
		return err
	}
	defer k.end(a.ctx, &err)
	if err := a.keepTraining(k, &o); err != nil {
		return err
	}
	progress := a.newProgress()
	o.Progress = func(step, steps int, loss float64) { progress.show("step %d of %d  loss %.4g", step, steps, loss) }
	o.Stop = func() bool { return a.ctx.Err() != nil }
	r, err := train.Run(o)
	progress.clear()
	if err != nil {
		return trainError(err)
	}
	if r.Reason == train.Stopped {
		return halfTrained(context.Cause(a.ctx), r.Steps, k != nil)
	}
	if err := k.finish(r.Reason, r.TargetMet, trainOutput{schema, r, k.dir()}); err != nil {
		return err
	}
	if err := a.reportTrain(r, k.dir()); err != nil {
		return err
	}
	if f.requireTarget && !r.TargetMet {
		return &unmetError{fmt.Sprintf("the best %s is %.4g after %d steps; the target is %g", r.Metric, r.BestMetric, r.Steps, f.target)}
	}
	return nil
}

// trainError turns mistakes in options into errors of usage.
func trainError(err error) error {
	var (
		workload  *train.UnknownError
		optimizer *nnopt.UnknownError
		option    *train.OptionError
		setting   *nnopt.OptionError
	)
	switch {
	case errors.As(err, &workload):
		return unknown("workload", workload.Name, "train", workloadNames(), "spdopt list workloads")
	case errors.As(err, &optimizer):
		return unknown("optimizer", optimizer.Name, "train", optimizerNames(), "spdopt list optimizers")
	case errors.As(err, &option):
		return usagef("--%s %s", flagOf(option.Option), option.What)
	case errors.As(err, &setting) && setting.Option == "schedule.shape":
		return usagef("--schedule %s", setting.What)
	case errors.As(err, &setting):
		return usagef("%v", setting)
	}
	return err
}

// flagOf returns the flag of an option of a run.
func flagOf(option string) string {
	switch option {
	case "optimizer":
		return "opt"
	case "settings":
		return "set"
	}
	return strings.ReplaceAll(option, "_", "-")
}

func (a *app) reportTrain(r *train.Result, out string) error {
	if a.json {
		return a.printJSON(trainOutput{schema, r, out})
	}
	where := out
	if where == "" {
		where = "not kept (--out none)"
	}
	a.pairs(
		[2]string{"workload", fmt.Sprintf("%s, %d parameters, %d examples", r.Workload, r.Parameters, r.Examples)},
		[2]string{"optimizer", r.Optimizer},
		[2]string{"steps", fmt.Sprintf("%d (%s)", r.Steps, r.Reason)},
		[2]string{"loss", fmt.Sprintf("%.4g", r.FinalLoss)},
		[2]string{r.Metric, fmt.Sprintf("%.4g (best %.4g at step %d)", r.FinalMetric, r.BestMetric, r.BestStep)},
		[2]string{"time", fmt.Sprintf("%.3g s", r.Seconds)},
		[2]string{"run", where},
	)
	return nil
}

// halfTrained says that a run was interrupted and what is left of it.
func halfTrained(cause error, step int, kept bool) error {
	if !kept {
		return haltedf(cause, "interrupted at step %d: nothing was written (leave out --out none)", step)
	}
	return haltedf(cause, "interrupted at step %d: its state is written", step)
}
