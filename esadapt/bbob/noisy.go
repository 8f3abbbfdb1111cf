package bbob

import "math"

// noisy holds the 30 noisy functions f101 to f130: each is a noiseless one without its penalty, under one of three kinds of noise, moderate (f101 to f106) or
// severe, plus 100 times the squared distance from the box; Hansen, Finck, Ros, Auger: "Real-parameter black-box optimization benchmarking 2009: noisy
// functions definitions" (INRIA RR-6869). Eval gives the value without noise and distance, which targets are measured by, Measure what a searcher sees.
var noisy = noisySuite()

// noiseKind turns an excess f - f_opt into what is measured in evaluation serial.
type noiseKind func(excess float64, serial uint64) float64

// The three kinds. Draws come from the testbed's generator with seeds that count up from 30 for each kind of number, as in its reference implementation.
const (
	noiseSeed  = 30
	noiseFloor = 1.01e-8
)

func gaussianNoise(beta float64) noiseKind {
	return func(excess float64, serial uint64) float64 {
		return excess*math.Exp(beta*drawNormal(serial)) + noiseFloor
	}
}

func uniformNoise(alpha, beta float64) noiseKind {
	return func(excess float64, serial uint64) float64 {
		first, second := drawUniform(2*serial-1), drawUniform(2*serial)
		return excess*math.Pow(first, beta)*max(1, math.Pow(1e9/(excess+1e-99), alpha*second)) + noiseFloor
	}
}

func cauchyNoise(alpha, p float64) noiseKind {
	return func(excess float64, serial uint64) float64 {
		size := 1e3
		if drawUniform(serial) < p {
			size += drawNormal(2*serial-1) / math.Abs(drawNormal(2*serial)+1e-199)
		}
		return excess + max(0, alpha*size) + noiseFloor
	}
}

// drawSeeds is how many seeds the draws go around.
const drawSeeds = 1e9

func drawUniform(k uint64) float64 { return uniform(1, int64((noiseSeed+k)%drawSeeds))[0] }

func drawNormal(k uint64) float64 { return normal(1, int64((noiseSeed+k)%drawSeeds))[0] }

func noisySuite() (all []Definition) {
	number := 101
	add := func(title string, minDim int, severe bool, build func(n, i int) *Function) {
		for kind, name := range []string{"Gaussian", "uniform", "Cauchy"} {
			level := "severe"
			if !severe {
				level = "moderate"
			}
			all = append(all, Definition{"f" + itoa(number), title + ", " + level + " " + name + " noise", Noisy, minDim, func(n, i int) *Function {
				f := build(n, i)
				f.noise = noiseOf(kind, n, severe)
				return f
			}})
			number++
		}
	}
	for _, severe := range []bool{false, true} {
		add("sphere", 1, severe, sphere)
		add("Rosenbrock", 2, severe, rosenbrockOriginal)
	}
	add("step ellipsoid", 2, true, func(n, i int) *Function { return stepEllipsoid(n, i, 0) })
	add("ellipsoid, condition 1e4", 2, true, func(n, i int) *Function { return rotatedEllipsoid(n, i, 1e4) })
	add("different powers", 2, true, rotatedPowers)
	add("Schaffers F7", 2, true, func(n, i int) *Function { return schaffers(n, i, 10, 0) })
	add("Griewank-Rosenbrock", 2, true, func(n, i int) *Function { return griewankRosenbrock(n, i, 1) })
	add("Gallagher, 101 peaks", 2, true, func(n, i int) *Function {
		return gallagher(n, i, 101, 0, turned(rotation(seedOf(21, i), n)))
	})
	return all
}

func noiseOf(kind, n int, severe bool) noiseKind {
	level, p := 0.01, 0.05
	if severe {
		level, p = 1, 0.2
	}
	switch kind {
	case 0:
		return gaussianNoise(level)
	case 1:
		return uniformNoise(level*(0.49+1/float64(n)), level)
	}
	return cauchyNoise(level, p)
}

// Measure returns what a searcher sees at x in its evaluation number serial, counted from 1: Eval, with noise where the function has one. It panics if x has
// not Dim elements.
func (f *Function) Measure(x []float64, serial uint64) float64 {
	v := f.Eval(x)
	if f.noise == nil {
		return v
	}
	return f.noise(v-f.FOpt, serial) + f.FOpt + 100*outside(x)
}

// IsNoisy says whether Measure differs from one evaluation to the next.
func (f *Function) IsNoisy() bool { return f.noise != nil }
