//go:build cuda && cgo && linux

package devicetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/cuda"
	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/cuda/kernels"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
	"github.com/spdopt/spdopt/nnopt/train"
)

var present bool

func TestMain(m *testing.M) {
	var err error
	if present, err = emu.Use(kernels.Source, "../include"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func needDevice(t *testing.T) {
	t.Helper()
	if !present {
		t.Skip("neither a GPU nor a C++ compiler for the emulation")
	}
}

// second is another device than the first, where there is one.
func second() string {
	if _, err := cuda.Open(1); err != nil {
		return "cuda"
	}
	return "cuda:1"
}

// blocks returns a matrix, a wide matrix and a vector of normal numbers.
func blocks[T nnopt.Float](r *rand.Rand) (all []nnopt.Block[T]) {
	for k, shape := range [][2]int{{9, 6}, {5, 12}, {1, 7}} {
		b := nnopt.Block[T]{Name: fmt.Sprintf("block%d", k), Rows: shape[0], Cols: shape[1]}
		for range b.Len() {
			b.Value, b.Grad = append(b.Value, T(r.NormFloat64())), append(b.Grad, 0)
		}
		all = append(all, b)
	}
	return all
}

// options that a run needs beside the defaults, so that what an optimizer does in intervals is done.
var options = map[string]map[string]any{
	// The eigenbasis of the moment of a few gradients is arbitrary in its null space: the first one is taken when there is none.
	"shampoo":           {"beta2": 0.9, "start": 9},
	"eshampoo":          {"start": 9},
	"soap":              {"start": 9},
	"adamw":             {"narrow_moment": true},
	"sgd":               {"nesterov": true, "momentum": 0.9},
	"spectral":          {"interval": 2},
	"root-free-rmsprop": {"momentum": 0.8},
}

// descend takes steps with seeded gradients and returns the parameters.
func descend[T nnopt.Float](t *testing.T, name, device string, steps int, own map[string]any) []nnopt.Block[T] {
	t.Helper()
	set := map[string]any{"lr": 0.01, "decay": 0.1, "device": device}
	maps.Copy(set, own)
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	opt, err := nnopt.New[T](name, text)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 5))
	all := blocks[T](r)
	if err := opt.Init(all); err != nil {
		t.Fatal(err)
	}
	for range steps {
		for k := range all {
			for i := range all[k].Grad {
				all[k].Grad[i] = T(r.NormFloat64()) + all[k].Value[i]
			}
		}
		if _, err := opt.Step(all, nnopt.StepInfo{LRScale: 1, BatchSize: 8}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// more are options with which an optimizer computes in other ways.
var more = []struct {
	name    string
	options map[string]any
}{
	{"shampoo", map[string]any{"beta2": 0.9, "start": 9, "sweeps": true}},
	{"eshampoo", map[string]any{"start": 9, "sweeps": true}},
	{"shampoo", map[string]any{"beta2": 0.9, "start": 9, "roots": "newton"}},
	{"shampoo", map[string]any{"beta2": 0.9, "start": 9, "roots": "series"}},
	{"shampoo", map[string]any{"beta2": 0.9, "start": 9, "kl": true, "trace_scaling": true, "graft": "rmsprop"}},
	{"shampoo", map[string]any{"beta2": 0.9, "start": 9, "pseudo_inverse": true, "graft": "none"}},
	{"eshampoo", map[string]any{"start": 9, "tol": 0.2}},
	{"eshampoo", map[string]any{"start": 9, "interval": 2, "trace_scaling": true}},
	{"soap", map[string]any{"start": 9, "iterations": 3, "tol": 0.05}},
	{"soap", map[string]any{"start": 9, "library_order": true}},
	{"spectral", map[string]any{"statistics": "shampoo", "tol": 0.1}},
	{"spectral", map[string]any{"drop": true, "bfloat16": true}},
	{"spectral", map[string]any{"published": true}},
	{"muon", map[string]any{"exact": true, "nesterov": true}},
}

// TestMoreOptions is TestOptimizers for them, in float64: to 1e-8, 1e-2 where moments are stored in bfloat16.
func TestMoreOptions(t *testing.T) {
	needDevice(t)
	for _, c := range more {
		t.Run(fmt.Sprint(c.name, c.options), func(t *testing.T) {
			tol := 1e-8
			if c.options["bfloat16"] == true {
				tol = 1e-2
			}
			compare(t, descend[float64](t, c.name, "cuda", 12, c.options), descend[float64](t, c.name, "cpu", 12, c.options), tol)
		})
	}
}

// TestOptimizers: after 12 steps the parameters of every optimizer of the registry in float64 are those of the processor, to 1e-10 of the largest parameter, 1e-3 where
// a moment is stored in bfloat16. TestPrecisions does the same for float32.
func TestOptimizers(t *testing.T) {
	needDevice(t)
	for _, e := range nnopt.Optimizers() {
		t.Run(e.Name, func(t *testing.T) {
			tol := 1e-10
			if e.Name == "adamw" {
				tol = 1e-3
			}
			compare(t, descend[float64](t, e.Name, "cuda", 12, options[e.Name]), descend[float64](t, e.Name, "cpu", 12, options[e.Name]), tol)
		})
	}
}

func compare[T nnopt.Float](t *testing.T, got, want []nnopt.Block[T], tol float64) {
	t.Helper()
	for k := range want {
		top := 0.0
		for _, v := range want[k].Value {
			top = max(top, math.Abs(float64(v)))
		}
		for i, v := range want[k].Value {
			if d := math.Abs(float64(got[k].Value[i] - v)); !(d <= tol*top) {
				t.Errorf("%s, element %d: %v, want %v", want[k].Name, i, got[k].Value[i], v)
				return
			}
		}
	}
}

// TestLayers: the gradients and the Hessian-vector products of every layer are those of the processor, to 1e-11 in float64.
func TestLayers(t *testing.T) {
	needDevice(t)
	for _, e := range net.Layers() {
		t.Run(e.Name, func(t *testing.T) {
			run := func(device string) (all []float64) {
				r := rand.New(rand.NewPCG(1, 2))
				x := e.Example(r)
				n := net.New(x.Layer, net.NewSquare[float64](false), 7)
				if err := n.Use(device); err != nil {
					t.Fatal(err)
				}
				b := net.Batch[float64]{X: x.X, N: x.N}
				out := n.Forward(&b)
				b.Target.Values = net.Matrix[float64]{Rows: out.Rows, Cols: out.Cols, Stride: out.Cols, Data: make([]float64, out.Rows*out.Cols)}
				for i := range b.Target.Values.Data {
					b.Target.Values.Data[i] = r.NormFloat64()
				}
				all = append(all, n.Gradient(&b))
				for _, block := range n.Blocks() {
					all = append(all, block.Grad...)
				}
				v := make([]float64, n.Dim())
				for i := range v {
					v[i] = r.NormFloat64()
				}
				all = append(all, n.HVP(&b, v, v))
				return append(all, v...)
			}
			got, want := run("cuda"), run("cpu")
			for i, v := range want {
				if !(math.Abs(got[i]-v) <= 1e-11*(1+math.Abs(v))) {
					t.Fatalf("number %d of %d: %v, want %v", i, len(want), got[i], v)
				}
			}
		})
	}
}

// TestTrain: a run on the device ends where a run on the processor ends.
func TestTrain(t *testing.T) {
	needDevice(t)
	for _, name := range []string{"spectral", "singd", "kfac", "muon"} {
		t.Run(name, func(t *testing.T) { trains(t, name) })
	}
}

func trains(t *testing.T, optimizer string) {
	run := func(device string) *train.Result {
		r, err := train.Run(train.Options{Workload: "graph", Optimizer: optimizer, Steps: 6, EvalEvery: 3, Seed: 2, Device: device, Precision: nnopt.FP32})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	got, want := run(second()), run("cpu")
	if !(math.Abs(got.FinalLoss-want.FinalLoss) <= 1e-4*want.FinalLoss) {
		t.Errorf("loss %v, on the processor %v", got.FinalLoss, want.FinalLoss)
	}
	if !slices.ContainsFunc(got.History, func(p train.Point) bool { return p.Step == 6 }) {
		t.Error("the run has no last point")
	}
}

// TestNotHalfApplied: an optimizer that finds too little memory for its state says so when it is made, takes no step then, and takes its steps with what it reserved
// when it was made. (TestWholeOrNot: what happens to steps that fail.)
func TestNotHalfApplied(t *testing.T) {
	needDevice(t)
	if !emu.InUse() {
		t.Skip("not on the emulated driver")
	}
	opt, err := nnopt.NewSpectral[float32](nnopt.Spectral{Settings: nnopt.Settings{Device: "cuda"}})
	if err != nil {
		t.Fatal(err)
	}
	all := blocks[float32](rand.New(rand.NewPCG(1, 1)))
	var failed *engine.DeviceError
	emu.Limit(1)
	err = opt.Init(all)
	emu.Limit(8 << 30)
	if !errors.As(err, &failed) {
		t.Fatalf("Init without memory: %v", err)
	}
	if _, err := opt.Step(all, nnopt.StepInfo{LRScale: 1}); err == nil {
		t.Error("a step after it")
	}
	if err := opt.Init(all); err != nil {
		t.Fatal(err)
	}
	for k := range all {
		for i := range all[k].Grad {
			all[k].Grad[i] = 1
		}
	}
	before := slices.Clone(all[0].Value)
	emu.Limit(emu.Used())
	_, err = opt.Step(all, nnopt.StepInfo{LRScale: 1})
	emu.Limit(8 << 30)
	if err != nil || slices.Equal(before, all[0].Value) {
		t.Fatalf("a step with what was reserved: %v", err)
	}
}

// TestReserved: what an optimizer takes for its steps, refreshes of bases included, it takes when it is made.
func TestReserved(t *testing.T) {
	needDevice(t)
	if !emu.InUse() {
		t.Skip("not on the emulated driver")
	}
	for name, options := range map[string]string{"shampoo": ``, "eshampoo": ``, "soap": ``, "sirf-shampoo": `,"structure":"lower-toeplitz"`, "muon": ``} {
		opt, err := nnopt.New[float32](name, []byte(`{"device":"cuda"`+options+`}`))
		if err != nil {
			t.Fatal(err)
		}
		// What a call takes for an instant comes in pieces of at least 256 bytes, which matter for tiny matrices only.
		all := []nnopt.Block[float32]{{Name: "w", Rows: 40, Cols: 30, Value: make([]float32, 1200), Grad: make([]float32, 1200)}}
		if err := opt.Init(all); err != nil {
			t.Fatal(err)
		}
		before := emu.Used()
		for range 3 {
			for k := range all {
				for i := range all[k].Grad {
					all[k].Grad[i] = float32(i%5) - 1.5
				}
			}
			emu.Limit(emu.Used())
			_, err := opt.Step(all, nnopt.StepInfo{LRScale: 1})
			emu.Limit(8 << 30)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if after := emu.Used(); after > before {
			t.Errorf("%s: %d bytes at the start, %d after three steps", name, before, after)
		}
	}
}

// TestFailedRefresh: a step whose refresh fails on the device is an error, and the steps after it are taken.
func TestFailedRefresh(t *testing.T) {
	needDevice(t)
	if !emu.InUse() {
		t.Skip("not on the emulated driver")
	}
	for _, name := range []string{"soap", "eshampoo"} {
		opt, err := nnopt.New[float64](name, []byte(`{"device":"cuda"}`))
		if err != nil {
			t.Fatal(err)
		}
		all := blocks[float64](rand.New(rand.NewPCG(1, 1)))
		if err := opt.Init(all); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(2, 1))
		for step := range 5 {
			for k := range all {
				for i := range all[k].Grad {
					all[k].Grad[i] = r.NormFloat64()
				}
			}
			if step == 2 {
				emu.Fail("cuGraphLaunch", 2, 701)
			}
			_, err := opt.Step(all, nnopt.StepInfo{LRScale: 1})
			var failed *engine.DeviceError
			if wrong := step == 2; errors.As(err, &failed) != wrong || !wrong && err != nil {
				t.Errorf("%s, step %d: %v", name, step, err)
			}
		}
	}
}
