package nnopt

import (
	"encoding/json"
	"fmt"
	"github.com/spdopt/spdopt/internal/golden"
	"testing"
)

// The prototype of inverse-free Shampoo that was published first.
func TestInverseFreePrototypeGolden(t *testing.T) {
	var g map[string]json.RawMessage
	golden.Load(t, "root_free.json", &g)
	var want struct{ Params []json.RawMessage }
	if err := json.Unmarshal(g["if_shampoo_prototype"], &want); err != nil {
		t.Fatal(err)
	}
	o := must(NewSIRFShampoo[float64](SIRFShampoo{Settings: Settings{LR: 0.01, Decay: 0.001}, Beta2: 0.1, Damping: 0.001}))
	w := []Block[float64]{{Name: "w", Rows: 3, Cols: 2, Value: numbers(t, g["P0"]), Grad: make([]float64, 6)}}
	must(0, o.Init(w))
	for k, p := range want.Params {
		w[0].Grad = numbers(t, g["grads"])[6*k : 6*k+6]
		must(o.Step(w, StepInfo{LRScale: 1, BatchSize: 32}))
		within(t, fmt.Sprint("step ", k+1), w[0].Value, numbers(t, p), 1e-9)
	}
}

func TestSIRFGolden(t *testing.T) {
	var runs []struct {
		Structures, Combine string
		Init                []json.RawMessage
		History             []struct{ Grads, Params []json.RawMessage }
	}
	golden.Load(t, "sirfshampoo.json", &runs)
	for _, run := range runs {
		t.Run(run.Structures+" "+run.Combine, func(t *testing.T) {
			kind := Structure(run.Structures)
			if run.Structures == "triltoeplitz" {
				kind = StructureLowerToeplitz
			}
			o := must(NewSIRFShampoo[float64](SIRFShampoo{Settings: Settings{LR: 0.05, Decay: 0.001}, Beta2: 0.1, Damping: 0.01, Structure: kind}))
			shapes := [][2]int{{3, 4}, {1, 3}, {2, 3}, {1, 2}}
			gather := func(raw []json.RawMessage) (all [][]float64) {
				for k := range raw {
					all = append(all, numbers(t, raw[k]))
				}
				if run.Combine == "joint" {
					return [][]float64{beside(all[0], all[1]), beside(all[2], all[3])}
				}
				return all
			}
			if run.Combine == "joint" {
				shapes = [][2]int{{3, 5}, {2, 4}}
			}
			var w []Block[float64]
			for k, v := range gather(run.Init) {
				w = append(w, Block[float64]{Name: fmt.Sprint(k), Rows: shapes[k][0], Cols: shapes[k][1], Value: v, Grad: make([]float64, len(v))})
			}
			must(0, o.Init(w))
			for _, h := range run.History {
				for k, v := range gather(h.Grads) {
					w[k].Grad = v
				}
				must(o.Step(w, StepInfo{LRScale: 1, BatchSize: 5}))
				for k, v := range gather(h.Params) {
					within(t, "params", w[k].Value, v, 1e-9)
				}
			}
		})
	}
	if len(runs) != 4 {
		t.Errorf("%d runs", len(runs))
	}
}

// beside returns the matrix [w b] of a weight with as many rows as b has elements.
func beside(w, b []float64) (all []float64) {
	n := len(w) / len(b)
	for i, v := range b {
		all = append(append(all, w[i*n:(i+1)*n]...), v)
	}
	return all
}
