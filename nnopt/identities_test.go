package nnopt

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// setSlot sets a slot of every block of a state to the given numbers, one for each element.
func setSlot(t *testing.T, o Optimizer[float64], name string, values []float64) {
	t.Helper()
	st := o.State()
	for k := range st.Slots {
		if st.Slots[k].Name == name {
			copy(st.Slots[k].Data, values)
		}
	}
	must(0, o.SetState(st))
}

// line returns one block of a row.
func line(values ...float64) []Block[float64] {
	return []Block[float64]{{Name: "w", Rows: 1, Cols: len(values), Value: values, Grad: make([]float64, len(values))}}
}

// RMSProp without the root is the published recursion on s = S/B from 1/B, and for a constant gradient S ends at B g^2.
func TestRootFreeForms(t *testing.T) {
	const lr, beta2, eps, mu, decay, batch = 0.02, 0.9, 1e-3, 0.8, 0.05, 8.0
	o := must(NewRootFreeRMSProp[float64](RootFreeRMSProp{Settings: Settings{LR: lr, Decay: decay}, Beta2: beta2, Eps: eps, Momentum: mu}))
	w := line(1, -2, 0.5)
	must(0, o.Init(w))
	x, s, m := []float64{1, -2, 0.5}, []float64{1 / batch, 1 / batch, 1 / batch}, make([]float64, 3)
	r := source(70)
	for range 12 {
		fill(r, w[0].Grad)
		must(o.Step(w, StepInfo{LRScale: 1, BatchSize: batch}))
		for i, g := range w[0].Grad {
			s[i] = beta2*s[i] + (1-beta2)*g*g
			m[i] = mu*m[i] + g/(batch*s[i]+eps) + decay*x[i]
			x[i] -= lr * m[i]
		}
		within(t, "iterate", w[0].Value, x, 1e-13)
	}
	for range 500 {
		must(o.Step(w, StepInfo{LRScale: 1, BatchSize: batch}))
	}
	for i, g := range w[0].Grad {
		within(t, "S", slotOf(t, o, "w", "second")[i:i+1], []float64{batch * g * g}, 1e-12)
	}
}

// Gradients times c with B/c, c S and c Eps leave iterates without the root as they are; with the root gradients times c alone do.
func TestRootFreeScale(t *testing.T) {
	const c = 4
	move := func(o Optimizer[float64], scale float64, batch int, start float64) []float64 {
		w := line(1, 2, -1)
		must(0, o.Init(w))
		if start > 0 {
			setSlot(t, o, "second", []float64{start, start, start})
		}
		r := source(71)
		for range 15 {
			fill(r, w[0].Grad)
			dense.Scale(scale, w[0].Grad, w[0].Grad)
			must(o.Step(w, StepInfo{LRScale: 1, BatchSize: batch}))
		}
		return w[0].Value
	}
	rms := func(eps float64) Optimizer[float64] {
		return must(NewRootFreeRMSProp[float64](RootFreeRMSProp{Beta2: 0.9, Eps: eps}))
	}
	adam := func(eps float64) Optimizer[float64] {
		return must(NewRootFreeAdamW[float64](RootFreeAdamW{Beta2: 0.9, Eps: eps}))
	}
	within(t, "rmsprop", move(rms(c*1e-3), c, 8/c, c*0.3), move(rms(1e-3), 1, 8, 0.3), 1e-13)
	within(t, "adamw", move(adam(c*1e-3), c, 8/c, c*0.3), move(adam(1e-3), 1, 8, 0.3), 1e-13)
	root := func() Optimizer[float64] { return must(NewAdamW[float64](AdamW{Eps: 1e-300})) }
	within(t, "with the root", move(root(), c, 8, 0), move(root(), 1, 8, 0), 1e-13)
}

