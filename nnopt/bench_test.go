package nnopt

import (
	"fmt"
	"testing"
)

// BenchmarkStep times one step on a square matrix in float32, updates of the preconditioner included.
func BenchmarkStep(b *testing.B) {
	for _, n := range []int{256, 768} {
		for _, c := range []struct{ name, options string }{
			{"adamw", `{}`}, {"muon", `{}`}, {"spectral", `{}`}, {"spectral", `{"interval":10}`}, {"eshampoo", `{}`}, {"eshampoo", `{"interval":10}`}, {"soap", `{}`}, {"soap", `{"interval":10}`},
			{"shampoo", `{"interval":10}`}, {"sirf-shampoo", `{}`},
		} {
			b.Run(fmt.Sprintf("%d/%s%s", n, c.name, c.options), func(b *testing.B) {
				o := must(New[float32](c.name, []byte(c.options)))
				w := []Block[float32]{{Name: "w", Rows: n, Cols: n, Value: make([]float32, n*n), Grad: make([]float32, n*n)}}
				fill(source(1), w[0].Grad)
				must(0, o.Init(w))
				must(o.Step(w, StepInfo{LRScale: 1}))
				for b.Loop() {
					must(o.Step(w, StepInfo{LRScale: 1}))
				}
			})
		}
	}
}
