package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/run"
	"github.com/spdopt/spdopt/nnopt/train"
)

// trained returns the network of the run of train of that name: the final model, or the newest state of a run that did not end.
func (a *app) trained(name string) (*train.Trained, error) {
	folder, err := a.runDir(name)
	if err != nil {
		return nil, err
	}
	info, err := run.Inspect(folder)
	if err != nil {
		return nil, err
	}
	if info.Manifest.Verb != "train" {
		return nil, usagef("%s is a run of %s; a run of train is needed", folder, info.Manifest.Verb)
	}
	relocate := func(o *train.Options) {
		if o.Data != "" && !filepath.IsAbs(o.Data) {
			o.Data = filepath.Join(info.Manifest.Folder, o.Data)
		}
	}
	path := filepath.Join(folder, "model.safetensors")
	model, err := os.ReadFile(path)
	if err != nil || info.Result == nil {
		return unfinished(folder, relocate)
	}
	var value struct {
		Settings train.Options `json:"settings"`
	}
	if err := json.Unmarshal(info.Result.Value, &value); err != nil {
		return nil, &matio.Error{File: filepath.Join(folder, "result.json"), What: err.Error()}
	}
	relocate(&value.Settings)
	t, err := train.LoadTrained(value.Settings, model)
	return t, inFile(path, err)
}

// unfinished returns the network of the newest state of a run.
func unfinished(folder string, relocate func(*train.Options)) (*train.Trained, error) {
	r, err := run.Open(folder, run.Options{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	state := r.State()
	if state == nil || state.Kind != trainKind {
		return nil, &matio.Error{File: folder, What: "the run has neither a model nor a state yet"}
	}
	t, err := train.LoadState(state.Data, relocate)
	return t, inFile(folder, err)
}

// inFile names the file of a state or a model that cannot be used.
func inFile(path string, err error) error {
	if state, ok := err.(*train.StateError); ok {
		return &matio.Error{File: path, What: state.Error()}
	}
	return err
}
