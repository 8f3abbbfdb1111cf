package bbob

import "math"

var moderate = []Definition{
	{"f6", "attractive sector", Moderate, 2, attractiveSector},
	{"f7", "step ellipsoid", Moderate, 2, func(n, i int) *Function { return stepEllipsoid(n, i, 1) }},
	{"f8", "Rosenbrock", Moderate, 2, rosenbrockOriginal},
	{"f9", "Rosenbrock, rotated", Moderate, 2, rosenbrockRotated},
}

func attractiveSector(n, instance int) *Function {
	seed := seedOf(6, instance)
	m := scaledProduct(rotation(seed, n), between(math.Sqrt(10), n), rotation(seed+1e6, n))
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		rowTimes(w.b, w.a, m)
		for i, v := range w.b {
			if v*f.XOpt[i] > 0 {
				w.b[i] = 100 * v
			}
		}
		return math.Pow(oscillate(squares(w.b)), 0.9) + f.FOpt
	}
	return f
}

func stepEllipsoid(n, instance int, penalty float64) *Function {
	seed := seedOf(7, instance)
	r1, r2 := rotation(seed, n), rotation(seed+1e6, n)
	scaleColumns(r1, between(math.Sqrt(10), n))
	weight := between(100, n)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		rowTimes(w.b, w.a, r1)
		first := math.Abs(w.b[0])
		roundSteps(w.b)
		rowTimes(w.a, w.b, r2)
		return 0.1*max(1e-4*first, weightedSquares(w.a, weight)) + penalty*outside(x) + f.FOpt
	}
	return f
}

// roundSteps rounds to whole numbers, and to tenths where a number is small.
func roundSteps(x []float64) {
	for i, v := range x {
		if math.Abs(v) > 0.5 {
			x[i] = math.RoundToEven(v)
		} else {
			x[i] = math.RoundToEven(10*v) / 10
		}
	}
}

// rosenbrock is the chained Rosenbrock function with its minimum 0 at (1, ..., 1).
func rosenbrock(x []float64) float64 {
	var s float64
	for i, v := range x[:len(x)-1] {
		d, e := v*v-x[i+1], v-1
		s += 100*d*d + e*e
	}
	return s
}

func rosenbrockOriginal(n, instance int) *Function {
	seed := seedOf(8, instance)
	scale := max(1, math.Sqrt(float64(n))/8)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	for i := range f.XOpt {
		f.XOpt[i] *= 0.75
	}
	f.eval = func(x []float64, w *scratch) float64 {
		for i, v := range x {
			w.a[i] = scale*(v-f.XOpt[i]) + 1
		}
		return rosenbrock(w.a) + f.FOpt
	}
	return f
}

func rosenbrockRotated(n, instance int) *Function {
	seed := seedOf(9, instance)
	f, shifted := halfShifted(n, seed)
	f.eval = func(x []float64, w *scratch) float64 {
		shifted(w.a, x)
		return rosenbrock(w.a) + f.FOpt
	}
	return f
}

// halfShifted prepares the functions whose argument is scale R x + 1/2 with the optimum at scale R x = 1/2 (f9 and f19).
func halfShifted(n int, seed int64) (*Function, func(dst, x []float64)) {
	scale := max(1, math.Sqrt(float64(n))/8)
	r := rotation(seed, n)
	f := &Function{XOpt: make([]float64, n), FOpt: optimalValue(seed)}
	for i := range n {
		for _, v := range r.Row(i) {
			f.XOpt[i] += 0.5 * v / scale
		}
	}
	return f, func(dst, x []float64) {
		rowTimes(dst, x, r)
		for i := range dst {
			dst[i] = scale*dst[i] + 0.5
		}
	}
}
