package train

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/nnopt"
)

// Options say what to train and how. What is zero has its default.
type Options struct {
	Workload  string          `json:"workload"`
	Data      string          `json:"data,omitempty"`     // a path; default a generated set
	Optimizer string          `json:"optimizer"`          // default adamw
	Settings  json.RawMessage `json:"settings,omitempty"` // options of the optimizer
	LR        float64         `json:"lr,omitempty"`       // default of the workload, or of the optimizer
	Schedule  nnopt.Shape     `json:"schedule"`           // after a warm-up over 5 % of the steps; default cosine, constant for schedule-free
	Steps     int             `json:"steps"`              // default of the workload
	Epochs    float64         `json:"epochs,omitempty"`   // instead of Steps
	Batch     int             `json:"batch"`              // default of the workload
	EvalEvery int             `json:"eval_every"`         // steps between evaluations; default of the workload
	Merges    int             `json:"merges,omitempty"`   // byte-pair tokens to learn on top of the characters of a text; default none
	Target    *float64        `json:"target,omitempty"`   // stop when the metric is at least as good
	Patience  int             `json:"patience,omitempty"` // stop after this many evaluations without a better metric; 0 never
	Seed      uint64          `json:"seed"`
	DataSeed  *uint64         `json:"data_seed,omitempty"` // of generated data; default Seed
	Subset    []int           `json:"subset,omitempty"`    // numbers of the training examples to train on, for images and points; default all
	Device    string          `json:"device,omitempty"`    // of the optimizer and the network; default cpu
	Precision nnopt.Precision `json:"precision,omitempty"` // of products on the device; default of the optimizer (nnopt.Settings) and of the network (net.Use)

	Out string `json:"-"` // folder for the model and the pictures; default none

	// Checkpoint, if not nil, is given the state of the run after every evaluation, and when Stop ends it. An error ends the run.
	Checkpoint func(step int, state []byte) error `json:"-"`
	// Restore is the state to go on from, of a run with the same options; nil begins anew. A run that goes on ends with the bits of one that was not interrupted.
	Restore []byte `json:"-"`

	Progress  func(step, steps int, loss float64) `json:"-"` // called after every step
	Evaluated func(Point) error                   `json:"-"` // called after every evaluation; an error ends the run
	Stop      func() bool                         `json:"-"` // asked after every step; true writes a checkpoint and ends the run
}

// Check reports what is wrong with the options as far as that can be said without the data: an unknown workload or optimizer, or an *OptionError.
func (o Options) Check() error {
	_, err := o.Resolved()
	return err
}

// Resolved returns the options with the defaults that the workload and the optimizer's name decide. Steps stays 0 where Epochs, and so the data, decide; LR stays 0 where it is the
// optimizer's own. Errors are those of Check.
func (o Options) Resolved() (Options, error) {
	w, err := ByName(o.Workload)
	if err != nil {
		return o, err
	}
	if err := o.resolve(&w); err != nil {
		return o, err
	}
	if _, err := o.optimizer(); err != nil {
		return o, err
	}
	if o.Epochs == 0 {
		o.resolveSteps(&w, 0)
	}
	return o, nil
}

// resolve checks the options and fills in what does not depend on the data.
func (o *Options) resolve(w *Workload) error {
	if o.Optimizer == "" {
		o.Optimizer = "adamw"
	}
	for _, c := range []struct {
		name  string
		value float64
	}{{"lr", o.LR}, {"epochs", o.Epochs}, {"steps", float64(o.Steps)}, {"batch", float64(o.Batch)}, {"eval_every", float64(o.EvalEvery)},
		{"patience", float64(o.Patience)}, {"merges", float64(o.Merges)}} {
		if !(c.value >= 0) || math.IsInf(c.value, 1) {
			return &OptionError{c.name, fmt.Sprintf("must be a finite number that is not negative, not %v", c.value)}
		}
	}
	if o.Target != nil && *o.Target-*o.Target != 0 {
		return &OptionError{"target", fmt.Sprintf("must be a finite number, not %v", *o.Target)}
	}
	if o.Epochs > 0 && o.Steps > 0 {
		return &OptionError{"epochs", "contradicts steps; give one of them"}
	}
	if o.Merges > 0 && !w.text {
		return &OptionError{"merges", fmt.Sprintf("makes tokens of a text; %s has none", w.Name)}
	}
	if err := o.Precision.Validate(); err != nil {
		return &OptionError{"precision", fmt.Sprintf("must be %s, %s or %s, not %q", nnopt.FP32, nnopt.TF32, nnopt.BF16, o.Precision)}
	}
	if o.Batch == 0 {
		o.Batch = w.defaults.batch
	}
	if o.EvalEvery == 0 {
		o.EvalEvery = w.defaults.evalEvery
	}
	if o.LR == 0 {
		o.LR = w.defaults.lr[o.Optimizer]
	}
	if o.Schedule == "" {
		o.Schedule = scheduleFor(o.Optimizer)
	}
	return nil
}

// resolveSteps fills in the number of steps.
func (o *Options) resolveSteps(w *Workload, perEpoch int) {
	switch {
	case o.Epochs > 0:
		o.Steps = max(1, int(math.Round(o.Epochs*float64(perEpoch))))
		o.Epochs = 0
	case o.Steps == 0:
		o.Steps = w.defaults.steps
	}
}

// OptionError says which option, by its name in JSON, cannot be as it is.
type OptionError struct {
	Option string
	What   string
}

// Error returns "OPTION what".
func (e *OptionError) Error() string { return e.Option + " " + e.What }

// optimizer makes the optimizer that the options describe.
func (o *Options) optimizer() (nnopt.Optimizer[float32], error) {
	settings := map[string]any{}
	if len(o.Settings) > 0 {
		if err := json.Unmarshal(o.Settings, &settings); err != nil {
			return nil, &OptionError{"settings", "are not a JSON object: " + err.Error()}
		}
	}
	if o.LR > 0 {
		if _, twice := settings["lr"]; !twice {
			settings["lr"] = o.LR
		}
	}
	if o.Device != "" {
		settings["device"] = o.Device
	}
	if o.Precision != "" {
		settings["precision"] = o.Precision
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	return nnopt.New[float32](o.Optimizer, text)
}
