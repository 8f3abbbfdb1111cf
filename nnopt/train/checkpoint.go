package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spdopt/spdopt/internal/atomicfile"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/safetensors"
	"github.com/spdopt/spdopt/nnopt"
)

// The files of a run. A checkpoint is a pair of files of one step; the latest file names the step of the newest complete pair and is written last.
const (
	runFile    = "run.json"
	latestFile = "latest.json"
	modelFile  = "model.safetensors"
	resultFile = "result.json"
	curveFile  = "curve.svg"
	sampleFile = "samples.svg"
)

func dataError(file, format string, args ...any) error {
	if file == "" {
		file = "generated data"
	}
	return &matio.Error{File: file, What: fmt.Sprintf(format, args...)}
}

// latest is the progress of a run at a checkpoint.
type latest struct {
	Step    int     `json:"step"`
	LossSum float64 `json:"loss_sum"`
	Result  Result  `json:"result"`
}

func (r *run) path(name string) string { return filepath.Join(r.o.Out, name) }

func (r *run) stepPath(step int, kind string) string {
	return r.path(fmt.Sprintf("step-%08d.%s.safetensors", step, kind))
}

// prepare makes the folder of a new run, or loads the newest checkpoint of one that goes on.
func (r *run) prepare() error {
	if r.o.Out == "" {
		return nil
	}
	if r.o.Resume {
		return r.load()
	}
	if err := os.MkdirAll(r.o.Out, 0o777); err != nil {
		return fmt.Errorf("cannot make the folder of the run: %w", err)
	}
	if _, err := os.Stat(r.path(runFile)); err == nil {
		return &OptionError{"out", fmt.Sprintf("%s holds a run already; resume it or name another folder", r.o.Out)}
	}
	return writeJSON(r.path(runFile), r.o)
}

// save writes a checkpoint and removes the one before the last.
func (r *run) save() error {
	if r.o.Out == "" {
		return nil
	}
	model, err := r.model()
	if err != nil {
		return err
	}
	state, err := r.opt.State().MarshalBinary()
	if err != nil {
		return err
	}
	r.result.Seconds = r.before + time.Since(r.since).Seconds()
	if err := writeFile(r.stepPath(r.step, "model"), model); err != nil {
		return err
	}
	if err := writeFile(r.stepPath(r.step, "state"), state); err != nil {
		return err
	}
	if err := writeJSON(r.path(latestFile), latest{r.step, r.lossSum, r.result}); err != nil {
		return err
	}
	return r.prune()
}

// prune removes checkpoints that are older than the last two.
func (r *run) prune() error {
	models, err := filepath.Glob(r.path("step-*.model.safetensors"))
	if err != nil {
		return err
	}
	for i := 0; i+2 < len(models); i++ {
		var step int
		if _, err := fmt.Sscanf(filepath.Base(models[i]), "step-%d", &step); err != nil {
			continue
		}
		for _, kind := range []string{"model", "state"} {
			if err := os.Remove(r.stepPath(step, kind)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// model returns the parameters and the arrays of the layers as a safetensors file.
func (r *run) model() ([]byte, error) {
	f := &safetensors.File{Metadata: map[string]string{"workload": r.w.Name}}
	for _, b := range r.saved() {
		f.Tensors = append(f.Tensors, safetensors.Tensor{Name: b.Name, Shape: []int{b.Rows, b.Cols}, F32: b.Value})
	}
	var out bytes.Buffer
	err := safetensors.Write(&out, f)
	return out.Bytes(), err
}

func (r *run) saved() []nnopt.Block[float32] {
	return append(append([]nnopt.Block[float32](nil), r.blocks...), r.t.net.Arrays()...)
}

// load takes over the newest checkpoint; a run that ended before its first one starts again.
func (r *run) load() error {
	var before Options
	if err := readJSON(r.path(runFile), &before); err != nil {
		return err
	}
	if err := sameRun(before, *r.o); err != nil {
		return err
	}
	if _, err := os.Stat(r.path(latestFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var l latest
	if err := readJSON(r.path(latestFile), &l); err != nil {
		return err
	}
	if err := r.loadModel(r.stepPath(l.Step, "model")); err != nil {
		return err
	}
	if err := r.loadState(r.stepPath(l.Step, "state")); err != nil {
		return err
	}
	r.step, r.lossSum, r.before = l.Step, l.LossSum, l.Result.Seconds
	l.Result.Settings = *r.o
	r.result = l.Result
	if r.result.Reason == Stopped {
		r.result.Reason = ""
	}
	return nil
}

func (r *run) loadModel(path string) error {
	model, err := readTensors(path)
	if err != nil {
		return err
	}
	for _, b := range r.saved() {
		t := model.Tensor(b.Name)
		if t == nil || len(t.F32) != b.Len() || len(t.Shape) != 2 || t.Shape[0] != b.Rows {
			return dataError(path, "block %q of %d x %d is not there; it is a checkpoint of another model", b.Name, b.Rows, b.Cols)
		}
		copy(b.Value, t.F32)
	}
	return nil
}

func (r *run) loadState(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return dataError(path, "cannot be read: %v", err)
	}
	var st nnopt.State[float32]
	if err := st.UnmarshalBinary(content); err != nil {
		return dataError(path, "%v", err)
	}
	if err := r.opt.SetState(st); err != nil {
		return dataError(path, "%v", err)
	}
	return nil
}

// sameRun demands that the options of a run that goes on are those that it began with.
func sameRun(before, now Options) error {
	was, err := optionMap(before)
	if err != nil {
		return err
	}
	is, err := optionMap(now)
	if err != nil {
		return err
	}
	keys := []string{"workload", "optimizer"} // the others may follow from these
	keys = append(keys, slices.Sorted(maps.Keys(was))...)
	keys = append(keys, slices.Sorted(maps.Keys(is))...)
	for _, key := range keys {
		if !bytes.Equal(was[key], is[key]) {
			return &OptionError{key, fmt.Sprintf("is %s, but the run began with %s", orNothing(is[key]), orNothing(was[key]))}
		}
	}
	return nil
}

func orNothing(v json.RawMessage) string {
	if len(v) == 0 {
		return "not set"
	}
	return string(v)
}

func optionMap(o Options) (m map[string]json.RawMessage, err error) {
	text, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

// finish writes the results.
func (r *run) finish() error {
	if r.o.Out == "" || r.result.Reason == Stopped {
		return nil
	}
	err := r.averaged(func() error {
		model, err := r.model()
		if err != nil {
			return err
		}
		if r.t.picture != nil {
			if err := writeFile(r.path(sampleFile), []byte(r.t.picture())); err != nil {
				return err
			}
		}
		return writeFile(r.path(modelFile), model)
	})
	if err != nil {
		return err
	}
	if err := writeFile(r.path(curveFile), []byte(r.curves().SVG())); err != nil {
		return err
	}
	return writeJSON(r.path(resultFile), r.result)
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'))
}

func writeFile(path string, content []byte) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return fmt.Errorf("%s: cannot write: %w", path, err)
	}
	defer f.Abort()
	if _, err := f.Write(content); err != nil {
		return fmt.Errorf("%s: cannot write: %w", path, err)
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("%s: cannot write: %w", path, err)
	}
	return nil
}

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return dataError(path, "cannot be read: %v; the folder holds no run to resume", err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return dataError(path, "%v", err)
	}
	return nil
}

func readTensors(path string) (*safetensors.File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, dataError(path, "cannot be read: %v", err)
	}
	f, err := safetensors.Read(content)
	if err != nil {
		return nil, dataError(path, "%v", err)
	}
	return f, nil
}
