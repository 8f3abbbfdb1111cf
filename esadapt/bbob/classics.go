package bbob

import "math"

// plain makes a classic with its optimum at a constant vector.
func plain(at, lower, upper float64, core func(x []float64) float64) func(dim, instance int) *Function {
	return func(dim, _ int) *Function {
		f := &Function{XOpt: make([]float64, dim), Lower: lower, Upper: upper}
		for i := range f.XOpt {
			f.XOpt[i] = at
		}
		f.eval = func(x []float64, _ *scratch) float64 { return core(x) }
		return f
	}
}

var classics = []Definition{
	{"sphere", "sum x_i^2", Classic, 1, plain(0, -5, 5, squares)},
	{"ellipsoid", "sum 10^(6 i/(n-1)) x_i^2", Classic, 1, plain(0, -5, 5, ellipsoid)},
	{"cigar", "x_1^2 + 10^6 sum_{i>1} x_i^2", Classic, 1, plain(0, -5, 5, func(x []float64) float64 { return x[0]*x[0] + 1e6*squares(x[1:]) })},
	{"discus", "10^6 x_1^2 + sum_{i>1} x_i^2", Classic, 1, plain(0, -5, 5, func(x []float64) float64 { return 1e6*x[0]*x[0] + squares(x[1:]) })},
	{"two-axes", "half the axes 10^6, half 1", Classic, 2, plain(0, -5, 5, twoAxes)},
	{"different-powers", "sum |x_i|^(2 + 4 i/(n-1))", Classic, 1, plain(0, -5, 5, differentPowers)},
	{"sharp-ridge", "-x_1 + 100 |x_2...n| bounded below at x_1 = 5", Classic, 2, ridge},
	{"rosenbrock", "chained Rosenbrock", Classic, 2, plain(1, -2, 2, rosenbrock)},
	{"rastrigin", "10 (n - sum cos 2 pi x_i) + |x|^2", Classic, 1, plain(0, -5.12, 5.12, rastrigin)},
	{"ackley", "Ackley", Classic, 1, plain(0, -32, 32, ackley)},
	{"griewank", "Griewank", Classic, 1, plain(0, -600, 600, griewank)},
	{"levy", "Levy", Classic, 1, plain(1, -10, 10, levy)},
	{"schwefel", "418.98 n - sum x_i sin sqrt |x_i|, penalised outside [-500, 500]", Classic, 1, plain(420.96874635998, -500, 500, schwefel)},
	{"styblinski-tang", "(x^4 - 16 x^2 + 5 x)/2 shifted to minimum 0", Classic, 1, plain(-2.903534027771177, -5, 5, styblinskiTang)},
	{"zakharov", "Zakharov", Classic, 1, plain(0, -5, 10, zakharov)},
}

func ellipsoid(x []float64) float64 {
	var s float64
	for i, v := range x {
		s += math.Pow(1e6, fraction(i, len(x))) * v * v
	}
	return s
}

func twoAxes(x []float64) float64 {
	h := len(x) / 2
	return 1e6*squares(x[:h]) + squares(x[h:])
}

func ridge(dim, _ int) *Function {
	f := &Function{XOpt: make([]float64, dim), FOpt: -5}
	f.XOpt[0] = 5
	f.eval = func(x []float64, _ *scratch) float64 {
		return -5 + math.Abs(5-x[0]) + 100*math.Sqrt(squares(x[1:]))
	}
	return f
}

func ackley(x []float64) float64 {
	n := float64(len(x))
	var c float64
	for _, v := range x {
		c += math.Cos(2 * math.Pi * v)
	}
	return 20 + math.E - 20*math.Exp(-0.2*math.Sqrt(squares(x)/n)) - math.Exp(c/n)
}

func griewank(x []float64) float64 {
	p := 1.0
	for i, v := range x {
		p *= math.Cos(v / math.Sqrt(float64(i+1)))
	}
	return 1 + squares(x)/4000 - p
}

func levy(x []float64) float64 {
	t := func(v float64) float64 { return 1 + (v-1)/4 }
	s := math.Pow(math.Sin(math.Pi*t(x[0])), 2)
	for _, v := range x[:len(x)-1] {
		u := t(v)
		s += (u - 1) * (u - 1) * (1 + 10*math.Pow(math.Sin(math.Pi*u+1), 2))
	}
	u := t(x[len(x)-1])
	return s + (u-1)*(u-1)*(1+math.Pow(math.Sin(2*math.Pi*u), 2))
}

func schwefel(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		out := max(0, math.Abs(v)-500)
		v = max(-500, min(500, v))
		s += 418.98288727243369 - v*math.Sin(math.Sqrt(math.Abs(v))) + 0.01*out*out
	}
	return s
}

func styblinskiTang(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += (v*v*v*v-16*v*v+5*v)/2 + 39.166165703771419
	}
	return s
}

func zakharov(x []float64) float64 {
	var t float64
	for i, v := range x {
		t += 0.5 * float64(i+1) * v
	}
	return squares(x) + t*t + t*t*t*t
}
