package nnopt

import (
	"math"
	"testing"
)

// TestScheduleFreeEdges: without interpolation (a Beta1 too small to count) gradients are taken at z, and steps of length zero, in which all weights are zero,
// leave the average where it is instead of dividing by their sum.
func TestScheduleFreeEdges(t *testing.T) {
	o := must(NewScheduleFree[float64](ScheduleFree{Beta1: 1e-300}))
	blocks := blocksFor[float64](source(22))
	must(0, o.Init(blocks))
	for k := range 5 {
		run(t, o, blocks, uint64(k), 1)
		if !equalBits(blocks[0].Value, o.State().Slots[sfZ].Data) {
			t.Fatal("y differs from z without interpolation")
		}
	}

	o = must(NewScheduleFree[float64](ScheduleFree{}))
	must(0, o.Init(blocks))
	before := cloneBlocks(blocks)
	for range 3 {
		must(o.Step(blocks, StepInfo{LRScale: 0}))
	}
	sameValues(t, "after steps of length zero", before, blocks)
	must(0, o.(Averager[float64]).Eval(blocks))
	sameValues(t, "average after steps of length zero", before, blocks)
}

// TestScheduleFreeInPlace: the three sequences agree with the two of the authors' package, which keeps y and z and recovers x = y + (1 - 1/Beta1) (z - y)
// (arXiv:2405.15682, section 4.5), with a warm-up, weights, and decay.
func TestScheduleFreeInPlace(t *testing.T) {
	const lr, beta1, beta2, eps, decay, power, warmup = 0.05, 0.9, 0.99, 1e-8, 0.02, 2.0, 4
	o := must(NewScheduleFree[float64](ScheduleFree{Settings: Settings{LR: lr, Decay: decay}, Beta1: beta1, Beta2: beta2, Eps: eps, Warmup: warmup}))
	blocks := blocksFor[float64](source(23))[:1]
	y := append([]float64(nil), blocks[0].Value...)
	z, v := append([]float64(nil), y...), make([]float64, len(y))
	must(0, o.Init(blocks))
	largest, sum := 0.0, 0.0
	for k := range 20 {
		run(t, o, blocks, uint64(100+k), 1)
		gamma := lr * min(1, float64(k+1)/warmup)
		largest = max(largest, gamma)
		w := math.Pow(largest, power)
		sum += w
		c := w / sum
		for i, g := range blocks[0].Grad {
			v[i] = beta2*v[i] + (1-beta2)*g*g
			d := g/(math.Sqrt(v[i]/(1-math.Pow(beta2, float64(k+1))))+eps) + decay*y[i]
			y[i] = (1-c)*y[i] + c*z[i] + gamma*(beta1*(1-c)-1)*d
			z[i] -= gamma * d
		}
		near(t, "y", blocks[0].Value, y, 1e-14)
		near(t, "z", o.State().Slots[sfZ].Data, z, 1e-14)
	}
	must(0, o.(Averager[float64]).Eval(blocks))
	for i := range y {
		y[i] += (1 - 1/beta1) * (z[i] - y[i])
	}
	near(t, "x", blocks[0].Value, y, 1e-14)
}
