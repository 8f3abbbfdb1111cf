package bbob

import "math"

// largeScale holds the 24 functions for many variables: rotations of blocks and permutations in place of full rotations, and values divided by n/40; Elhara,
// Varelas, Nguyen, Tusar, Brockhoff, Hansen, Auger: "COCO: the large scale black-box optimization benchmarking (bbob-largescale) test suite" (arXiv:1903.06396).
var largeScale = []Definition{
	{"l1", "large-scale sphere", LargeScale, 1, shrunk(sphere)},
	{"l2", "large-scale ellipsoid, separable", LargeScale, 1, shrunk(separableEllipsoid)},
	{"l3", "large-scale Rastrigin, separable", LargeScale, 1, shrunk(separableRastrigin)},
	{"l4", "large-scale Bueche-Rastrigin", LargeScale, 1, largeBuecheRastrigin},
	{"l5", "large-scale linear slope", LargeScale, 1, shrunk(linearSlope)},
	{"l6", "large-scale attractive sector", LargeScale, 2, largeSector},
	{"l7", "large-scale step ellipsoid", LargeScale, 2, largeSteps},
	{"l8", "large-scale Rosenbrock", LargeScale, 2, largeRosenbrock},
	{"l9", "large-scale Rosenbrock, rotated", LargeScale, 2, largeRosenbrockRotated},
	{"l10", "large-scale ellipsoid", LargeScale, 2, func(n, i int) *Function { return largeQuadratic(10, n, i, between(1e6, n)) }},
	{"l11", "large-scale discus", LargeScale, 2, func(n, i int) *Function { return largeQuadratic(11, n, i, twoKinds(n, 1e6, 1)) }},
	{"l12", "large-scale bent cigar", LargeScale, 2, largeCigar},
	{"l13", "large-scale sharp ridge", LargeScale, 2, largeRidge},
	{"l14", "large-scale different powers", LargeScale, 2, largePowers},
	{"l15", "large-scale Rastrigin", LargeScale, 2, largeRastrigin},
	{"l16", "large-scale Weierstrass", LargeScale, 2, largeWeierstrass},
	{"l17", "large-scale Schaffers F7, condition 10", LargeScale, 2, func(n, i int) *Function { return largeSchaffers(n, i, 10) }},
	{"l18", "large-scale Schaffers F7, condition 1000", LargeScale, 2, func(n, i int) *Function { return largeSchaffers(n, i, 1000) }},
	{"l19", "large-scale Griewank-Rosenbrock", LargeScale, 2, largeGriewank},
	{"l20", "large-scale Schwefel", LargeScale, 2, schwefelTridiagonal},
	{"l21", "large-scale Gallagher, 101 peaks", LargeScale, 2, func(n, i int) *Function { return largeGallagher(n, i, 101, seedOf(21, i)) }},
	{"l22", "large-scale Gallagher, 21 peaks", LargeScale, 2, func(n, i int) *Function { return largeGallagher(n, i, 21, seedOf(22, i)) }},
	{"l23", "large-scale Katsuura", LargeScale, 2, largeKatsuura},
	{"l24", "large-scale Lunacek bi-Rastrigin", LargeScale, 2, largeLunacek},
}

// share is what values are multiplied by in n dimensions.
func share(n int) float64 { return min(1, blockSize/float64(n)) }

// shrunk multiplies the values of a function by the share, its optimal value apart.
func shrunk(build func(n, instance int) *Function) func(n, instance int) *Function {
	return func(n, instance int) *Function {
		f := build(n, instance)
		inner := f.eval
		f.eval = func(x []float64, w *scratch) float64 { return share(n)*(inner(x, w)-f.FOpt) + f.FOpt }
		return f
	}
}

// shell is an instance with the usual optimum and optimal value.
func shell(n int, seed int64) *Function {
	return &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
}

// twoKinds returns weights: first for one axis in 40, rest for the others.
func twoKinds(n int, first, rest float64) []float64 {
	w := constant(n, rest)
	copy(w, constant(axesOf(n), first))
	return w
}

