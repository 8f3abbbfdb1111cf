package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/safetensors"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

// short is a run of a workload that takes a fraction of a second.
func short(name string) Options {
	o := Options{Workload: name, Steps: 12, EvalEvery: 5, Batch: 16, Seed: 3}
	switch name {
	case "graph":
		o.Batch = 1
	case "char-transformer":
		o.Steps, o.EvalEvery, o.Batch = 4, 4, 2
	case "mnist-cnn", "autoencoder":
		o.Steps, o.EvalEvery, o.Batch = 4, 4, 8
	}
	return o
}

func mustRun(t *testing.T, o Options) *Result {
	t.Helper()
	r, err := Run(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// timeless returns the history without times.
func timeless(r *Result) []Point {
	h := slices.Clone(r.History)
	for i := range h {
		h[i].Seconds = 0
	}
	return h
}

// TestWorkloads runs every workload with every thread count and demands equal numbers, finite losses and steps that allocate nothing.
func TestWorkloads(t *testing.T) {
	for _, w := range Workloads() {
		t.Run(w.Name, func(t *testing.T) {
			var first []Point
			for _, procs := range []int{1, 2, 8} {
				old := runtime.GOMAXPROCS(procs)
				h := timeless(mustRun(t, short(w.Name)))
				runtime.GOMAXPROCS(old)
				if first == nil {
					first = h
				}
				if !slices.Equal(first, h) {
					t.Errorf("GOMAXPROCS %d gives another history", procs)
				}
			}
			for _, p := range first {
				if p.Loss-p.Loss != 0 || p.Metric-p.Metric != 0 || p.TrainLoss <= 0 {
					t.Errorf("point %+v", p)
				}
			}
			allocations(t, w)
		})
	}
}

func allocations(t *testing.T, w Workload) {
	o := short(w.Name)
	if err := o.resolve(&w); err != nil {
		t.Fatal(err)
	}
	opt, err := o.optimizer()
	if err != nil {
		t.Fatal(err)
	}
	tk, err := w.build(&o)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{o: &o, w: &w, t: tk, opt: opt, blocks: tk.net.Blocks(), feed: net.NewFeed(tk.net, opt)}
	if err := opt.Init(r.blocks); err != nil {
		t.Fatal(err)
	}
	advance := func() {
		if err := r.advance(); err != nil {
			t.Fatal(err)
		}
	}
	advance()
	if n := allocs.PerRun(5, advance); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
}

// TestLearns: the quick workloads get far from where they start, with every optimizer.
func TestLearns(t *testing.T) {
	if testing.Short() {
		t.Skip("trains every optimizer")
	}
	for _, e := range nnopt.Optimizers() {
		r := mustRun(t, Options{Workload: "graph", Optimizer: e.Name, Seed: 1})
		if !(r.BestMetric > 0.8) || r.Steps != 200 {
			t.Errorf("%s: accuracy %v after %d steps on the graph", e.Name, r.BestMetric, r.Steps)
		}
	}
	target := 0.9
	r := mustRun(t, Options{Workload: "mnist-mlp", Seed: 1, EvalEvery: 20, Target: &target})
	if !r.TargetMet || r.Reason != "target reached" || r.Steps >= 1500 || r.FinalMetric < 0.9 {
		t.Errorf("target 0.9: %s after %d steps with %v", r.Reason, r.Steps, r.FinalMetric)
	}
}

// states collects what a run hands out.
func states(o *Options) *[][]byte {
	var all [][]byte
	o.Checkpoint = func(_ int, state []byte) error { all = append(all, state); return nil }
	return &all
}

// split cuts a state into the model and the state of the optimizer.
func split(t *testing.T, state []byte) (model, rest []byte) {
	t.Helper()
	head, body, _ := bytes.Cut(state, []byte{'\n'})
	var h stateHeader
	if err := json.Unmarshal(head, &h); err != nil {
		t.Fatal(err)
	}
	return body[:h.Model], body[h.Model:]
}

// TestResume: a run that is stopped twice and goes on ends with the same bits as one that is not, for every optimizer.
func TestResume(t *testing.T) {
	for _, e := range nnopt.Optimizers() {
		o := short("graph")
		o.Optimizer = e.Name
		whole := states(&o)
		straight := mustRun(t, o)
		parts := states(&o)
		for _, end := range []int{3, 9, 100} {
			taken := 0
			o.Progress = func(step, _ int, _ float64) { taken = step }
			o.Stop = func() bool { return taken == end }
			r := mustRun(t, o)
			o.Restore = (*parts)[len(*parts)-1]
			if end < 100 {
				if r.Reason != Stopped || r.Steps != end {
					t.Fatalf("%s: %q at step %d", e.Name, r.Reason, r.Steps)
				}
				continue
			}
			if !slices.Equal(timeless(r), timeless(straight)) {
				t.Errorf("%s: history %v, straight %v", e.Name, timeless(r), timeless(straight))
			}
			model, rest := split(t, o.Restore)
			wantModel, wantRest := split(t, (*whole)[len(*whole)-1])
			if !bytes.Equal(model, wantModel) || !bytes.Equal(rest, wantRest) {
				t.Errorf("%s: the last state differs", e.Name)
			}
		}
	}
}

func TestRunFolder(t *testing.T) {
	o := short("graph")
	o.Out = filepath.Join(t.TempDir(), "a", "b")
	mustRun(t, o)
	svg, err := os.ReadFile(filepath.Join(o.Out, curveFile))
	if err != nil || !strings.HasPrefix(string(svg), "<svg") || !strings.Contains(string(svg), "validation loss") {
		t.Errorf("curve %.80s, %v", svg, err)
	}
	content, err := os.ReadFile(filepath.Join(o.Out, modelFile))
	if err != nil {
		t.Fatal(err)
	}
	model, err := safetensors.Read(content)
	if err != nil || model.Tensor("1.weight") == nil || model.Tensor("1.weight").Shape[1] != 8 {
		t.Errorf("model: %v", err)
	}
}

func TestStatesOfOtherRunsAreRefused(t *testing.T) {
	o := short("graph")
	all := states(&o)
	r := mustRun(t, o)
	if len(*all) != 3 {
		t.Fatalf("%d states", len(*all))
	}
	o.Restore = (*all)[2]
	if again := mustRun(t, o); !slices.Equal(again.History, r.History) {
		t.Error("going on with a finished run changes its history")
	}
	var oe *OptionError
	for option, change := range map[string]func(*Options){
		"seed": func(o *Options) { o.Seed++ }, "optimizer": func(o *Options) { o.Optimizer = "sgd" }, "settings": func(o *Options) { o.Settings = []byte(`{"decay":0.1}`) },
		"workload": func(o *Options) { o.Workload = "autoencoder" },
	} {
		other := o
		change(&other)
		if _, err := Run(other); !errors.As(err, &oe) {
			t.Errorf("resumed with another %s: %v", option, err)
		}
	}
	whole := o.Restore
	model, rest := split(t, whole)
	head := len(whole) - len(model) - len(rest)
	newer := bytes.Replace(whole, []byte(`{"format":1,`), []byte(`{"format":2,`), 1)
	for name, spoiled := range map[string][]byte{
		"half": whole[:len(whole)/2], "empty": {}, "an object": []byte("{}\n"), "newer": newer, "without the last byte": whole[:len(whole)-1],
		"exchanged parts": slices.Concat(whole[:head], rest, model),
	} {
		o.Restore = spoiled
		var se *StateError
		if _, err := Run(o); !errors.As(err, &se) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.Restore = nil
	o.Checkpoint = func(int, []byte) error { return os.ErrPermission }
	if _, err := Run(o); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a checkpoint that fails: %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	target, nan := 1.0, math.NaN()
	for name, o := range map[string]Options{
		"target":   {Workload: "graph", Target: &nan},
		"epochs":   {Workload: "graph", Epochs: 1, Steps: 1},
		"steps":    {Workload: "graph", Steps: -1},
		"lr":       {Workload: "graph", LR: math.NaN()},
		"batch":    {Workload: "mnist-mlp", Batch: 1 << 20},
		"settings": {Workload: "graph", Settings: []byte("[1]")},
	} {
		var e *OptionError
		if _, err := Run(o); !errors.As(err, &e) || e.Option != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	var w *UnknownError
	if _, err := Run(Options{Workload: "sudoku"}); !errors.As(err, &w) {
		t.Errorf("unknown workload: %v", err)
	}
	var u *nnopt.UnknownError
	if _, err := Run(Options{Workload: "graph", Optimizer: "adagard"}); !errors.As(err, &u) {
		t.Errorf("unknown optimizer: %v", err)
	}
	var n *nnopt.OptionError
	if _, err := Run(Options{Workload: "graph", Settings: []byte(`{"momentum":2}`)}); !errors.As(err, &n) {
		t.Errorf("option of another optimizer: %v", err)
	}
	if _, err := Run(Options{Workload: "graph", Schedule: "zigzag", Target: &target}); !errors.As(err, &n) {
		t.Errorf("unknown schedule: %v", err)
	}
}

// TestSchedules: an optimizer that averages instead of a schedule has none.
func TestSchedules(t *testing.T) {
	for _, e := range nnopt.Optimizers() {
		want := nnopt.Cosine
		if e.Name == "schedule-free-sgd" || e.Name == "schedule-free-adamw" {
			want = nnopt.Constant
		}
		if got := scheduleFor(e.Name); got != want {
			t.Errorf("%s: %s, want %s", e.Name, got, want)
		}
	}
}

// TestLossStops: a run whose numbers overflow ends with the step, and the block or layer where it happened.
func TestLossStops(t *testing.T) {
	o := short("diffusion")
	o.Optimizer, o.LR, o.Steps, o.EvalEvery = "sgd", 1e35, 50, 50
	_, err := Run(o)
	var l *LossError
	if !errors.As(err, &l) || l.Step < 2 || !strings.Contains(l.Where, "layer ") && !strings.Contains(l.Where, "parameters ") {
		t.Errorf("a learning rate of 1e35 gives %v", err)
	}
}

func TestPatience(t *testing.T) {
	o := short("graph")
	o.LR, o.Steps, o.EvalEvery, o.Patience = 1e-12, 50, 1, 4
	r := mustRun(t, o)
	if !strings.Contains(r.Reason, "no better accuracy in 4") || r.Steps != 5 {
		t.Errorf("%q after %d steps", r.Reason, r.Steps)
	}
}

func TestEpochs(t *testing.T) {
	o := short("mnist-mlp")
	o.Steps, o.Epochs, o.Batch, o.EvalEvery = 0, 2, 1000, 4
	if r := mustRun(t, o); r.Steps != 8 { // 4,000 examples
		t.Errorf("%d steps for 2 epochs of 4 batches", r.Steps)
	}
}

func TestDataFromFiles(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "text.txt")
	if err := os.WriteFile(text, []byte(data.Sentences(3000, data.Stream(1, "t", 0))), 0o666); err != nil {
		t.Fatal(err)
	}
	o := short("char-transformer")
	o.Data = text
	mustRun(t, o)
	if err := os.WriteFile(text, []byte("too short"), 0o666); err != nil {
		t.Fatal(err)
	}
	tiny := filepath.Join(folder, "tiny.npz")
	writeNPZ(t, tiny, map[string]dense.Matrix[float64]{"x": dense.New[float64](40, 9), "y": dense.New[float64](40, 1)})
	small := short("mnist-mlp")
	small.Data = tiny
	mustRun(t, small)
	small.Workload = "mnist-cnn"
	if _, err := Run(small); err == nil || !strings.Contains(err.Error(), "too small") {
		t.Errorf("images of 3 x 3: %v", err)
	}
	bytes := dense.New[float64](40, 9)
	bytes.Set(3, 3, 255)
	negative := dense.New[float64](40, 9)
	negative.Set(3, 3, -1)
	for want, x := range map[string]dense.Matrix[float64]{"from 0 to 255, and pixels are from 0 to 1; divide x by 255": bytes, "from -1 to 0, and pixels are from 0 to 1; scale x": negative} {
		writeNPZ(t, tiny, map[string]dense.Matrix[float64]{"x": x, "y": dense.New[float64](40, 1)})
		for _, workload := range []string{"mnist-mlp", "autoencoder"} {
			wrong := short(workload)
			wrong.Data = tiny
			if _, err := Run(wrong); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", workload, err)
			}
		}
	}
	for workload, path := range map[string]string{
		"char-transformer": text, "mnist-mlp": folder, "mnist-cnn": filepath.Join(folder, "missing"), "graph": text, "diffusion": filepath.Join(folder, "none.npz"),
	} {
		o := short(workload)
		o.Data = path
		var e *matio.Error
		if _, err := Run(o); !errors.As(err, &e) {
			t.Errorf("%s on %s: %v", workload, path, err)
		}
	}
}

// TestMerges: byte-pair tokens change the vocabulary; the metric stays per character, and other workloads refuse the option.
func TestMerges(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(text, []byte(data.Sentences(6000, data.Stream(1, "t", 0))), 0o666); err != nil {
		t.Fatal(err)
	}
	o := short("char-transformer")
	o.Data = text
	plain := mustRun(t, o)
	o.Merges = 20
	pairs := mustRun(t, o)
	if plain.FinalMetric != plain.FinalLoss {
		t.Errorf("characters: loss %v, metric %v", plain.FinalLoss, plain.FinalMetric)
	}
	if ratio := pairs.FinalLoss / pairs.FinalMetric; !(ratio > 1.2 && ratio < 6) {
		t.Errorf("20 merges make tokens of %v characters", ratio)
	}
	if added := pairs.Parameters - plain.Parameters; added != 20*(2*textWidth+1) { // a row of the embedding, one of the output and its bias
		t.Errorf("20 merges add %d parameters", added)
	}
	var e *OptionError
	for name, bad := range map[string]Options{"other workload": {Workload: "graph", Merges: 5}, "negative": {Workload: "char-transformer", Merges: -1}} {
		if _, err := Run(bad); !errors.As(err, &e) || e.Option != "merges" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSamples: a run of the diffusion workload leaves a picture of its samples, the same for equal seeds.
func TestSamples(t *testing.T) {
	var pictures [2][]byte
	for k := range pictures {
		o := short("diffusion")
		o.Out = filepath.Join(t.TempDir(), "run")
		mustRun(t, o)
		var err error
		if pictures[k], err = os.ReadFile(filepath.Join(o.Out, sampleFile)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(pictures[0], pictures[1]) || bytes.Count(pictures[0], []byte("<circle")) != 2*sampleCount {
		t.Error("the pictures differ or lack points")
	}
}

// TestOtherModel: a state is refused when the data, and with them the network, have become others behind the same path.
func TestOtherModel(t *testing.T) {
	o := short("diffusion")
	o.Data = filepath.Join(t.TempDir(), "points.npz")
	all := states(&o)
	points := func(cols int) {
		writeNPZ(t, o.Data, map[string]dense.Matrix[float64]{"x": dense.New[float64](40, cols)})
	}
	points(2)
	mustRun(t, o)
	points(3)
	o.Restore = (*all)[len(*all)-1]
	var e *StateError
	if _, err := Run(o); !errors.As(err, &e) || !strings.Contains(err.Error(), "another model") {
		t.Errorf("points with another number of coordinates: %v", err)
	}
}

func writeNPZ(t *testing.T, path string, arrays map[string]dense.Matrix[float64]) {
	t.Helper()
	w, err := matio.Create(matio.Target{Path: path, Stack: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range arrays {
		if err := w.Add(name, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestLossAverage: SINGD and IKFAC get to know that the loss of the transformer is averaged over the positions of a window and that of the digits over
// examples: their run is bit for bit the one that is told so, and not the one that is told otherwise.
func TestLossAverage(t *testing.T) {
	for _, c := range [][3]string{{"char-transformer", "singd", "positions"}, {"mnist-mlp", "ikfac", "batch"}} {
		values := func(settings string) (all []float32) {
			r, err := begin(Options{Workload: c[0], Optimizer: c[1], Batch: 4, LR: 0.05, Seed: 1, Settings: json.RawMessage(settings)})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := r.advance(); err != nil {
					t.Fatal(err)
				}
			}
			for _, b := range r.blocks {
				all = append(all, b.Value...)
			}
			return all
		}
		told := values(`{"interval":1,"beta1":0.2}`)
		if !slices.Equal(told, values(`{"interval":1,"beta1":0.2,"average":"`+c[2]+`"}`)) {
			t.Errorf("%s on %s takes other steps when told that the loss is averaged over %s", c[1], c[0], c[2])
		}
		if slices.Equal(told, values(`{"interval":1,"beta1":0.2,"average":"sum"}`)) {
			t.Errorf("%s on %s does not see what the loss is averaged over", c[1], c[0])
		}
	}
}
