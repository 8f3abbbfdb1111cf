package nnopt

import (
	"runtime"
	"testing"
)

// BenchmarkMemory reports what an optimizer holds for one 768 x 768 matrix in float32, in bytes per parameter: the state that is saved, and everything
// on the heap, workspace included.
func BenchmarkMemory(b *testing.B) {
	const n = 768
	for _, c := range []struct{ name, options string }{
		{"sgd", `{}`}, {"sign", `{}`}, {"lion", `{}`}, {"muon", `{}`}, {"adagrad", `{}`}, {"root-free-rmsprop", `{}`}, {"adamw", `{}`}, {"adamw", `{"narrow_moment":true}`},
		{"nadamw", `{}`}, {"root-free-adamw", `{}`}, {"schedule-free-sgd", `{}`}, {"schedule-free-adamw", `{}`}, {"averaged", `{"inner":"adamw"}`},
		{"singd", `{}`}, {"singd", `{"input":"diagonal","output":"diagonal"}`}, {"singd", `{"input":"block","output":"block"}`}, {"sirf-shampoo", `{}`},
		{"sirf-shampoo", `{"structure":"diagonal"}`}, {"spectral", `{}`}, {"spectral", `{"drop":true}`}, {"spectral", `{"bfloat16":true}`}, {"eshampoo", `{}`}, {"soap", `{}`},
		{"shampoo", `{}`}, {"shampoo", `{"graft":"none","roots":"newton"}`},
	} {
		b.Run(c.name+c.options, func(b *testing.B) {
			w := []Block[float32]{{Name: "w", Rows: n, Cols: n, Value: make([]float32, n*n), Grad: make([]float32, n*n)}}
			fill(source(1), w[0].Grad)
			for b.Loop() {
				before := heap()
				o := must(New[float32](c.name, []byte(c.options)))
				o.(StatsObserver[float32]).SetLayers([]Layer{{Weight: "w"}})
				must(0, o.Init(w))
				must(o.Step(w, StepInfo{LRScale: 1}))
				after := heap()
				b.ReportMetric(float64(after-before)/(n*n), "heap-B/param")
				b.ReportMetric(float64(saved(o))/(n*n), "state-B/param")
				runtime.KeepAlive(o)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// saved returns the bytes of the slots of an optimizer as it holds them.
func saved(o Optimizer[float32]) (bytes int) {
	s, ok := o.(*stepper[float32])
	if !ok {
		for _, slot := range o.State().Slots {
			bytes += 4 * len(slot.Data)
		}
		return bytes
	}
	for _, t := range s.blocks {
		for _, slot := range t.slots {
			bytes += 4*len(slot.Data) + 2*len(slot.narrow)
		}
	}
	return bytes
}