func largeBuecheRastrigin(n, instance int) *Function {
	f := buecheRastrigin(n, instance)
	inner := f.eval
	f.eval = func(x []float64, w *scratch) float64 {
		penalty := 100 * outside(x)
		return share(n)*(inner(x, w)-f.FOpt-penalty) + f.FOpt + penalty
	}
	return f
}

func largeSector(n, instance int) *Function {
	seed := seedOf(6, instance)
	f := shell(n, seed)
	core := func(z []float64) float64 {
		for i, v := range z {
			if v*f.XOpt[i] > 0 {
				z[i] = 100 * v
			}
		}
		return math.Pow(oscillate(share(n)*squares(z)), 0.9) + f.FOpt
	}
	f.eval = chained(core, less(f.XOpt), newSpin(n, seed, seed+2e6, seed+3e6).stage, times(between(math.Sqrt(10), n)), newSpin(n, seed+1e6, seed+4e6, seed+5e6).stage)
	return f
}

func largeSteps(n, instance int) *Function {
	seed := seedOf(7, instance)
	f := shell(n, seed)
	inner, outer := newSpin(n, seed, seed+2e6, seed+3e6), newSpin(n, seed+1e6, seed+4e6, seed+5e6)
	stretch, weight := between(math.Sqrt(10), n), between(100, n)
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		inner.apply(w.b, w.a)
		for i := range w.b {
			w.b[i] *= stretch[i]
		}
		first := math.Abs(w.b[0]) * float64(n)
		roundSteps(w.b)
		outer.apply(w.a, w.b)
		return share(n)*0.1*max(1e-4*first, weightedSquares(w.a, weight)) + outside(x) + f.FOpt
	}
	return f
}

// rosenbrockScale is that of f8, f9 and f19, with the size of a block for the dimension.
func rosenbrockScale(n int) float64 { return max(1, math.Sqrt(float64(min(n, blockSize)))/8) }

func largeRosenbrock(n, instance int) *Function {
	f := rosenbrockOriginal(n, instance)
	core := func(z []float64) float64 { return share(n)*rosenbrock(z) + f.FOpt }
	f.eval = chained(core, less(f.XOpt), affine(rosenbrockScale(n), 1))
	return f
}

func largeRosenbrockRotated(n, instance int) *Function {
	seed := seedOf(9, instance)
	f := shell(n, seed)
	for i := range f.XOpt {
		f.XOpt[i] *= 0.75
	}
	core := func(z []float64) float64 { return share(n)*rosenbrock(z) + f.FOpt }
	f.eval = chained(core, less(f.XOpt), newSpin(n, seed, seed+2e6, seed+3e6).stage, affine(rosenbrockScale(n), 1))
	return f
}

// spun is the rotation of the functions with one.
func spun(n int, seed int64) *spin { return newSpin(n, seed+1e6, seed+2e6, seed+3e6) }

func largeQuadratic(number, n, instance int, weight []float64) *Function {
	seed := seedOf(number, instance)
	f := shell(n, seed)
	core := func(z []float64) float64 { return share(n)*weightedSquares(z, weight) + f.FOpt }
	f.eval = chained(core, less(f.XOpt), spun(n, seed).stage, waved)
	return f
}

func largeCigar(n, instance int) *Function {
	seed := seedOf(12, instance)
	f := shell(n, seed)
	f.XOpt = optimum(seed+1e6, n)
	s, weight := spun(n, seed), twoKinds(n, 1, 1e6)
	core := func(z []float64) float64 { return share(n)*weightedSquares(z, weight) + f.FOpt }
	f.eval = chained(core, less(f.XOpt), s.stage, bent(0.5), s.stage)
	return f
}

func largeRidge(n, instance int) *Function {
	seed := seedOf(13, instance)
	f := shell(n, seed)
	core := func(z []float64) float64 {
		k := axesOf(n)
		return share(n)*(100*math.Sqrt(squares(z[k:]))+squares(z[:k])) + f.FOpt
	}
	f.eval = chained(core, less(f.XOpt), newSpin(n, seed, seed+5e6, seed+6e6).stage, times(between(math.Sqrt(10), n)), newSpin(n, seed+1e6, seed+3e6, seed+4e6).stage)
	return f
}

