package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt/bench"
)

// trialEvent is a finished trial in the journal of "bench es".
type trialEvent struct {
	Trial bench.Trial `json:"trial"`
}

// keepTrials lets every finished trial go to the run, and takes over those that are there.
func (a *app) keepTrials(cmd *cobra.Command, f *benchFlags, c *bench.Config) (*keeper, error) {
	k, err := a.keep(cmd, nil, &f.keep, "bench-es", 0, false)
	if err != nil {
		return nil, err
	}
	c.Done = func(t bench.Trial) error {
		if err := k.event("trial", trialEvent{t}); err != nil {
			return err
		}
		return a.stream("trial", map[string]any{"trial": t})
	}
	if k == nil || !k.run.Resumed() {
		return k, nil
	}
	for e, err := range k.run.Tail("trial") {
		var one trialEvent
		if err == nil {
			err = json.Unmarshal(e.Raw, &one)
		}
		if err != nil {
			k.run.Close()
			return nil, err
		}
		c.Made = append(c.Made, one.Trial)
	}
	a.note("going on with %s after %d trials", k.dir(), len(c.Made))
	return k, nil
}
