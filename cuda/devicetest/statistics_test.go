//go:build cuda && cgo && linux

package devicetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/nnopt"
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
// on the processor. Stated tolerances, relative to the largest parameter: those above for float64, 1e-3 for float32.
func TestStatistics(t *testing.T) {
	needDevice(t)
	for _, c := range learning {
		t.Run(fmt.Sprint(c.name, c.options), func(t *testing.T) {
			compare(t, observes[float64](t, c.name, "cuda", c.options), observes[float64](t, c.name, "cpu", c.options), c.tol)
			compare(t, observes[float32](t, c.name, "cuda", c.options), observes[float32](t, c.name, "cpu", c.options), 1e-3)
		})
	}
}

// observes takes steps of two layers, of which one has a bias, and of a block of no layer.
func observes[T nnopt.Float](t *testing.T, name, device string, own map[string]any) []nnopt.Block[T] {
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
	r := rand.New(rand.NewPCG(5, 8))
	numbers := func(n int) []T {
		x := make([]T, n)
		for i := range x {
			x[i] = T(r.NormFloat64())
		}
		return x
	}
	all := []nnopt.Block[T]{{Name: "w", Rows: 6, Cols: 9}, {Name: "b", Rows: 1, Cols: 6}, {Name: "v", Rows: 4, Cols: 6}, {Name: "scale", Rows: 1, Cols: 3}}
	for k := range all {
		all[k].Value, all[k].Grad = numbers(all[k].Len()), numbers(all[k].Len())
	}
	observer := opt.(nnopt.StatsObserver[T])
	observer.SetLayers([]nnopt.Layer{{Weight: "w", Bias: "b"}, {Weight: "v"}})
	if err := opt.Init(all); err != nil {
		t.Fatal(err)
	}
	const examples, positions = 10, 3
	matrix := func(cols int) nnopt.Matrix[T] {
		return nnopt.Matrix[T]{Rows: examples * positions, Cols: cols, Stride: cols, Data: numbers(examples * positions * cols)}
	}
	for range 7 {
		for k := range all {
			copy(all[k].Grad, numbers(all[k].Len()))
		}
		for range 2 {
			stats := []nnopt.Stats[T]{{Weight: "w", Bias: "b", In: matrix(9), Out: matrix(6), Reps: positions}, {Weight: "v", In: matrix(6), Out: matrix(4), Reps: positions}}
			if observer.WantsStats() != nnopt.NoStats {
				if err := observer.Observe(stats); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := opt.Step(all, nnopt.StepInfo{LRScale: 1, BatchSize: 8}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
