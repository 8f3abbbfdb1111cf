package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/run"
	"github.com/spdopt/spdopt/nnopt/train"
)

// trainKind names the states of train.
const trainKind = "train"

// optimizerSettings returns the JSON object among the values of --set, nil if there is none.
func (a *app) optimizerSettings() (json.RawMessage, error) {
	own := a.ownSettings()
	switch {
	case len(own) == 0:
		return nil, nil
	case len(own) > 1:
		return nil, usagef("--set: %d JSON objects; put the options of the optimizer into one", len(own))
	case !json.Valid([]byte(own[0])):
		return nil, usagef("--set: not a JSON object: %s", own[0])
	}
	return json.RawMessage(own[0]), nil
}

// contradiction reports options of the optimizer that flags give, too.
func contradiction(cmd *cobra.Command, settings json.RawMessage) error {
	var own map[string]json.RawMessage
	if json.Unmarshal(settings, &own) != nil {
		return nil // the options are read, and refused, later
	}
	for _, name := range []string{"lr", "device", "precision"} {
		if _, set := own[name]; set && cmd.Flags().Changed(name) {
			return usagef("--%s contradicts %q in --set; give one of them", name, name)
		}
	}
	return nil
}

// keepTraining lets the states of a training go to the run, and the training begin at the last one.
func (a *app) keepTraining(k *keeper, o *train.Options) (err error) {
	o.Evaluated = func(p train.Point) error {
		fields := map[string]any{"step": p.Step, "train_loss": num(p.TrainLoss), "loss": num(p.Loss), "metric": num(p.Metric)}
		if err := k.event("iter", fields); err != nil {
			return err
		}
		return a.stream("iter", fields)
	}
	if k == nil {
		return nil
	}
	o.Out = k.dir()
	if o.Restore, err = k.state(trainKind); err != nil {
		return err
	}
	switch {
	case o.Restore != nil:
		a.note("going on with %s", k.dir())
	case a.resume != nil:
		a.note("%s has no state that can be read: the training begins at its first step", k.dir())
	}
	o.Checkpoint = func(step int, state []byte) error { return k.checkpoint(trainKind, uint64(step)+1, state) }
	return nil
}

// resumeTrain goes on with the run in --out. Settings that are given again must be those of the run.
func (a *app) resumeTrain(cmd *cobra.Command, f *trainFlags, args []string) error {
	if f.keep.dir == "" {
		return usagef("--resume needs the directory of the run: --out DIR")
	}
	m, err := run.ReadManifest(f.keep.dir)
	if err != nil {
		return err
	}
	if m.Verb != cmd.Name() {
		return usagef("%s is a run of %s (spdopt runs resume)", f.keep.dir, m.Verb)
	}
	if len(args) > 0 && !slices.Equal(args, m.Args) {
		return usagef("the workload is %q, but the run began with %q", args[0], strings.Join(m.Args, " "))
	}
	for _, s := range a.settings(cmd) {
		if s.Origin == run.FromDefault || s.Name == f.keep.flag || slices.Contains(presentation, s.Name) {
			continue
		}
		if was := m.Setting(s.Name); was != s.Value {
			return usagef("--%s is %q, but the run began with %q; leave it out: the settings are those of the run", s.Name, s.Value, was)
		}
	}
	return a.resumeRun(f.keep.dir, false, 0)
}
