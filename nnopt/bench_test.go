package nnopt

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/cputime"
)

// BenchmarkStep times one step on a matrix in float32, updates of the preconditioner included, against gradients that change: the shapes are a square one and
// the three of a layer of GPT-2 small (attention, its three inputs together, and the wide layer), whole and cut.
func BenchmarkStep(b *testing.B) {
	for _, shape := range [][2]int{{256, 256}, {768, 768}, {2304, 768}, {3072, 768}} {
		for _, c := range []struct{ name, options string }{
			{"adamw", `{}`}, {"muon", `{}`}, {"spectral", `{}`}, {"spectral", `{"interval":10}`}, {"spectral", `{"products":"bfloat16"}`}, {"spectral", `{"interval":10,"products":"bfloat16"}`},
			{"spectral", `{"shaping":{"max_dim":256}}`}, {"spectral", `{"shaping":{"max_dim":256},"products":"bfloat16"}`},
			{"spectral", `{"shaping":{"max_dim":4096}}`}, {"spectral", `{"interval":10,"shaping":{"max_dim":4096}}`},
			{"spectral", `{"shaping":{"max_dim":4096},"products":"bfloat16"}`}, {"spectral", `{"interval":10,"shaping":{"max_dim":4096},"products":"bfloat16"}`},
			{"eshampoo", `{"shaping":{"max_dim":128}}`}, {"eshampoo", `{"interval":10,"shaping":{"max_dim":128}}`},
			{"eshampoo", `{"shaping":{"max_dim":256}}`}, {"eshampoo", `{"interval":10,"shaping":{"max_dim":256}}`},
			{"eshampoo", `{"shaping":{"max_dim":4096}}`}, {"eshampoo", `{"interval":10,"shaping":{"max_dim":4096}}`},
			{"soap", `{}`}, {"soap", `{"interval":10}`}, {"shampoo", `{"interval":10}`}, {"sirf-shampoo", `{}`},
		} {
			b.Run(fmt.Sprintf("%dx%d/%s%s", shape[0], shape[1], c.name, c.options), func(b *testing.B) { benchmarkStep(b, c.name, c.options, shape[0], shape[1]) })
		}
	}
}

// benchmarkStep reports the least processor time of a step, over batches of two steps, or of ten where an interval of ten holds one update.
func benchmarkStep(b *testing.B, name, options string, rows, cols int) {
	o := must(New[float32](name, []byte(options)))
	n, steps := rows*cols, 2
	if strings.Contains(options, "interval") {
		steps = 10
	}
	w := []Block[float32]{{Name: "w", Rows: rows, Cols: cols, Value: make([]float32, n)}}
	grads := make([]float32, n+steps*cols) // windows that are a row apart
	fill(source(1), grads)
	for i := range grads {
		grads[i] *= float32(1+i%cols) / float32(cols)
	}
	w[0].Grad = grads[:n]
	must(0, o.Init(w))
	batch := func() {
		for k := range steps {
			w[0].Grad = grads[k*cols : k*cols+n]
			must(o.Step(w, StepInfo{LRScale: 1}))
		}
	}
	batch()
	least := math.Inf(1)
	for b.Loop() {
		start, _ := cputime.Seconds()
		batch()
		end, _ := cputime.Seconds()
		least = min(least, (end-start)/float64(steps))
	}
	b.ReportMetric(1e3*least, "cpu-ms/step")
}