// Under W = A W' with a diagonal A and S' = A^2 S at the start, iterates without the root map onto each other.
func TestRootFreeAffineFromAnyStart(t *testing.T) {
	a := []float64{3, 0.5, 10}
	move := func(o Optimizer[float64], scaled bool) []float64 {
		w, s := line(1, 2, -1), []float64{0.2, 0.4, 0.1}
		for i, v := range a {
			if scaled {
				w[0].Value[i] /= v
				s[i] *= v * v
			}
		}
		must(0, o.Init(w))
		setSlot(t, o, "second", s)
		r := source(72)
		for range 20 {
			fill(r, w[0].Grad)
			for i, v := range a {
				if scaled {
					w[0].Grad[i] *= v
				}
			}
			must(o.Step(w, StepInfo{LRScale: 1, BatchSize: 4}))
		}
		for i, v := range a {
			if scaled {
				w[0].Value[i] *= v
			}
		}
		return w[0].Value
	}
	rms := func() Optimizer[float64] { return must(NewRootFreeRMSProp[float64](RootFreeRMSProp{Eps: 1e-300})) }
	adam := func() Optimizer[float64] { return must(NewRootFreeAdamW[float64](RootFreeAdamW{Eps: 1e-300})) }
	within(t, "rmsprop", move(rms(), true), move(rms(), false), 1e-12)
	within(t, "adamw", move(adam(), true), move(adam(), false), 1e-12)
}

// tiny stands for zero in options where that is the default.
const tiny = 1e-300

// Without damping and momentum the diagonal factor of a vector follows k <- k - Beta2/2 k (B k^2 g^2 - 1), to k^2 = 1/(B g^2), where root-free RMSProp ends.
// A dense one ends at K K^T = (B g g^T + Damping I)^-1.
func TestSIRFVector(t *testing.T) {
	const beta2, batch = 0.2, 4.0
	o := must(NewSIRFShampoo[float64](SIRFShampoo{Beta2: beta2, Alpha2: tiny, Damping: tiny, Structure: StructureDiagonal}))
	w := line(0, 0, 0)
	copy(w[0].Grad, []float64{0.4, -0.2, 0.3})
	must(0, o.Init(w))
	k := []float64{1, 1, 1}
	for range 400 {
		must(o.Step(w, StepInfo{LRScale: 1, BatchSize: batch}))
		for i, g := range w[0].Grad {
			k[i] -= beta2 / 2 * k[i] * (batch*k[i]*k[i]*g*g - 1)
		}
		within(t, "diagonal", slotOf(t, o, "w", "factor0.0"), k, 1e-12)
	}
	for i, g := range w[0].Grad {
		within(t, "end", []float64{k[i] * k[i] * batch * g * g}, []float64{1}, 1e-10)
	}

	const damping = 0.5
	o = must(NewSIRFShampoo[float64](SIRFShampoo{Beta2: beta2, Damping: damping}))
	must(0, o.Init(w))
	for range 2000 {
		must(o.Step(w, StepInfo{LRScale: 1, BatchSize: batch}))
	}
	factor := dense.Wrap(3, 3, slotOf(t, o, "w", "factor0.0"))
	inverse, product, fisher := dense.New[float64](3, 3), dense.New[float64](3, 3), dense.New[float64](3, 3)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, factor, factor, 0, inverse)
	for i, a := range w[0].Grad {
		for j, b := range w[0].Grad {
			fisher.Set(i, j, batch*a*b)
		}
		fisher.Set(i, i, fisher.At(i, i)+damping)
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, inverse, fisher, 0, product)
	within(t, "dense", product.Data, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}, 1e-9)
}

