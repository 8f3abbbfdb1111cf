//go:build cuda && cgo && linux

package devicetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// counts is what the driver has been asked for.
type counts struct{ kernels, graphs, waits int }

func now() counts {
	if !emu.InUse() {
		return counts{}
	}
	return counts{emu.Calls("cuLaunchKernel"), emu.Calls("cuGraphLaunch"), emu.Calls("cuStreamSynchronize")}
}

func (c counts) since() counts {
	n := now()
	return counts{n.kernels - c.kernels, n.graphs - c.graphs, n.waits - c.waits}
}

func needEmulation(t *testing.T) {
	needDevice(t)
	if !emu.InUse() {
		t.Skip("not on the emulated driver")
	}
}

// graphed are optimizers with the graphs of a step from the seventh on, and the waits: for the norms of the gradients, and for the move. A step that brings bases
// up to date, every interval, waits at most so many times for all sizes of bases together.
var graphed = []struct {
	name, own        string
	graphs, waits    int
	interval, atMost int
}{
	{"adamw", ``, 2, 2, 0, 0}, {"nadamw", ``, 2, 2, 0, 0}, {"sgd", `,"momentum":0.9`, 2, 2, 0, 0}, {"lion", ``, 2, 2, 0, 0}, {"sign", ``, 2, 2, 0, 0},
	{"adagrad", ``, 2, 2, 0, 0}, {"root-free-adamw", ``, 2, 2, 0, 0}, {"schedule-free-adamw", ``, 2, 2, 0, 0}, {"muon", `,"nesterov":true`, 2, 2, 0, 0},
	{"spectral", ``, 2, 2, 0, 0}, {"spectral", `,"published":true`, 2, 2, 0, 0}, {"spectral", `,"tol":0.05,"statistics":"shampoo"`, 2, 2, 0, 0},
	{"spectral", `,"max_sweeps":2,"drop":true`, 2, 2, 0, 0},
	{"spectral", `,"precision":"bf16"`, 2, 2, 0, 0}, {"muon", `,"precision":"bf16"`, 2, 2, 0, 0},
	{"shampoo", `,"interval":4,"precision":"bf16"`, 2, 2, 4, 16},
	{"shampoo", `,"interval":4`, 2, 2, 4, 16},
	{"shampoo", `,"interval":4,"kl":true,"trace_scaling":true,"graft":"rmsprop"`, 2, 2, 4, 16},
	{"shampoo", `,"interval":4,"eps":0.01,"roots":"newton"`, 2, 2, 4, 20},
	{"shampoo", `,"interval":4,"eps":0.01,"roots":"series"`, 2, 2, 4, 20},
	{"shampoo", `,"interval":4,"eps":0.01,"sweeps":true`, 2, 2, 4, 9},
	{"eshampoo", `,"interval":4`, 2, 2, 4, 16},
	{"soap", `,"interval":4`, 2, 2, 4, 5},
	{"sirf-shampoo", ``, 2, 2, 0, 0},
	{"sirf-shampoo", `,"structure":"hierarchical","sizes":[2,1]`, 2, 2, 0, 0},
	{"sirf-shampoo", `,"structure":"lower-toeplitz","shaping":{"tensors":[{"match":"block1","shape":[5,3,4]}],"max_dim":4}`, 2, 2, 0, 0},
}

// TestStepsAreGraphs: a step of these optimizers is graphs and nothing else, whatever the learning rate. It gives what the processor gives.
func TestStepsAreGraphs(t *testing.T) {
	needDevice(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // memory that is given back in between would cut work in two
	for _, g := range graphed {
		t.Run(g.name+g.own, func(t *testing.T) {
			var all [2][]nnopt.Block[float32]
			for i, device := range []string{"cuda", "cpu"} {
				own := g.own
				if device == "cpu" {
					own += `,"precision":"fp32"`
				}
				opt, err := nnopt.New[float32](g.name, []byte(`{"lr":0.01,"decay":0.1,"precision":"fp32","device":"`+device+`"`+own+`}`))
				if err != nil {
					t.Fatal(err)
				}
				b := append(blocks[float32](rand.New(rand.NewPCG(3, 5))), nnopt.Block[float32]{Name: "last", Rows: 2, Cols: 3, Value: make([]float32, 6), Grad: make([]float32, 6)})
				onDevice(t, b, device)
				if err := opt.Init(b); err != nil {
					t.Fatal(err)
				}
				r := rand.New(rand.NewPCG(1, 1))
				for step := 1; step <= 8; step++ {
					for k := range b {
						for j := range b[k].Grad {
							b[k].Grad[j] = float32(r.NormFloat64())
						}
					}
					before := now()
					if _, err := opt.Step(b, nnopt.StepInfo{LRScale: 1 / float64(step), BatchSize: 7 * step}); err != nil {
						t.Fatal(err)
					}
					c := before.since()
					if device == "cpu" || !emu.InUse() {
						continue
					}
					if g.interval > 0 && step%g.interval == 0 {
						if c.waits > g.atMost {
							t.Errorf("step %d: %d waits", step, c.waits)
						}
					} else if step >= 7 && (c != counts{0, g.graphs, g.waits}) {
						t.Errorf("step %d: %+v", step, c)
					}
				}
				all[i] = b
			}
			tol := 1e-3
			if strings.Contains(g.own, "bf16") {
				tol = 5e-2
			}
			compare(t, all[0], all[1], tol)
		})
	}
}

// onDevice moves blocks to the memory of a device, by networks around them that last as long as the test.
func onDevice(t *testing.T, b []nnopt.Block[float32], device string) {
	for k := range b {
		l := net.NewLinear[float32](rand.New(rand.NewPCG(1, 1)), b[k].Cols, b[k].Rows, net.LinearOptions{NoBias: true})
		n := net.New(net.Layer[float32](l), net.NewSquare[float32](false), 1)
		if err := n.Use(device); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { runtime.KeepAlive(n) })
		own := n.Blocks()[0]
		copy(own.Value, b[k].Value)
		b[k].Value, b[k].Grad = own.Value, own.Grad
	}
}

