package bbob

import "math"

var separable = []Definition{
	{"f1", "sphere", Separable, 1, sphere},
	{"f2", "ellipsoid, separable", Separable, 1, separableEllipsoid},
	{"f3", "Rastrigin, separable", Separable, 1, separableRastrigin},
	{"f4", "Bueche-Rastrigin", Separable, 1, buecheRastrigin},
	{"f5", "linear slope", Separable, 1, linearSlope},
}

// seeds of an instance: every random quantity of function number k, instance i derives from k + 10000 i.
func seedOf(k, instance int) int64 { return int64(k) + 10000*int64(instance) }

func sphere(n, instance int) *Function {
	seed := seedOf(1, instance)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		return squares(w.a) + f.FOpt
	}
	return f
}

func separableEllipsoid(n, instance int) *Function {
	seed := seedOf(2, instance)
	scale := between(1e6, n)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		oscillateAll(w.a)
		return weightedSquares(w.a, scale) + f.FOpt
	}
	return f
}

// rastrigin is 10 (n - sum cos 2 pi x_i) + |x|^2.
func rastrigin(x []float64) float64 {
	c := float64(len(x))
	for _, v := range x {
		c -= math.Cos(2 * math.Pi * v)
	}
	return 10*c + squares(x)
}

func separableRastrigin(n, instance int) *Function {
	seed := seedOf(3, instance)
	scale := between(math.Sqrt(10), n)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	f.eval = func(x []float64, w *scratch) float64 {
		difference(w.a, x, f.XOpt)
		oscillateAll(w.a)
		asymmetric(w.a, 0.2)
		for i := range w.a {
			w.a[i] *= scale[i]
		}
		return rastrigin(w.a) + f.FOpt
	}
	return f
}

func buecheRastrigin(n, instance int) *Function {
	seed := seedOf(3, instance)
	scale := between(math.Sqrt(10), n)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	for i := 0; i < n; i += 2 {
		f.XOpt[i] = math.Abs(f.XOpt[i])
	}
	f.eval = func(x []float64, w *scratch) float64 {
		for i := range x {
			v := oscillate(x[i] - f.XOpt[i])
			if i%2 == 0 && v > 0 {
				v *= 10
			}
			w.a[i] = v * scale[i]
		}
		return rastrigin(w.a) + 100*outside(x) + f.FOpt
	}
	return f
}

func linearSlope(n, instance int) *Function {
	seed := seedOf(5, instance)
	f := &Function{XOpt: optimum(seed, n), FOpt: optimalValue(seed)}
	slope := between(10, n)
	for i := range slope {
		s := sign(f.XOpt[i])
		f.XOpt[i], slope[i] = 5*s, -s*slope[i]
	}
	f.eval = func(x []float64, w *scratch) float64 {
		v := f.FOpt
		for i, xi := range x {
			if xi*f.XOpt[i] > 25 {
				xi = f.XOpt[i]
			}
			v += 5*math.Abs(slope[i]) + xi*slope[i]
		}
		return v
	}
	return f
}
