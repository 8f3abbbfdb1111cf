package bbob

import "math"

var multimodal = []Definition{
	{"f15", "Rastrigin", Multimodal, 2, rotatedRastrigin},
	{"f16", "Weierstrass", Multimodal, 2, weierstrass},
	{"f17", "Schaffers F7, condition 10", Multimodal, 2, func(n, i int) *Function { return schaffers(n, i, 10) }},
	{"f18", "Schaffers F7, condition 1000", Multimodal, 2, func(n, i int) *Function { return schaffers(n, i, 1000) }},
	{"f19", "Griewank-Rosenbrock", Multimodal, 2, griewankRosenbrock},
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
	series := func(v float64) float64 {
		s, a, b := 0.0, 1.0, 1.0
		for range 12 {
			s += a * math.Cos(2*math.Pi*b*(v+0.5))
			a, b = a/2, b*3
		}
		return s
	}
	f0 := series(0)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		rowTimes(w.b, w.a, r)
		oscillateAll(w.b)
		rowTimes(w.a, w.b, m)
		var s float64
		for _, v := range w.a {
			s += series(v)
		}
		d := s/float64(n) - f0
		return 10*d*d*d + 10/float64(n)*outside(x) + f.FOpt
	}
	return f
}

func schaffers(n, instance int, condition float64) *Function {
	seed := seedOf(17, instance)
	r, m := rotation(seed+1e6, n), rotation(seed, n)
	scaleColumns(m, between(math.Sqrt(condition), n))
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		rowTimes(w.b, w.a, r)
		asymmetric(w.b, 0.5)
		rowTimes(w.a, w.b, m)
		var s float64
		for i, v := range w.a[:n-1] {
			q := v*v + w.a[i+1]*w.a[i+1]
			t := math.Sin(50 * math.Pow(q, 0.1))
			s += math.Sqrt(math.Sqrt(q)) * (t*t + 1)
		}
		s /= float64(n - 1)
		return s*s + 10*outside(x) + f.FOpt
	}
	return f
}

func griewankRosenbrock(n, instance int) *Function {
	f, shifted := halfShifted(n, seedOf(19, instance))
	f.eval = func(x []float64, w *scratch) float64 {
		shifted(w.a, x)
		var s float64
		for i, v := range w.a[:n-1] {
			d, e := v*v-w.a[i+1], 1-v
			q := 100*d*d + e*e
			s += q/4000 - math.Cos(q)
		}
		return 10 + 10*s/float64(n-1) + f.FOpt
	}
	return f
}
