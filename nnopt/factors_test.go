package nnopt

import "testing"

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

// Gradients of rank one, and no gradients at all, for thousands of steps leave parameters and state finite, with these options too.
func TestFactorsDegenerateGradients(t *testing.T) {
	for _, c := range factored {
		t.Run(c.name+c.options, func(t *testing.T) { degenerate(t, must(New[float32](c.name, []byte(c.options)))) })
	}
}