func largePowers(n, instance int) *Function {
	seed := seedOf(14, instance)
	f := shell(n, seed)
	core := func(z []float64) float64 { return share(n)*math.Sqrt(differentPowers(z)) + f.FOpt }
	f.eval = chained(core, less(f.XOpt), spun(n, seed).stage)
	return f
}

func largeRastrigin(n, instance int) *Function {
	seed := seedOf(15, instance)
	f := shell(n, seed)
	first, second := newSpin(n, seed+1e6, seed+3e6, seed+4e6), newSpin(n, seed, seed+5e6, seed+6e6)
	core := func(z []float64) float64 { return share(n)*rastrigin(z) + f.FOpt }
	f.eval = chained(core, less(f.XOpt), first.stage, waved, bent(0.2), second.stage, times(between(math.Sqrt(10), n)), first.stage)
	return f
}

// withPenalty adds a multiple of the squared distance from the box.
func withPenalty(f *Function, factor float64) *Function {
	inner := f.eval
	f.eval = func(x []float64, w *scratch) float64 { return inner(x, w) + factor*outside(x) }
	return f
}

func largeWeierstrass(n, instance int) *Function {
	seed := seedOf(16, instance)
	f := shell(n, seed)
	first, second := newSpin(n, seed+1e6, seed+5e6, seed+6e6), newSpin(n, seed, seed+3e6, seed+4e6)
	core := func(z []float64) float64 { return rugged(z) + f.FOpt }
	f.eval = chained(core, less(f.XOpt), first.stage, waved, second.stage, times(between(0.1, n)), first.stage)
	return withPenalty(f, 10/float64(n))
}

func largeSchaffers(n, instance int, condition float64) *Function {
	seed := seedOf(17, instance)
	f := shell(n, seed)
	core := func(z []float64) float64 { return schaffersF7(z) + f.FOpt }
	f.eval = chained(core, less(f.XOpt), newSpin(n, seed+1e6, seed+5e6, seed+6e6).stage, bent(0.5), newSpin(n, seed, seed+3e6, seed+4e6).stage,
		times(between(math.Sqrt(condition), n)))
	return withPenalty(f, 10)
}

func largeGriewank(n, instance int) *Function {
	seed := seedOf(19, instance)
	s, scale := newSpin(n, seed, seed+2e6, seed+3e6), rosenbrockScale(n)
	f := &Function{XOpt: make([]float64, n), FOpt: optimalValue(seed)}
	s.invert(f.XOpt, constant(n, 0.5/scale))
	core := func(z []float64) float64 { return 10*(1+waves(z)) + f.FOpt }
	f.eval = chained(core, s.stage, affine(scale, 0.5))
	return f
}

func largeGallagher(n, instance, peaks int, seed int64) *Function {
	s := newSpin(n, seed, 0, 0)
	for i := range n {
		s.from[i], s.to[i] = i, i
	}
	return gallagher(n, instance, peaks, 1, s.apply)
}

// twice is the product of two rotations with a stretch in between.
func twice(n int, seed int64, stretch float64) func(dst, x []float64) {
	first, second := newSpin(n, seed, seed+3e6, seed+4e6), newSpin(n, seed+1e6, seed+5e6, seed+6e6)
	weight := between(stretch, n)
	return func(dst, x []float64) {
		first.apply(dst, x)
		for i, v := range dst {
			x[i] = weight[i] * v
		}
		second.apply(dst, x)
	}
}

func largeKatsuura(n, instance int) *Function {
	seed := seedOf(23, instance)
	f := shell(n, seed)
	turn := twice(n, seed, 10)
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		turn(w.b, w.a)
		return spikes(w.b) + outside(x) + f.FOpt
	}
	return f
}

func largeLunacek(n, instance int) *Function {
	seed := seedOf(24, instance)
	return twoFunnels(n, seed, share(n), twice(n, seed, 10))
}
