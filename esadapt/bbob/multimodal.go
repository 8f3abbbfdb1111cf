package bbob

import "math"

var multimodal = []Definition{
	{"f15", "Rastrigin", Multimodal, 2, rotatedRastrigin},
	{"f16", "Weierstrass", Multimodal, 2, weierstrass},
	{"f17", "Schaffers F7, condition 10", Multimodal, 2, func(n, i int) *Function { return schaffers(n, i, 10, 10) }},
	{"f18", "Schaffers F7, condition 1000", Multimodal, 2, func(n, i int) *Function { return schaffers(n, i, 1000, 10) }},
	{"f19", "Griewank-Rosenbrock", Multimodal, 2, func(n, i int) *Function { return griewankRosenbrock(n, i, 10) }},
}

func rotatedRastrigin(n, instance int) *Function {
	seed := seedOf(15, instance)
	r := rotation(seed+1e6, n)
	m := scaledProduct(rotation(seed, n), between(math.Sqrt(10), n), r)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		rowTimes(w.b, w.a, r)
		oscillateAll(w.b)
		asymmetric(w.b, 0.2)
		rowTimes(w.a, w.b, m)
		return rastrigin(w.a) + f.FOpt
	}
	return f
}

func weierstrass(n, instance int) *Function {
	seed := seedOf(16, instance)
	r := rotation(seed+1e6, n)
	m := scaledProduct(rotation(seed, n), between(0.1, n), r)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		rowTimes(w.b, w.a, r)
		oscillateAll(w.b)
		rowTimes(w.a, w.b, m)
		return rugged(w.a) + 10/float64(n)*outside(x) + f.FOpt
	}
	return f
}

// rugged is ten times the cube of the mean of the Weierstrass series above its minimum.
func rugged(x []float64) float64 {
	var s float64
	for _, v := range x {
		s += weierstrassSeries(v)
	}
	d := s/float64(len(x)) - weierstrassLow
	return 10 * d * d * d
}

var weierstrassLow = weierstrassSeries(0)

// weierstrassSeries holds 12 terms of the series.
func weierstrassSeries(v float64) float64 {
	s, a, b := 0.0, 1.0, 1.0
	for range 12 {
		s += a * math.Cos(2*math.Pi*b*(v+0.5))
		a, b = a/2, b*3
	}
	return s
}

func schaffers(n, instance int, condition, penalty float64) *Function {
	seed := seedOf(17, instance)
	r, m := rotation(seed+1e6, n), rotation(seed, n)
	scaleColumns(m, between(math.Sqrt(condition), n))
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		rowTimes(w.b, w.a, r)
		asymmetric(w.b, 0.5)
		rowTimes(w.a, w.b, m)
		return schaffersF7(w.a) + penalty*outside(x) + f.FOpt
	}
	return f
}

// schaffersF7 is the square of the mean of sqrt(s) (1 + sin^2 50 s^(1/5)), s the distance of neighbouring coordinates from zero.
func schaffersF7(x []float64) float64 {
	var s float64
	for i, v := range x[:len(x)-1] {
		q := v*v + x[i+1]*x[i+1]
		t := math.Sin(50 * math.Pow(q, 0.1))
		s += math.Sqrt(math.Sqrt(q)) * (t*t + 1)
	}
	s /= float64(len(x) - 1)
	return s * s
}

func griewankRosenbrock(n, instance int, factor float64) *Function {
	f, shifted := halfShifted(n, seedOf(19, instance))
	f.eval = func(x []float64, w *scratch) float64 {
		shifted(w.a, x)
		return factor*(1+waves(w.a)) + f.FOpt
	}
	return f
}

// waves is the mean of r/4000 - cos r over the terms r of the chained Rosenbrock function.
func waves(x []float64) float64 {
	var s float64
	for i, v := range x[:len(x)-1] {
		d, e := v*v-x[i+1], 1-v
		r := 100*d*d + e*e
		s += r/4000 - math.Cos(r)
	}
	return s / float64(len(x)-1)
}