// Diagonal factors of a matrix follow their elementwise recursion, and factors that hardly move leave the heavy ball.
func TestSIRFElementwise(t *testing.T) {
	const m, n, lr, beta2, alpha2, damping, mu, decay, batch = 3, 4, 0.05, 0.1, 0.5, 0.02, 0.9, 0.1, 6.0
	options := SIRFShampoo{Settings: Settings{LR: lr, Decay: decay}, Beta2: beta2, Alpha2: alpha2, Damping: damping, Structure: StructureDiagonal}
	still := options
	still.Beta2, still.Structure = tiny, StructureDense
	o, rest := must(NewSIRFShampoo[float64](options)), must(NewSIRFShampoo[float64](still))
	ball := must(NewSGD[float64](SGD{Settings: Settings{LR: lr, Decay: decay, DecayKind: L2}, Momentum: mu}))
	var w [3][]Block[float64]
	for k, opt := range []Optimizer[float64]{o, rest, ball} {
		w[k] = []Block[float64]{{Name: "w", Rows: m, Cols: n, Value: make([]float64, m*n), Grad: make([]float64, m*n)}}
		fill(source(73), w[k][0].Value)
		must(0, opt.Init(w[k]))
	}
	x := append([]float64(nil), w[0][0].Value...)
	buf, c, k, mc, mk := make([]float64, m*n), []float64{1, 1, 1}, []float64{1, 1, 1, 1}, make([]float64, m), make([]float64, n)
	r := source(74)
	for range 10 {
		fill(r, w[0][0].Grad)
		copy(w[1][0].Grad, w[0][0].Grad)
		copy(w[2][0].Grad, w[0][0].Grad)
		for j, opt := range []Optimizer[float64]{o, rest, ball} {
			must(opt.Step(w[j], StepInfo{LRScale: 1, BatchSize: batch}))
		}
		g := w[0][0].Grad
		targetC, targetK := make([]float64, m), make([]float64, n)
		var squaresC, squaresK float64
		for _, v := range c {
			squaresC += v * v / m
		}
		for _, v := range k {
			squaresK += v * v / n
		}
		for i := range m {
			for j := range n {
				v := batch * c[i] * c[i] * g[i*n+j] * g[i*n+j] * k[j] * k[j] / 2
				targetC[i] += v / n
				targetK[j] += v / m
			}
		}
		move := func(factor, motion, target []float64, others float64) {
			var norm float64
			for i, v := range target {
				v += (damping*others*factor[i]*factor[i] - 1) / 2
				motion[i] = alpha2*motion[i] + (1-alpha2)*v
				norm += motion[i] * motion[i]
			}
			for i := range factor {
				factor[i] -= beta2 / max(1, math.Sqrt(norm)) * factor[i] * motion[i]
			}
		}
		move(c, mc, targetC, squaresK)
		move(k, mk, targetK, squaresC)
		for i := range m {
			for j := range n {
				at := i*n + j
				buf[at] = mu*buf[at] + c[i]*c[i]*g[at]*k[j]*k[j] + decay*x[at]
				x[at] -= lr * buf[at]
			}
		}
		within(t, "rows", slotOf(t, o, "w", "factor0.0"), c, 1e-12)
		within(t, "columns", slotOf(t, o, "w", "factor0.1"), k, 1e-12)
		within(t, "iterate", w[0][0].Value, x, 1e-12)
		within(t, "heavy ball", w[1][0].Value, w[2][0].Value, 1e-12)
	}
}

// Permuting the axes of a tensor permutes its factors.
func TestSIRFAxes(t *testing.T) {
	const a, b, c = 2, 3, 4
	tensor := func(shape string) Optimizer[float64] {
		return must(New[float64]("sirf-shampoo", []byte(`{"lr":0.05,"beta2":0.2,"shaping":{"tensors":[{"match":"w","shape":`+shape+`}]}}`)))
	}
	o, p := tensor("[2,3,4]"), tensor("[4,2,3]")
	w := []Block[float64]{{Name: "w", Rows: a, Cols: b * c, Value: make([]float64, a*b*c), Grad: make([]float64, a*b*c)}}
	v := []Block[float64]{{Name: "w", Rows: c, Cols: a * b, Value: make([]float64, a*b*c), Grad: make([]float64, a*b*c)}}
	must(0, o.Init(w))
	must(0, p.Init(v))
	permuted := func(x []float64) []float64 {
		y := make([]float64, len(x))
		for i := range a * b {
			for j := range c {
				y[j*a*b+i] = x[i*c+j]
			}
		}
		return y
	}
	r := source(75)
	for range 8 {
		fill(r, w[0].Grad)
		copy(v[0].Grad, permuted(w[0].Grad))
		must(o.Step(w, StepInfo{LRScale: 1, BatchSize: 3}))
		must(p.Step(v, StepInfo{LRScale: 1, BatchSize: 3}))
	}
	within(t, "values", v[0].Value, permuted(w[0].Value), 1e-12)
	for from, to := range map[string]string{"factor0.0": "factor0.1", "factor0.1": "factor0.2", "factor0.2": "factor0.0"} {
		within(t, from, slotOf(t, p, "w", to), slotOf(t, o, "w", from), 1e-12)
	}
}

