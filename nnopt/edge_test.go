package nnopt

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// TestEdges runs every optimizer on blocks of one row, one column and one element, and on none, with gradients that vanish, are below what float32 resolves, or change
// their size by thirty orders between steps: the values stay finite, and a state goes on where it was taken.
func TestEdges(t *testing.T) {
	t.Run("float32", edges[float32])
	t.Run("float64", edges[float64])
}

func edges[T Float](t *testing.T) {
	shapes := map[string][][2]int{"one": {{1, 1}}, "row": {{1, 17}}, "column": {{17, 1}}, "thin": {{130, 2}, {2, 1}}, "none": {}}
	gradients := map[string]func(step, i int) float64{
		"zero":      func(int, int) float64 { return 0 },
		"one":       func(int, int) float64 { return 1 },
		"single":    func(_, i int) float64 { return float64(max(0, 1-i)) },
		"subnormal": func(step, i int) float64 { return 1e-44 * math.Cos(float64(31*step+7*i)) },
		"swinging":  func(step, i int) float64 { return math.Pow(10, float64(5*step%30-15)) * math.Cos(float64(31*step+7*i)) },
	}
	for _, e := range Optimizers() {
		for shape, sizes := range shapes {
			for gradient, g := range gradients {
				name := fmt.Sprintf("%s, %s, %s", e.Name, shape, gradient)
				var blocks []Block[T]
				for k, s := range sizes {
					b := Block[T]{Name: fmt.Sprint(k), Rows: s[0], Cols: s[1], Value: make([]T, s[0]*s[1]), Grad: make([]T, s[0]*s[1])}
					fill(source(uint64(k)), b.Value)
					blocks = append(blocks, b)
				}
				o := must(New[T](e.Name, []byte(`{"decay":0.1}`)))
				if err := o.Init(blocks); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for step := range 8 {
					for _, b := range blocks {
						for i := range b.Grad {
							b.Grad[i] = T(g(step, i))
						}
					}
					if _, err := o.Step(blocks, StepInfo{LRScale: 1, BatchSize: 8}); err != nil {
						t.Fatalf("%s: step %d: %v", name, step, err)
					}
					for _, b := range blocks {
						for i, v := range b.Value {
							if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
								t.Fatalf("%s: step %d: element %d is %v", name, step, i, v)
							}
						}
					}
					if step == 4 {
						state := o.State()
						o = must(New[T](e.Name, []byte(`{"decay":0.1}`)))
						if err := o.Init(blocks); err != nil {
							t.Fatalf("%s: %v", name, err)
						}
						if err := o.SetState(state); err != nil {
							t.Fatalf("%s: %v", name, err)
						}
					}
				}
			}
		}
	}
}

// TestInnerOptimizers: what cannot be averaged is said, and why.
func TestInnerOptimizers(t *testing.T) {
	for inner, why := range map[string]string{"kfac": "evaluates the loss", "schedule-free-adamw": "averages by itself", "averaged": "averages by itself"} {
		if _, err := NewAveraged[float64](Averaged{Inner: inner}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", inner, err)
		}
	}
}

// TestBlockWithoutAName is a block like any other beside a layer without a bias.
func TestBlockWithoutAName(t *testing.T) {
	for _, name := range []string{"kfac", "singd", "ikfac"} {
		o := must(New[float64](name, nil))
		o.(StatsObserver[float64]).SetLayers([]Layer{{Weight: "w"}})
		blocks := []Block[float64]{{Name: "w", Rows: 2, Cols: 1}, {Name: "", Rows: 2, Cols: 1}}
		for k := range blocks {
			blocks[k].Value, blocks[k].Grad = []float64{0, 0}, []float64{1, 1}
		}
		if err := o.Init(blocks); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Step(blocks, StepInfo{LRScale: 1}); err != nil {
			t.Fatal(err)
		}
		if blocks[1].Value[0] >= 0 {
			t.Errorf("%s: it did not move", name)
		}
	}
}

// TestManyLayers: no number of layers is too large.
func TestManyLayers(t *testing.T) {
	for _, name := range []string{"kfac", "singd"} {
		o := must(New[float64](name, nil))
		var blocks []Block[float64]
		var layers []Layer
		var stats []Stats[float64]
		one := Matrix[float64]{Rows: 1, Cols: 1, Stride: 1, Data: []float64{1}}
		for k := range 1200 {
			w := fmt.Sprint("w", k)
			blocks = append(blocks, Block[float64]{Name: w, Rows: 1, Cols: 1, Value: []float64{0}, Grad: []float64{1}})
			layers, stats = append(layers, Layer{Weight: w}), append(stats, Stats[float64]{Weight: w, In: one, Out: one, Reps: 1})
		}
		observer := o.(StatsObserver[float64])
		observer.SetLayers(layers)
		must(0, o.Init(blocks))
		must(0, observer.Observe(stats))
		must(o.Step(blocks, StepInfo{LRScale: 1}))
		for k := range blocks {
			if v := blocks[k].Value[0]; !(v < 0) || v != blocks[0].Value[0] {
				t.Fatalf("%s: layer %d is at %v, the first one at %v", name, k, v, blocks[0].Value[0])
			}
		}
	}
}
