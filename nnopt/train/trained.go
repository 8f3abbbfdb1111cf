package train

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/spdopt/spdopt/nnopt/net"
)

// Trained is the network of a run with the data that it was trained on.
type Trained struct {
	Options  Options
	Workload Workload
	Net      *net.Net[float32]
	Step     int // of the checkpoint; 0 is the final model
	PerEpoch int // batches in a pass over the data

	task *task
}

// LoadTrained returns the network of the run in a folder: the final model, or that of the newest checkpoint of a run that did not end. It reads or
// generates the data anew; a run of another model, or a damaged one, is a *matio.Error.
func LoadTrained(folder string) (*Trained, error) {
	o := Options{Out: folder}
	r := &run{o: &o}
	if err := readJSON(r.path(runFile), &o); err != nil {
		return nil, err
	}
	o.Out = folder
	w, err := ByName(o.Workload)
	if err != nil {
		return nil, dataError(r.path(runFile), "%v", err)
	}
	if r.t, err = w.build(&o); err != nil {
		return nil, err
	}
	r.w, r.blocks = &w, r.t.net.Blocks()
	model, step, err := r.newestModel()
	if err != nil {
		return nil, err
	}
	if err := r.loadModel(model); err != nil {
		return nil, err
	}
	return &Trained{Options: o, Workload: w, Net: r.t.net, Step: step, PerEpoch: r.t.perEpoch, task: r.t}, nil
}

// newestModel returns the file of the final model, or of the newest checkpoint with its step.
func (r *run) newestModel() (path string, step int, err error) {
	if _, err := os.Stat(r.path(modelFile)); !errors.Is(err, fs.ErrNotExist) {
		return r.path(modelFile), 0, nil
	}
	if _, err := os.Stat(r.path(latestFile)); errors.Is(err, fs.ErrNotExist) {
		return "", 0, dataError(filepath.Clean(r.o.Out), "the run has no checkpoint yet")
	}
	var l latest
	if err := readJSON(r.path(latestFile), &l); err != nil {
		return "", 0, err
	}
	return r.stepPath(l.Step, "model"), l.Step, nil
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
