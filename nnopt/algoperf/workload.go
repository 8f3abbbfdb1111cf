package algoperf

import (
	"fmt"
	"math/rand/v2"

	"github.com/spdopt/spdopt/nnopt/net"
)

// Workload is something to train, with the rules of its race. The networks and data of a seed are the same for every submission.
type Workload struct {
	Name   string
	What   string
	Base   string // of a held-out variant: the workload that it gates; else ""
	Metric string
	Higher bool // a larger metric is better
	Needs  Need // files

	Batch     int     // examples in a step, unless the submission chooses otherwise
	StepHint  int     // steps of AdamW in the budget
	EvalEvery int     // the period of evaluations, in steps of AdamW
	Target    float64 // fixed by the authors of the workload; 0 is that of the target-setting procedure

	build func(*setup) (*Task, error)
}

// Need names a kind of data that comes from files.
type Need string

// The kinds of data; the empty one is generated from the seed of the workload.
const (
	NeedDigits Need = "digits"
	NeedText   Need = "text"
)

// Task is a workload made ready for one trial.
type Task struct {
	Net      *net.Net[float32]
	Examples int // of training
	// Batch returns the examples of step 0, 1, ...: a function of the seed and the step. They are valid until the next call.
	Batch func(step int) *net.Batch[float32]
	// Evaluate returns loss and metric on the validation set.
	Evaluate func() (loss, metric float64)
}

// setup is what a workload is built from.
type setup struct {
	data  *Data
	batch int
	seed  uint64
}

// Build makes the task of one trial. The seed decides the initial parameters and the order of the data, not the split into training and validation.
func (w *Workload) Build(d *Data, batch int, seed uint64) (*Task, error) {
	if batch < 1 {
		return nil, fmt.Errorf("%s: a batch of %d examples", w.Name, batch)
	}
	if w.build == nil {
		return nil, fmt.Errorf("workload %q is none of Workloads", w.Name)
	}
	if !d.isOpen() {
		return nil, errNoData
	}
	return w.build(&setup{d, batch, seed})
}

// Meets reports whether a metric is at least as good as the target.
func (w *Workload) Meets(metric, target float64) bool {
	return metric == target || w.Better(metric, target)
}

// Better reports whether metric a is better than b; a number that is not one never is.
func (w *Workload) Better(a, b float64) bool {
	if w.Higher {
		return a > b
	}
	return a < b
}

// variant returns a held-out variant of w with another network.
func (w Workload) variant(name, what string, build func(*setup) (*Task, error)) Workload {
	w.Base, w.Name, w.What, w.Target, w.build = w.Name, w.Name+"-"+name, what, 0, build
	return w
}

// Workloads lists all workloads, each followed by its variants.
func Workloads() (all []Workload) {
	for _, family := range [][]Workload{mnistMLP(), digitCNN(), charLM(), graphSBM(), digitDiffusion(), clickThrough(), digitAutoencoder()} {
		all = append(all, family...)
	}
	return all
}

// UnknownError says that there is no workload or submission of a name.
type UnknownError struct{ Kind, Name string }

// Error names it.
func (e *UnknownError) Error() string { return fmt.Sprintf("unknown %s %q", e.Kind, e.Name) }

// ByName returns the workload called name, or an *UnknownError.
func ByName(name string) (Workload, error) {
	for _, w := range Workloads() {
		if w.Name == name {
			return w, nil
		}
	}
	return Workload{}, &UnknownError{"workload", name}
}

// Draw returns the base workloads with one variant of each, drawn by the seed as the rules of v0.5 do it.
func Draw(all []Workload, seed uint64) (drawn []Workload) {
	r := rand.New(rand.NewPCG(seed, 0x616c676f70657266))
	for _, w := range all {
		if w.Base != "" {
			continue
		}
		drawn = append(drawn, w)
		var variants []Workload
		for _, v := range all {
			if v.Base == w.Name {
				variants = append(variants, v)
			}
		}
		if len(variants) > 0 {
			drawn = append(drawn, variants[r.IntN(len(variants))])
		}
	}
	return drawn
}
