package train

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// The files of a run.
const (
	modelFile  = "model.safetensors"
	curveFile  = "curve.svg"
	sampleFile = "samples.svg"
)

func dataError(file, format string, args ...any) error {
	if file == "" {
		file = "generated data"
	}
	return &matio.Error{File: file, What: fmt.Sprintf(format, args...)}
}

// stateHeader is the first line of a state; the model and the state of the optimizer follow, each a file of its own kind.
type stateHeader struct {
	Format  int     `json:"format"`
	Step    int     `json:"step"`
	LossSum float64 `json:"loss_sum"`
	Result  Result  `json:"result"`
	Model   int     `json:"model"` // bytes
	State   int     `json:"state"` // bytes
}

// stateFormat is the version of the state.
const stateFormat = 1

// StateError says that a state cannot be used.
type StateError struct{ What string }

// Error says what is wrong.
func (e *StateError) Error() string { return "the state of the training " + e.What }

func stateErrorf(format string, args ...any) error { return &StateError{fmt.Sprintf(format, args...)} }

// prepare makes the folder of the results, and takes over the state to go on from.
func (r *run) prepare() error {
	if r.o.Out != "" {
		if err := os.MkdirAll(r.o.Out, 0o777); err != nil {
			return fmt.Errorf("cannot make the folder of the results: %w", err)
		}
	}
	if r.o.Restore == nil {
		return nil
	}
	return r.restore(r.o.Restore)
}

func (r *run) path(name string) string { return filepath.Join(r.o.Out, name) }

// save hands out the state.
func (r *run) save() error {
	if r.o.Checkpoint == nil {
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
	head, err := json.Marshal(stateHeader{stateFormat, r.step, r.lossSum, r.result, len(model), len(state)})
	if err != nil {
		return err
	}
	return r.o.Checkpoint(r.step, slices.Concat(head, []byte{'\n'}, model, state))
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

// restore takes over a state of a run with the same options.
func (r *run) restore(content []byte) error {
	head, body, found := bytes.Cut(content, []byte{'\n'})
	var h stateHeader
	if err := json.Unmarshal(head, &h); err != nil || !found {
		return stateErrorf("is damaged: its first line is not whole")
	}
	switch {
	case h.Format > stateFormat:
		return stateErrorf("was written by a newer version (format %d, this one reads up to %d)", h.Format, stateFormat)
	case h.Format < 1 || h.Model < 0 || h.State < 0 || h.Model+h.State != len(body):
		return stateErrorf("is damaged: %d bytes where %d belong", len(body), h.Model+h.State)
	}
	if err := sameRun(h.Result.Settings, *r.o); err != nil {
		return err
	}
	if err := r.loadModel(body[:h.Model]); err != nil {
		return err
	}
	var st nnopt.State[float32]
	if err := st.UnmarshalBinary(body[h.Model:]); err != nil {
		return stateErrorf("is damaged: %v", err)
	}
	if err := r.opt.SetState(st); err != nil {
		return stateErrorf("does not fit: %v", err)
	}
	r.step, r.lossSum, r.before = h.Step, h.LossSum, h.Result.Seconds
	h.Result.Settings = *r.o
	r.result = h.Result
	if r.result.Reason == Stopped {
		r.result.Reason = ""
	}
	return nil
}

func (r *run) loadModel(content []byte) error {
	model, err := safetensors.Read(content)
	if err != nil {
		return stateErrorf("is damaged: %v", err)
	}
	for _, b := range r.saved() {
		t := model.Tensor(b.Name)
		if t == nil || len(t.F32) != b.Len() || len(t.Shape) != 2 || t.Shape[0] != b.Rows {
			return stateErrorf("has no block %q of %d x %d: it is that of another model", b.Name, b.Rows, b.Cols)
		}
		copy(b.Value, t.F32)
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

// finish writes the model and the pictures.
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
	return writeFile(r.path(curveFile), []byte(r.curves().SVG()))
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
