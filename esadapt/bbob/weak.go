package bbob

import (
	"math"
	"sort"

	"github.com/spdopt/spdopt/internal/dense"
)

var weak = []Definition{
	{"f20", "Schwefel", Weak, 2, schwefelTridiagonal},
	{"f21", "Gallagher, 101 peaks", Weak, 2, func(n, i int) *Function { return gallagher(n, i, 101, 1, turned(rotation(seedOf(21, i), n))) }},
	{"f22", "Gallagher, 21 peaks", Weak, 2, func(n, i int) *Function { return gallagher(n, i, 21, 1, turned(rotation(seedOf(22, i), n))) }},
	{"f23", "Katsuura", Weak, 2, katsuura},
	{"f24", "Lunacek bi-Rastrigin", Weak, 2, lunacek},
}

func schwefelTridiagonal(n, instance int) *Function {
	const half = 0.5 * 4.2096874637
	seed := seedOf(20, instance)
	scale := between(math.Sqrt(10), n)
	f := &Function{XOpt: uniform(n, seed), FOpt: optimalValue(seed)}
	for i, u := range f.XOpt {
		f.XOpt[i] = half * sign(u-0.5)
	}
	f.eval = func(x []float64, w *scratch) float64 {
		y := w.a
		for i, v := range x {
			y[i] = 2 * sign(f.XOpt[i]) * v
			w.b[i] = y[i]
		}
		for i := 1; i < n; i++ {
			y[i] += 0.25 * (w.b[i-1] - 2*half)
		}
		var s, pen float64
		for i, v := range y {
			v = 100 * (scale[i]*(v-2*half) + 2*half)
			s += v * math.Sin(math.Sqrt(math.Abs(v)))
			if e := math.Abs(v) - 500; e > 0 {
				pen += e * e
			}
		}
		return 0.01*(418.9828872724339-s/float64(n)) + 0.01*pen + f.FOpt
	}
	return f
}

// order returns the indices that sort u.
func order(u []float64) []int {
	idx := make([]int, len(u))
	for i := range idx {
		idx[i] = i
	}
	sort.SliceStable(idx, func(a, b int) bool { return u[idx[a]] < u[idx[b]] })
	return idx
}

// turned returns the map of x to x r.
func turned(r dense.Matrix[float64]) func(dst, x []float64) {
	return func(dst, x []float64) { rowTimes(dst, x, r) }
}

// gallagher has 101 peaks (f21) or 21 steeper ones (f22) of random place, shape and height in coordinates that turn gives.
func gallagher(n, instance, peaks int, penalty float64, turn func(dst, x []float64)) *Function {
	number, spread, condition := 21, 1.0, math.Sqrt(1000)
	if peaks == 21 {
		number, spread, condition = 22, 0.98, 1000
	}
	seed := seedOf(number, instance)
	conditions := []float64{condition}
	spaced := between(1000, peaks-1)
	for _, k := range order(uniform(peaks-1, seed)) {
		conditions = append(conditions, spaced[k])
	}
	weight, height := dense.New[float64](peaks, n), make([]float64, peaks)
	for i, c := range conditions {
		for j, k := range order(uniform(n, seed+1000*int64(i))) {
			weight.Row(i)[j] = math.Pow(c, fraction(k, n)-0.5)
		}
		height[i] = 1.1 + 8*fraction(max(i-1, 0), peaks-1)
	}
	height[0] = 10
	center := dense.Wrap(peaks, n, uniform(peaks*n, seed))
	for i, u := range center.Data {
		center.Data[i] = spread * (10*u - 5)
		if i < n {
			center.Data[i] *= 0.8
		}
	}
	f := &Function{XOpt: append([]float64(nil), center.Row(0)...), FOpt: optimalValue(seed)}
	rotatedCenter := dense.New[float64](peaks, n)
	for k := range peaks {
		turn(rotatedCenter.Row(k), center.Row(k))
	}
	f.eval = func(x []float64, w *scratch) float64 {
		turn(w.a, x)
		best := 0.0
		for k, h := range height {
			c, wt := rotatedCenter.Row(k), weight.Row(k)
			var s float64
			for i, v := range w.a {
				d := v - c[i]
				s += wt[i] * d * d
			}
			best = max(best, h*math.Exp(-0.5/float64(n)*s))
		}
		v := oscillate(10 - best)
		return v*v + penalty*outside(x) + f.FOpt
	}
	return f
}

func katsuura(n, instance int) *Function {
	seed := seedOf(23, instance)
	m := scaledProduct(rotation(seed, n), between(10, n), rotation(seed+1e6, n))
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		rowTimes(w.b, w.a, m)
		return spikes(w.b) + outside(x) + f.FOpt
	}
	return f
}

// spikes is Katsuura's product of sums of saw teeth.
func spikes(x []float64) float64 {
	n := float64(len(x))
	power, p := 10/math.Pow(n, 1.2), 1.0
	for i, v := range x {
		var s float64
		for k, two := 1, 2.0; k <= 32; k, two = k+1, 2*two {
			s += math.Abs(two*v-math.RoundToEven(two*v)) / two
		}
		p *= math.Pow(1+float64(i+1)*s, power)
	}
	return 10 / n / n * (p - 1)
}

func lunacek(n, instance int) *Function {
	seed := seedOf(24, instance)
	return twoFunnels(n, seed, 1, turned(scaledProduct(rotation(seed, n), between(10, n), rotation(seed+1e6, n))))
}

// twoFunnels is Lunacek's function, times factor, in coordinates that turn gives.
func twoFunnels(n int, seed int64, factor float64, turn func(dst, x []float64)) *Function {
	const mu = 2.5
	s := 1 - 0.5/(math.Sqrt(float64(n)+20)-4.1)
	mu2 := -math.Sqrt((mu*mu - 1) / s)
	f := &Function{XOpt: normal(n, seed), FOpt: optimalValue(seed)}
	for i, g := range f.XOpt {
		f.XOpt[i] = 0.5 * mu * sign(g)
	}
	f.eval = func(x []float64, w *scratch) float64 {
		var near, far float64
		for i, v := range x {
			v *= 2 * sign(f.XOpt[i])
			near += (v - mu) * (v - mu)
			far += (v - mu2) * (v - mu2)
			w.a[i] = v - mu
		}
		turn(w.b, w.a)
		c := float64(n)
		for _, v := range w.b {
			c -= math.Cos(2 * math.Pi * v)
		}
		return factor*(min(near, float64(n)+s*far)+10*c) + 1e4*outside(x) + f.FOpt
	}
	return f
}
