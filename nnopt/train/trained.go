package train

import (
	"bytes"
	"encoding/json"
	"iter"

	"github.com/spdopt/spdopt/nnopt/net"
)

// Trained is the network of a run with the data that it was trained on.
type Trained struct {
	Options  Options
	Workload Workload
	Net      *net.Net[float32]
	Step     int // of the state; 0 for a final model
	PerEpoch int // batches in a pass over the data

	task *task
}

// LoadTrained returns the network of a run with the given options whose final model is the content of a file (the model that Run leaves in Out). The data
// are read or generated anew. A model of another network is a *StateError.
func LoadTrained(o Options, model []byte) (*Trained, error) {
	w, err := ByName(o.Workload)
	if err != nil {
		return nil, err
	}
	if err := o.resolve(&w); err != nil {
		return nil, err
	}
	t, err := w.build(&o)
	if err != nil {
		return nil, err
	}
	r := &run{o: &o, w: &w, t: t, blocks: t.net.Blocks()}
	if err := r.loadModel(model); err != nil {
		return nil, err
	}
	return &Trained{Options: o, Workload: w, Net: t.net, PerEpoch: t.perEpoch, task: t}, nil
}

// LoadState returns the network of a state that a run gave to Options.Checkpoint; where, unless it is nil, may change the options that stand in it, such
// as a path. A damaged state is a *StateError.
func LoadState(state []byte, where func(*Options)) (*Trained, error) {
	head, body, found := bytes.Cut(state, []byte{'\n'})
	var h stateHeader
	if err := json.Unmarshal(head, &h); err != nil || !found || h.Format != stateFormat || h.Model < 0 || h.Model > len(body) {
		return nil, stateErrorf("is damaged, or of another version")
	}
	o := h.Result.Settings
	if where != nil {
		where(&o)
	}
	t, err := LoadTrained(o, body[:h.Model])
	if err != nil {
		return nil, err
	}
	t.Step = h.Step
	return t, nil
}

// Batches returns the first count batches of training, the same in every pass; a batch is valid until the next one.
func (t *Trained) Batches(count int) iter.Seq[*net.Batch[float32]] {
	return func(yield func(*net.Batch[float32]) bool) {
		for step := range count {
			if !yield(t.task.batch(step)) {
				return
			}
		}
	}
}

// Validation returns the data of validation in batches, the same in every pass.
func (t *Trained) Validation() iter.Seq[*net.Batch[float32]] { return t.task.validation }