// TestSpectralVariants: what the spectral preconditioner reads on the processor it waits for, in all its variants.
func TestSpectralVariants(t *testing.T) {
	needDevice(t)
	for _, own := range []map[string]any{
		{"published": true}, {"tol": 0.1, "drop": true}, {"tol": 0.05, "max_sweeps": 2}, {"statistics": "shampoo"}, {"diag_vectors": true, "bfloat16": true},
		{"drop": true}, {"shaping": map[string]any{"tensors": []any{map[string]any{"match": "block1", "shape": []int{5, 3, 4}}}, "max_dim": 4}},
		{"interval": 3, "spread": true},
	} {
		t.Run(fmt.Sprint(own), func(t *testing.T) {
			tol := 1e-8
			if own["bfloat16"] == true {
				tol = 0.02 // a number may round to another bfloat16
			}
			compare(t, descend[float64](t, "spectral", "cuda", 7, maps.Clone(own)), descend[float64](t, "spectral", "cpu", 7, own), tol)
		})
	}
}

// TestPassesDefer: a gradient of a network waits for the loss alone, and from the third time on runs as graphs, in every precision; masks of dropout are those of the
// processor.
func TestPassesDefer(t *testing.T) {
	needDevice(t)
	for p, tol := range map[nnopt.Precision]float64{nnopt.FP32: 1e-4, nnopt.BF16: 3e-2} {
		t.Run(string(p), func(t *testing.T) { passes(t, p, tol) })
	}
}

func passes(t *testing.T, p nnopt.Precision, tol float64) {
	r := rand.New(rand.NewPCG(2, 2))
	make := func(device string) (*net.Net[float32], net.Batch[float32]) {
		q := rand.New(rand.NewPCG(4, 4))
		g := &net.Graph{Start: []int{0, 2, 3, 3, 6}, Neighbours: []int32{1, 3, 0, 0, 1, 2}}
		l := net.Chain[float32](net.NewLinear[float32](q, 3, 4, net.LinearOptions{}), net.NewBatchNorm[float32](4), net.NewActivation[float32](net.GELU), net.NewDropout[float32](0.5, 3),
			net.NewAggregate[float32](g), net.NewLayerNorm[float32](8), net.NewLinear[float32](q, 8, 3, net.LinearOptions{}))
		n := net.New(net.Layer[float32](l), net.Loss[float32](&net.CrossEntropy[float32]{}), 9)
		if device != "cpu" {
			if err := n.UseRounded(device, p); err != nil {
				t.Fatal(err)
			}
		}
		b := net.Batch[float32]{X: net.Matrix[float32]{Rows: 4, Cols: 3, Stride: 3, Data: []float32{1, 2, -1, 0, 3, 1, -2, 1, 1, 0, 0, 2}}, N: 4}
		b.Target.Classes = []int32{0, 2, 1, 1}
		return n, b
	}
	device, b := make("cuda")
	cpu, _ := make("cpu")
	for step := range 4 {
		b.Step = uint64(step)
		for i := range b.X.Data {
			b.X.Data[i] = float32(r.NormFloat64())
		}
		b.Target.Classes[step] = -1 // another number of rows in the mean
		if step == 3 {
			b.Target.Classes = []int32{0, 2, 1, 1}
		}
		before := now()
		loss := device.Gradient(&b)
		c := before.since()
		if limit := map[bool]counts{true: {0, 1, 1}}[step >= 2]; emu.InUse() && (step >= 2 && c != limit || step == 1 && c.waits > 2) {
			t.Errorf("step %d: %+v", step, c)
		}
		if want := cpu.Gradient(&b); !(math.Abs(loss-want) < tol) {
			t.Errorf("step %d: loss %v, want %v", step, loss, want)
		}
		for k, w := range cpu.Blocks() {
			for i, v := range w.Grad {
				if got := device.Blocks()[k].Grad[i]; !(math.Abs(float64(got-v)) < tol) {
					t.Fatalf("step %d, %s, element %d: %v, want %v", step, w.Name, i, got, v)
				}
			}
		}
	}
	for k, a := range cpu.Arrays() {
		for i, v := range a.Value {
			if got := device.Arrays()[k].Value[i]; !(math.Abs(float64(got-v)) < tol) {
				t.Errorf("%s: %v, want %v", a.Name, got, v)
			}
		}
	}
}

