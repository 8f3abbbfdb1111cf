package nnopt

import (
	"encoding/json"
	"github.com/spdopt/spdopt/internal/golden"
	"math"
	"testing"
)

func TestRootFreeGolden(t *testing.T) {
	var g map[string]json.RawMessage
	golden.Load(t, "root_free.json", &g)
	start, grads := numbers(t, g["P0"]), numbers(t, g["grads"])
	for name, o := range map[string]Optimizer[float64]{
		"rf_rmsprop":                        must(NewRootFreeRMSProp[float64](RootFreeRMSProp{Settings: Settings{LR: 0.01, Decay: 0.001}, Beta2: 0.9})),
		"rf_rmsprop_no_batch_scaling":       must(NewRootFreeRMSProp[float64](RootFreeRMSProp{Settings: Settings{LR: 0.01}, Beta2: 0.9, NoMomentum: true, NoBatchScaling: true})),
		"rf_adamw":                          must(NewRootFreeAdamW[float64](RootFreeAdamW{Settings: Settings{LR: 0.01, Decay: 0.01}, Beta2: 0.99})),
		"rf_adamw_bias_corrected_zero_init": must(NewRootFreeAdamW[float64](RootFreeAdamW{Settings: Settings{LR: 0.01}, Beta2: 0.99, BiasCorrection: true})),
	} {
		var want struct{ Params []json.RawMessage }
		if err := json.Unmarshal(g[name], &want); err != nil {
			t.Fatal(err)
		}
		w := []Block[float64]{{Name: "w", Rows: 3, Cols: 2, Value: append([]float64(nil), start...), Grad: grads[:6]}}
		must(0, o.Init(w))
		for k, p := range want.Params {
			w[0].Grad = grads[6*k : 6*k+6]
			must(o.Step(w, StepInfo{LRScale: 1, BatchSize: 32}))
			within(t, name, w[0].Value, numbers(t, p), 1e-9)
		}
		if len(want.Params) != 4 {
			t.Errorf("%s: %d steps", name, len(want.Params))
		}
	}
}

// Under W = A W' with a diagonal A the iterates without the root map onto each other (S from 0), those of AdamW do not.
func TestRootFreeAffine(t *testing.T) {
	a := []float64{3, 0.5, 10}
	run := func(o Optimizer[float64], scaled bool) []float64 {
		w := []Block[float64]{{Name: "w", Rows: 1, Cols: 3, Value: []float64{1, 2, -1}, Grad: make([]float64, 3)}}
		if scaled {
			for i := range a {
				w[0].Value[i] /= a[i]
			}
		}
		must(0, o.Init(w))
		r := source(5)
		for range 20 {
			fill(r, w[0].Grad)
			if scaled {
				for i := range a {
					w[0].Grad[i] *= a[i]
				}
			}
			must(o.Step(w, StepInfo{LRScale: 1, BatchSize: 4}))
		}
		if scaled {
			for i := range a {
				w[0].Value[i] *= a[i]
			}
		}
		return w[0].Value
	}
	free := func() Optimizer[float64] {
		return must(NewRootFreeAdamW[float64](RootFreeAdamW{BiasCorrection: true, Eps: 1e-300}))
	}
	within(t, "root-free", run(free(), true), run(free(), false), 1e-12)
	root := func() Optimizer[float64] { return must(NewAdamW[float64](AdamW{Eps: 1e-300})) }
	x, y := run(root(), true), run(root(), false)
	if math.Abs(x[2]-y[2]) < 1e-3 {
		t.Error("AdamW has the same iterates after scaling, the test proves nothing")
	}
}

// Muon brings the singular values of its steps near 1 and keeps the singular vectors.
func TestMuonOrthogonalises(t *testing.T) {
	for _, shape := range [][2]int{{4, 7}, {7, 4}} {
		o := must(NewMuon[float64](Muon{Settings: Settings{LR: 1}, Scale: MuonPlain}))
		n := shape[0] * shape[1]
		w := []Block[float64]{{Name: "w", Rows: shape[0], Cols: shape[1], Value: make([]float64, n), Grad: make([]float64, n)}}
		fill(source(3), w[0].Grad)
		must(0, o.Init(w))
		must(o.Step(w, StepInfo{LRScale: 1}))
		var sum float64
		for _, v := range w[0].Value {
			sum += v * v
		}
		if !(sum > 4*0.5 && sum < 4*1.5) {
			t.Errorf("%v: squared norm %v for 4 singular values near 1", shape, sum)
		}
	}
}
