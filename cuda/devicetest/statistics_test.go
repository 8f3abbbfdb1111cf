//go:build cuda && cgo && linux

package devicetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// learning are optimizers that learn from what layers saw, with what their options make them do.
var learning = []struct {
	name    string
	options map[string]any
	tol     float64 // in float64
}{
	{"kfac", map[string]any{}, 1e-9},
	{"kfac", map[string]any{"inverse": "plain", "empirical": true, "reduce": true}, 1e-9},
	{"kfac", map[string]any{"inverse": "exact", "fixed": true}, 1e-9},
	{"kfac", map[string]any{"inverse": "tracked", "model": "factors"}, 1e-9},
	{"kfac", map[string]any{"model": "factors", "norm_constraint": 0.01, "interval": 2}, 1e-9},
	{"singd", map[string]any{"interval": 1, "beta1": 0.05}, 1e-10},
	{"singd", map[string]any{"interval": 1, "reduce": true, "input": "block", "output": "hierarchical", "sizes": []int{3, 2}}, 1e-10},
	{"singd", map[string]any{"interval": 2, "input": "lower-toeplitz", "output": "diagonal"}, 1e-10},
	{"ikfac", map[string]any{"interval": 1, "average": "sum"}, 1e-10},
}

// TestStatistics: optimizers that see the inputs of layers and the gradients at their outputs, of several positions, end on the device where they end
// on the processor. Stated tolerances, relative to the largest parameter: those above, in float64. TestPrecisions does the same for float32.
func TestStatistics(t *testing.T) {
	needDevice(t)
	for _, c := range learning {
		t.Run(fmt.Sprint(c.name, c.options), func(t *testing.T) {
			compare(t, observes[float64](t, c.name, "cuda", c.options), observes[float64](t, c.name, "cpu", c.options), c.tol)
		})
	}
}

// observes takes steps of two layers, of which one has a bias, and of a block of no layer.
func observes[T nnopt.Float](t *testing.T, name, device string, own map[string]any) []nnopt.Block[T] {
	t.Helper()
	l := newLearner[T](t, name, device, own)
	l.start(t)
	for range 7 {
		for range 2 {
			l.observe(t)
		}
		l.step(t)
	}
	return l.all
}

// learner is an optimizer with what it learns from.
type learner[T nnopt.Float] struct {
	opt  nnopt.Optimizer[T]
	all  []nnopt.Block[T]
	rand *rand.Rand
}

func newLearner[T nnopt.Float](t *testing.T, name, device string, own map[string]any) *learner[T] {
	t.Helper()
	set := map[string]any{"lr": 0.01, "decay": 0.1, "decay_kind": "l2", "device": device}
	maps.Copy(set, own)
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	opt, err := nnopt.New[T](name, text)
	if err != nil {
		t.Fatal(err)
	}
	l := &learner[T]{opt: opt, rand: rand.New(rand.NewPCG(5, 8))}
	l.all = []nnopt.Block[T]{{Name: "w", Rows: 6, Cols: 9}, {Name: "b", Rows: 1, Cols: 6}, {Name: "v", Rows: 4, Cols: 6}, {Name: "scale", Rows: 1, Cols: 3}}
	for k := range l.all {
		b := &l.all[k]
		b.Value, b.Grad = l.numbers(b.Len()), l.numbers(b.Len())
	}
	opt.(nnopt.StatsObserver[T]).SetLayers([]nnopt.Layer{{Weight: "w", Bias: "b"}, {Weight: "v"}})
	return l
}

func (l *learner[T]) numbers(n int) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(l.rand.NormFloat64())
	}
	return x
}

func (l *learner[T]) start(t *testing.T) {
	t.Helper()
	if err := l.opt.Init(l.all); err != nil {
		t.Fatal(err)
	}
}

