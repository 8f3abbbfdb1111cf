package nnopt

import (
	"math"
	"testing"
)

// factored are optimizers with factors, with options that carry more state than the defaults.
var factored = []struct{ name, options string }{
	{"spectral", `{"interval":3,"tol":0.1}`},
	{"spectral", `{"interval":1,"drop":true}`},
	{"spectral", `{"interval":2,"bfloat16":true,"shaping":{"max_dim":4}}`},
	{"spectral", `{"interval":2,"products":"bfloat16"}`},
	{"spectral", `{"statistics":"shampoo","interval":2}`},
	{"eshampoo", `{"interval":3,"tol":0.1}`},
	{"eshampoo", `{"interval":3,"sweeps":true}`},
	{"soap", `{"interval":2,"iterations":2}`},
	{"shampoo", `{"interval":3,"kl":true,"graft":"rmsprop"}`},
	{"shampoo", `{"interval":3,"roots":"newton"}`},
	{"shampoo", `{"interval":3,"roots":"series","exponents":[0.75]}`},
	{"shampoo", `{"interval":3,"sweeps":true,"beta2":1}`},
	{"shampoo", `{"interval":3,"pseudo_inverse":true}`},
	{"sirf-shampoo", `{"interval":3,"structure":"hierarchical","sizes":[2,1]}`},
	{"averaged", `{"kind":"schedule-free","inner":"spectral","options":{"interval":2}}`},
	{"averaged", `{"kind":"momentum","inner":"spectral","options":{"interval":2}}`},
}

// A run that stops within an interval goes on with the same bits.
func TestFactorsResumeWithinInterval(t *testing.T) {
	for _, c := range factored {
		name, options := c.name, c.options
		straight, w := blocksFor[float32](source(4)), blocksFor[float32](source(4))
		a, b, c := must(New[float32](name, []byte(options))), must(New[float32](name, []byte(options))), must(New[float32](name, []byte(options)))
		must(0, a.Init(straight))
		run(t, a, straight, 5, 4)
		run(t, a, straight, 6, 7)
		must(0, b.Init(w))
		run(t, b, w, 5, 4)
		var st State[float32]
		must(0, st.UnmarshalBinary(must(b.State().MarshalBinary())))
		must(0, c.Init(w))
		must(0, c.SetState(st))
		run(t, c, w, 6, 7)
		sameValues(t, name+options, straight, w)
	}
}

// Gradients of rank one, and no gradients at all, for thousands of steps leave parameters and state finite.
func TestFactorsDegenerateGradients(t *testing.T) {
	for _, c := range factored {
		name, options := c.name, c.options
		o := must(New[float32](name, []byte(options)))
		w := []Block[float32]{{Name: "w", Rows: 6, Cols: 5, Value: make([]float32, 30), Grad: make([]float32, 30)}}
		must(0, o.Init(w))
		for step := range 3000 {
			for i := range w[0].Grad {
				w[0].Grad[i] = float32(i/5) * float32(1+i%5)
			}
			if step >= 2000 {
				clear(w[0].Grad)
			}
			must(o.Step(w, StepInfo{LRScale: 1e-3}))
		}
		for _, s := range append(o.State().Slots, Slot[float32]{Name: "parameters", Data: w[0].Value}) {
			for _, v := range s.Data {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Fatalf("%s %s: slot %s holds %v", name, options, s.Name, v)
				}
			}
		}
	}
}