// With an interval of 2 every second update of the factors is that of an interval of 1 from the same state, and between them factors rest.
func TestSIRFInterval(t *testing.T) {
	second, each := must(NewSIRFShampoo[float64](SIRFShampoo{Beta2: 0.2, Interval: 2})), must(NewSIRFShampoo[float64](SIRFShampoo{Beta2: 0.2}))
	a := []Block[float64]{{Name: "w", Rows: 3, Cols: 4, Value: make([]float64, 12), Grad: make([]float64, 12)}}
	b := cloneBlocks(a)
	must(0, second.Init(a))
	must(0, each.Init(b))
	r := source(76)
	for step := 1; step <= 6; step++ {
		before := append([]float64(nil), slotOf(t, second, "w", "factor0.1")...)
		must(0, each.SetState(second.State()))
		copy(b[0].Value, a[0].Value)
		fill(r, a[0].Grad)
		copy(b[0].Grad, a[0].Grad)
		must(second.Step(a, StepInfo{LRScale: 1, BatchSize: 2}))
		must(each.Step(b, StepInfo{LRScale: 1, BatchSize: 2}))
		after := slotOf(t, second, "w", "factor0.1")
		switch same := equalBits(after, slotOf(t, each, "w", "factor0.1")); {
		case step%2 == 0 && !same:
			t.Errorf("step %d: not the update of interval 1", step)
		case step%2 == 1 && (same || !equalBits(after, before)):
			t.Errorf("step %d: the factors moved", step)
		}
	}
}

// EShampoo without a factor is AdamW, AdaGrad or RMSProp.
func TestEShampooWithoutFactors(t *testing.T) {
	settings := Settings{LR: 0.02, Decay: 0.1}
	without := Shaping{Exclude: 1}
	for name, c := range map[string]struct{ corrected, diagonal Optimizer[float64] }{
		"adamw": {
			must(NewEShampoo[float64](EShampoo{settings, Factoring{Shaping: without, Beta1: 0.8, Beta2: 0.9, Eps: 1e-6}})),
			must(NewAdamW[float64](AdamW{Settings: settings, Beta1: 0.8, Beta2: 0.9, Eps: 1e-6})),
		},
		"adagrad": {
			must(NewEShampoo[float64](EShampoo{settings, Factoring{Shaping: without, NoMomentum: true, Beta2: 1, Eps: 1e-6}})),
			must(NewAdaGrad[float64](AdaGrad{Settings: settings, Eps: 1e-6})),
		},
		"rmsprop": {
			must(NewEShampoo[float64](EShampoo{settings, Factoring{Shaping: without, NoMomentum: true, NoBiasCorrection: true, Beta2: 0.9, Eps: 1e-6}})),
			must(NewAdamW[float64](AdamW{Settings: settings, Beta1: tiny, Beta2: 0.9, Eps: 1e-6, NoBiasCorrection: true})),
		},
	} {
		a, b := blocksFor[float64](source(77)), blocksFor[float64](source(77))
		must(0, c.corrected.Init(a))
		must(0, c.diagonal.Init(b))
		run(t, c.corrected, a, 78, 9)
		run(t, c.diagonal, b, 78, 9)
		for k := range a {
			within(t, name, a[k].Value, b[k].Value, 1e-13)
		}
	}
}