func (l *learner[T]) observe(t *testing.T) {
	t.Helper()
	const examples, positions = 10, 3
	matrix := func(cols int) nnopt.Matrix[T] {
		return nnopt.Matrix[T]{Rows: examples * positions, Cols: cols, Stride: cols, Data: l.numbers(examples * positions * cols)}
	}
	stats := []nnopt.Stats[T]{{Weight: "w", Bias: "b", In: matrix(9), Out: matrix(6), Reps: positions}, {Weight: "v", In: matrix(6), Out: matrix(4), Reps: positions}}
	if o := l.opt.(nnopt.StatsObserver[T]); o.WantsStats() != nnopt.NoStats {
		if err := o.Observe(stats); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *learner[T]) step(t *testing.T) {
	t.Helper()
	for k := range l.all {
		copy(l.all[k].Grad, l.numbers(l.all[k].Len()))
	}
	if _, err := l.opt.Step(l.all, nnopt.StepInfo{LRScale: 1 / float64(1+l.rand.IntN(5)), BatchSize: 8}); err != nil {
		t.Fatal(err)
	}
}

// learnGraphed are such optimizers with the graphs and waits of a step and of taking statistics in, from the seventh on, and at most so many waits of the
// eleventh step, which inverts factors: two, and one for each graph that has to give way, more than one of the others.
var learnGraphed = []struct {
	name          string
	options       map[string]any
	step, observe counts
	refresh       int
}{
	{"singd", map[string]any{"interval": 1}, counts{0, 2, 2}, counts{0, 1, 1}, 2},
	{"singd", map[string]any{"interval": 1, "input": "lower-toeplitz", "output": "upper-arrow"}, counts{0, 2, 2}, counts{0, 1, 1}, 2},
	{"ikfac", map[string]any{"interval": 1}, counts{0, 2, 2}, counts{0, 1, 1}, 2},
	{"kfac", map[string]any{"fixed": true, "norm_constraint": 0.01}, counts{0, 2, 2}, counts{0, 1, 1}, 6},
	{"kfac", map[string]any{"fixed": true, "reduce": true}, counts{0, 2, 2}, counts{0, 1, 1}, 6},
	{"kfac", map[string]any{"model": "factors"}, counts{0, 3, 3}, counts{0, 1, 1}, 7},
	{"kfac", map[string]any{"fixed": true, "inverse": "exact"}, counts{0, 2, 2}, counts{0, 1, 1}, 20},
	{"kfac", map[string]any{"fixed": true, "inverse": "tracked"}, counts{0, 2, 2}, counts{0, 1, 1}, 10},
}

// TestStatisticsAreGraphs is TestStepsAreGraphs for them.
func TestStatisticsAreGraphs(t *testing.T) {
	needEmulation(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // memory that is given back in between would cut work in two
	for _, g := range learnGraphed {
		t.Run(fmt.Sprint(g.name, g.options), func(t *testing.T) {
			l := newLearner[float32](t, g.name, "cuda", g.options)
			onDevice(t, l.all, "cuda")
			l.start(t)
			for step := 1; step <= 11; step++ {
				before := now()
				l.observe(t)
				seen := before.since()
				before = now()
				l.step(t)
				c := before.since()
				if step%5 == 1 {
					if step == 11 && c.waits > g.refresh {
						t.Errorf("step %d: %+v", step, c)
					}
					continue
				}
				if step >= 7 && (c != g.step || seen != g.observe) {
					t.Errorf("step %d: %+v, and %+v for statistics", step, c, seen)
				}
			}
		})
	}
}

// TestConvolutions: optimizers that learn from the patches of convolutions, grouped ones too, summed over positions or not, end on the device where they end on the
// processor.
func TestConvolutions(t *testing.T) {
	needDevice(t)
	for _, c := range []struct{ name, options string }{
		{"kfac", `"empirical":true,"reduce":true`}, {"kfac", `"empirical":true,"reduce":true,"inverse":"exact","fixed":true`}, {"kfac", `"empirical":true`},
		{"singd", `"interval":1,"reduce":true`},
	} {
		t.Run(c.name+c.options, func(t *testing.T) {
			run := func(device string) []nnopt.Block[float64] {
				r := rand.New(rand.NewPCG(2, 7))
				groups := map[string]int{"kfac": 2, "singd": 1}[c.name]
				l := net.Chain[float64](net.NewConv2d[float64](r, net.ConvOptions{In: 4, Out: 6, Height: 5, Width: 4, Padding: 1, Stride: 2, Groups: groups}),
					net.NewActivation[float64](net.Tanh), net.NewConv2d[float64](r, net.ConvOptions{In: 6, Out: 2, Height: 3, Width: 2, Kernel: 2, NoBias: true}))
				n := net.New(net.Layer[float64](l), net.NewSquare[float64](false), 3)
				if err := n.Use(device); err != nil {
					t.Fatal(err)
				}
				opt, err := nnopt.New[float64](c.name, []byte(`{"lr":0.01,"device":"`+device+`",`+c.options+`}`))
				if err != nil {
					t.Fatal(err)
				}
				o, all := opt.(nnopt.StatsObserver[float64]), n.Blocks()
				o.SetLayers(n.Layers())
				if err := opt.Init(all); err != nil {
					t.Fatal(err)
				}
				const images = 3
				fresh := func(rows, cols int) net.Matrix[float64] {
					m := net.Matrix[float64]{Rows: rows, Cols: cols, Stride: cols, Data: make([]float64, rows*cols)}
					for i := range m.Data {
						m.Data[i] = r.NormFloat64()
					}
					return m
				}
				for range 4 {
					b := net.Batch[float64]{X: fresh(images*20, 4), N: images}
					b.Target.Values = fresh(images*2, 2)
					n.Gradient(&b)
					if err := o.Observe(n.Stats(nil)); err != nil {
						t.Fatal(err)
					}
					if _, err := opt.Step(all, nnopt.StepInfo{LRScale: 1, BatchSize: images}); err != nil {
						t.Fatal(err)
					}
				}
				t.Cleanup(func() { runtime.KeepAlive(n) })
				return all
			}
			compare(t, run("cuda"), run("cpu"), 1e-9)
		})
	}
}
