package bbob

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

var illConditioned = []Definition{
	{"f10", "ellipsoid", IllConditioned, 2, func(n, i int) *Function { return rotatedEllipsoid(n, i, 1e6) }},
	{"f11", "discus", IllConditioned, 2, rotatedDiscus},
	{"f12", "bent cigar", IllConditioned, 2, bentCigar},
	{"f13", "sharp ridge", IllConditioned, 2, sharpRidge},
	{"f14", "different powers", IllConditioned, 2, rotatedPowers},
}

// rotated prepares a function of R^T (x - x_opt), the rotation that most functions share; core gets the rotated vector and scratch.
func rotated(n, number, instance int, core func(y, tmp []float64, r dense.Matrix[float64]) float64) *Function {
	seed := seedOf(number, instance)
	r := rotation(seed+1e6, n)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		rowTimes(w.b, w.a, r)
		return core(w.b, w.a, r) + f.FOpt
	}
	return f
}

func rotatedEllipsoid(n, instance int, condition float64) *Function {
	weight := between(condition, n)
	return rotated(n, 10, instance, func(y, _ []float64, _ dense.Matrix[float64]) float64 {
		oscillateAll(y)
		return weightedSquares(y, weight)
	})
}

func rotatedDiscus(n, instance int) *Function {
	return rotated(n, 11, instance, func(y, _ []float64, _ dense.Matrix[float64]) float64 {
		oscillateAll(y)
		return squares(y) + (1e6-1)*y[0]*y[0]
	})
}

func bentCigar(n, instance int) *Function {
	f := rotated(n, 12, instance, func(y, tmp []float64, r dense.Matrix[float64]) float64 {
		asymmetric(y, 0.5)
		rowTimes(tmp, y, r)
		return 1e6*squares(tmp) + (1-1e6)*tmp[0]*tmp[0]
	})
	copy(f.XOpt, optimum(seedOf(12, instance)+1e6, n))
	return f
}

func sharpRidge(n, instance int) *Function {
	seed := seedOf(13, instance)
	m := scaledProduct(rotation(seed, n), between(math.Sqrt(10), n), rotation(seed+1e6, n))
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		rowTimes(w.b, w.a, m)
		return w.b[0]*w.b[0] + 100*math.Sqrt(squares(w.b[1:])) + f.FOpt
	}
	return f
}

func rotatedPowers(n, instance int) *Function {
	return rotated(n, 14, instance, func(y, _ []float64, _ dense.Matrix[float64]) float64 {
		return math.Sqrt(differentPowers(y))
	})
}

// differentPowers is sum |x_i|^(2 + 4 i/(n-1)).
func differentPowers(x []float64) float64 {
	var s float64
	for i, v := range x {
		s += math.Pow(math.Abs(v), 2+4*fraction(i, len(x)))
	}
	return s
}