// shift is a layer of another package, which computes on the processor.
type shift struct{ net.Layer[float64] }

func (s *shift) Params(string) []*net.Param[float64] { return nil }

func (s *shift) Forward(_ *net.Pass[float64], x net.Dual[float64]) net.Dual[float64] {
	for i := range x.V.Data {
		x.V.Data[i]++
	}
	return x
}

func (s *shift) Backward(_ *net.Pass[float64], g net.Dual[float64], _ bool) net.Dual[float64] {
	return g
}

// TestForeignLayer: a layer of another package finds its inputs done.
func TestForeignLayer(t *testing.T) {
	needDevice(t)
	run := func(device string) float64 {
		l := net.NewLinear[float64](rand.New(rand.NewPCG(4, 4)), 2, 3, net.LinearOptions{})
		n := net.New(net.Layer[float64](net.Chain[float64](l, &shift{}, net.NewActivation[float64](net.Tanh))), net.NewSquare[float64](false), 9)
		if err := n.Use(device); err != nil {
			t.Fatal(err)
		}
		b := net.Batch[float64]{X: net.Matrix[float64]{Rows: 1, Cols: 2, Stride: 2, Data: []float64{1, 2}}, N: 1}
		b.Target.Values = net.Matrix[float64]{Rows: 1, Cols: 3, Stride: 3, Data: []float64{0, 1, 2}}
		return n.Gradient(&b)
	}
	if got, want := run("cuda"), run("cpu"); !(math.Abs(got-want) < 1e-12) {
		t.Errorf("loss %v, want %v", got, want)
	}
}

// TestRefusedStep: a step that the device refuses as a whole leaves parameters, state and count as they were, and the next one goes through.
func TestRefusedStep(t *testing.T) {
	needEmulation(t)
	for _, c := range []struct{ name, own string }{
		{"adamw", ``}, {"schedule-free-adamw", ``}, {"muon", ``}, {"shampoo", `,"interval":50`}, {"shampoo", `,"interval":50,"kl":true,"graft":"none"`}, {"eshampoo", `,"interval":50`},
		{"soap", `,"interval":50`}, {"sirf-shampoo", ``}, {"sirf-shampoo", `,"structure":"upper-toeplitz"`},
	} {
		t.Run(c.name+c.own, func(t *testing.T) {
			opt, err := nnopt.New[float32](c.name, []byte(`{"device":"cuda"`+c.own+`}`))
			if err != nil {
				t.Fatal(err)
			}
			b := blocks[float32](rand.New(rand.NewPCG(3, 5)))
			b = append(b, nnopt.Block[float32]{Name: "last", Rows: 2, Cols: 3, Value: make([]float32, 6), Grad: make([]float32, 6)})
			onDevice(t, b, "cuda")
			if err := opt.Init(b); err != nil {
				t.Fatal(err)
			}
			refused(t, opt, b, func() {})
		})
	}
	for _, c := range []struct {
		name    string
		options map[string]any
	}{{"singd", map[string]any{"interval": 1}}, {"singd", map[string]any{"interval": 1, "input": "hierarchical", "output": "lower-toeplitz"}}, {"kfac", map[string]any{"fixed": true, "interval": 50}}} {
		t.Run(fmt.Sprint(c.name, c.options), func(t *testing.T) {
			l := newLearner[float32](t, c.name, "cuda", c.options)
			onDevice(t, l.all, "cuda")
			l.start(t)
			refused(t, l.opt, l.all, func() { l.observe(t) })
		})
	}
}

// refused lets the second graph of a step fail.
func refused(t *testing.T, opt nnopt.Optimizer[float32], b []nnopt.Block[float32], observe func()) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // see TestStepsAreGraphs
	step := func() error {
		for k := range b {
			for i := range b[k].Grad {
				b[k].Grad[i] = 1
			}
		}
		_, err := opt.Step(b, nnopt.StepInfo{LRScale: 1})
		return err
	}
	for range 6 {
		observe()
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	text := func() string {
		all, _ := json.Marshal([]any{opt.State(), b})
		return string(all)
	}
	observe()
	before := text()
	emu.Fail("cuGraphLaunch", 2, 2)
	if err := step(); err == nil || text() != before {
		t.Errorf("a step without memory: %v, or something changed", err)
	}
	observe()
	if err := step(); err != nil || text() == before {
		t.Errorf("the step after it: %v", err)
	}
}
