package nnopt

import "testing"

// Averages around plain descent are the heavy ball and Nesterov's method, as the documentation says.
func TestPrimalAveragingIdentities(t *testing.T) {
	const m, lr = 0.7, 0.02
	plain := func(train float64) Optimizer[float64] {
		return must(NewAveraged[float64](Averaged{Settings: Settings{LR: lr / (1 - m)}, Kind: AverageGPA, Eval: m, Train: train, Options: []byte(`{"no_momentum":true}`)}))
	}
	heavy := must(NewSGD[float64](SGD{Settings: Settings{LR: lr}, Momentum: m}))
	a, b := blocksFor[float64](source(1)), blocksFor[float64](source(1))
	ball := plain(1)
	must(0, ball.Init(a))
	must(0, heavy.Init(b))
	run(t, ball, a, 2, 9)
	run(t, heavy, b, 2, 9)
	for k := range a {
		near(t, "heavy ball", a[k].Value, b[k].Value, 1e-12)
	}
	nesterov := must(NewSGD[float64](SGD{Settings: Settings{LR: lr}, Momentum: m, Nesterov: true}))
	a, b = blocksFor[float64](source(1)), blocksFor[float64](source(1))
	look := plain(m)
	must(0, look.Init(a))
	must(0, nesterov.Init(b))
	run(t, look, a, 2, 9)
	run(t, nesterov, b, 2, 9)
	for k := range a {
		near(t, "Nesterov", a[k].Value, b[k].Value, 1e-12)
	}
}

// Momentum around plain descent is that of SGD, heavy ball and Nesterov's, also when the rate changes.
func TestMomentumAroundDescent(t *testing.T) {
	for _, nesterov := range []bool{false, true} {
		around := must(NewAveraged[float64](Averaged{Settings: Settings{LR: 0.02}, Kind: AverageMomentum, Momentum: 0.7, Nesterov: nesterov, Options: []byte(`{"no_momentum":true}`)}))
		sgd := must(NewSGD[float64](SGD{Settings: Settings{LR: 0.02}, Momentum: 0.7, Nesterov: nesterov}))
		a, b := blocksFor[float64](source(1)), blocksFor[float64](source(1))
		must(0, around.Init(a))
		must(0, sgd.Init(b))
		r := source(2)
		for step := range 9 {
			for k := range a {
				fill(r, a[k].Grad)
				copy(b[k].Grad, a[k].Grad)
			}
			info := StepInfo{LRScale: 1 / float64(1+step)}
			must(around.Step(a, info))
			must(sgd.Step(b, info))
		}
		for k := range a {
			near(t, "momentum", a[k].Value, b[k].Value, 1e-11)
		}
	}
}

// Eval and Train exchange the average bit for bit, steps fail in between, and a state taken in between goes on.
func TestAveragedEval(t *testing.T) {
	o := must(NewAveraged[float32](Averaged{Inner: "adamw"}))
	w := blocksFor[float32](source(1))
	must(0, o.Init(w))
	run(t, o, w, 2, 5)
	before, a := cloneBlocks(w), o.(Averager[float32])
	must(0, a.Eval(w))
	if _, err := o.Step(w, StepInfo{LRScale: 1}); err == nil || a.Eval(w) == nil {
		t.Error("a step or a second Eval succeeded on averaged values")
	}
	other := must(NewAveraged[float32](Averaged{Inner: "adamw"}))
	moved := cloneBlocks(w)
	must(0, other.Init(moved))
	must(0, other.SetState(o.State()))
	must(0, other.(Averager[float32]).Train(moved))
	must(0, a.Train(w))
	sameValues(t, "after Eval and Train", before, w)
	sameValues(t, "through a state", before, moved)
	if _, err := NewAveraged[float32](Averaged{Inner: "averaged"}); err == nil {
		t.Error("an average of an average was accepted")
	}
}
