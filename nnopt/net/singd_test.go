package net

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/golden"
	"github.com/spdopt/spdopt/nnopt"
)

type singdRun struct {
	Structures [2]string
	Hyper      struct {
		LR, Momentum, Damping, Alpha1 float64
		WeightDecay                   float64 `json:"weight_decay"`
		T                             int
		LRCov                         float64 `json:"lr_cov"`
		KFACLike                      bool    `json:"kfac_like"`
		Normalise                     bool    `json:"normalize_lr_cov"`
	}
	Approx  string `json:"kfac_approx"`
	Conv    bool
	Init    []json.RawMessage
	X       []json.RawMessage
	Y       [][]int32
	History []struct {
		Loss   float64
		Grads  []json.RawMessage
		Params []json.RawMessage
		K, C   map[string][][]float64
	}
}

// numbers reads an array of the run in the layout of this package: kernels and the inputs after them have the channels last.
func (r *singdRun) numbers(t *testing.T, raw json.RawMessage) []float64 {
	v, dims := golden.Flat(t, raw)
	switch {
	case len(dims) == 4:
		return golden.ChannelsLast(v, dims[0], dims[1])
	case r.Conv && len(dims) == 2 && dims[1] == 8: // two channels of four pixels
		return golden.ChannelsLast(v, dims[0], 2)
	}
	return v
}

func (r *singdRun) build(t *testing.T) *Net[float64] {
	var layers []Layer[float64]
	if r.Conv {
		c := NewConv2d[float64](source(1), ConvOptions{In: 1, Out: 2, Height: 3, Width: 3, Kernel: 2})
		layers = []Layer[float64]{c, NewActivation[float64](Tanh), NewFlatten[float64](), NewLinear[float64](source(1), 8, 3, LinearOptions{})}
	} else {
		layers = []Layer[float64]{
			NewLinear[float64](source(1), 4, 6, LinearOptions{}), NewActivation[float64](Tanh), NewLinear[float64](source(1), 6, 3, LinearOptions{NoBias: true}),
		}
	}
	n := New[float64](Chain(layers...), &CrossEntropy[float64]{}, 1)
	for k, b := range n.Blocks() {
		copy(b.Value, r.numbers(t, r.Init[k]))
	}
	return n
}

func (r *singdRun) optimizer(t *testing.T) nnopt.Optimizer[float64] {
	kinds := map[string]nnopt.Structure{
		"dense": nnopt.StructureDense, "diagonal": nnopt.StructureDiagonal, "block3diagonal": nnopt.StructureBlock, "hierarchical3_2": nnopt.StructureHierarchical,
		"triltoeplitz": nnopt.StructureLowerToeplitz, "triutoeplitz": nnopt.StructureUpperToeplitz,
	}
	h := r.Hyper
	o := nnopt.SINGD{
		Settings: nnopt.Settings{LR: h.LR, Decay: h.WeightDecay}, Momentum: h.Momentum, Alpha1: h.Alpha1, Beta1: h.LRCov, Damping: h.Damping, Interval: h.T,
		Input: kinds[first(r.Structures[0])], Output: kinds[first(r.Structures[1])], Sizes: [2]int{3, 2}, Reduce: r.Approx == "reduce", Plain: !h.Normalise,
	}
	if o.Input == "" || o.Output == "" {
		t.Fatalf("structures %v", r.Structures)
	}
	opt, err := nnopt.NewSINGD[float64](o)
	if h.KFACLike {
		opt, err = nnopt.NewIKFAC[float64](o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

func first(text string) string { return strings.Fields(text)[0] }

// follow takes the steps of the run and returns the largest deviation of a parameter.
func (r *singdRun) follow(t *testing.T) (worst float64) {
	t.Helper()
	n, opt := r.build(t), r.optimizer(t)
	o := opt.(nnopt.StatsObserver[float64])
	o.SetLayers(n.Layers())
	if err := opt.Init(n.Blocks()); err != nil {
		t.Fatal(err)
	}
	for step, h := range r.History {
		x, dims := golden.Flat(t, r.X[step])
		b := &Batch[float64]{N: dims[0], Target: Target[float64]{Classes: r.Y[step]}}
		width := dims[1]
		if r.Conv { // one channel
			width = 1
		}
		b.X = dense.Wrap(len(x)/width, width, x)
		if f := o.WantsStats(); f != nnopt.EmpiricalStats {
			t.Fatalf("wants %q", f)
		}
		loss := n.Gradient(b)
		if err := o.Observe(n.Stats(nil)); err != nil {
			t.Fatal(err)
		}
		if _, err := opt.Step(n.Blocks(), nnopt.StepInfo{LRScale: 1}); err != nil {
			t.Fatal(err)
		}
		if step == 0 {
			near(t, "loss", loss, h.Loss, 1e-9)
		}
		for k, b := range n.Blocks() {
			for i, want := range r.numbers(t, h.Params[k]) {
				worst = max(worst, math.Abs(b.Value[i]-want)/(1+math.Abs(want)))
			}
		}
		if !r.Conv && r.Structures[0] == "dense" {
			for _, s := range opt.State().Slots {
				if s.Name == "input" {
					want := h.K[s.Block[:1]]
					if len(want) != s.Rows {
						t.Fatalf("K of block %s is not in the file", s.Block)
					}
					for i, row := range want {
						for j, want := range row {
							near(t, "K", s.Data[i*len(row)+j], want, 1e-9)
						}
					}
				}
			}
		}
	}
	return worst
}

func TestSINGDGolden(t *testing.T) {
	var runs []singdRun
	golden.Load(t, "singd_optimizer.json", &runs)
	if len(runs) != 10 {
		t.Errorf("%d runs", len(runs))
	}
	for _, r := range runs {
		if r.Structures[0] == "block3diagonal" { // the published class leaves out a transpose, see TestSINGDBlockTranspose
			continue
		}
		t.Run(fmt.Sprint(r.Structures, r.Approx, r.Hyper), func(t *testing.T) {
			if d := r.follow(t); !(d <= 1e-9) {
				t.Errorf("parameters deviate by %g", d)
			}
		})
	}
}

// The block-diagonal class takes blocks for symmetric in the published package, although they do not stay so. The run with true transposes is met, the
// other one is not.
func TestSINGDBlockTranspose(t *testing.T) {
	var g struct {
		Upstream singdRun
		Correct  singdRun `json:"transpose_correct"`
	}
	golden.Load(t, "singd_block3_upstream_vs_transpose_correct.json", &g)
	if d := g.Correct.follow(t); !(d <= 1e-9) {
		t.Errorf("parameters deviate by %g", d)
	}
	if d := g.Upstream.follow(t); !(d > 1e-3) {
		t.Errorf("the package's parameters deviate by %g only", d)
	}
	var runs []singdRun
	golden.Load(t, "singd_optimizer.json", &runs)
	for _, r := range runs {
		if r.Structures[0] == "block3diagonal" {
			if d := r.follow(t); !(d > 1e-7 && d < 1e-3) { // the same defect after three short steps of the factors
				t.Errorf("the package's parameters deviate by %g", d)
			}
		}
	}
}
