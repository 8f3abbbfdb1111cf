package bbob

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// constrained holds 54 problems: nine functions, each with one to 9 + 9n/2 linear constraints, two thirds of them active at the optimum, everything bent by
// the transformations of the testbed; Dufosse, Hansen, Brockhoff, Sampaio, Atamna, Auger: "Building scalable test problems for benchmarking constrained
// optimizers" (2022), with the constants of the testbed's reference implementation. X0 is feasible.
var constrained = constrainedSuite()

var constrainedTitles = []string{
	"sphere", "ellipsoid, separable", "linear slope", "ellipsoid", "discus", "bent cigar", "different powers", "Rastrigin, separable", "Rastrigin",
}

// constrainedScale brings the first feasible point to a similar height everywhere.
var constrainedScale = []float64{10, 1e-4, 10, 1e-4, 1e-4, 1e-4, 1e2, 10, 10}

func constrainedSuite() (all []Definition) {
	sizes := []string{"1 active constraint", "2 active constraints", "6 active constraints", "6 + n/2 active constraints", "6 + n active constraints", "6 + 3n active constraints"}
	for number := 1; number <= 54; number++ {
		title := constrainedTitles[(number-1)/6] + ", " + sizes[(number-1)%6]
		all = append(all, Definition{"c" + itoa(number), title, Constrained, 2, func(n, i int) *Function { return newConstrained(number, n, i) }})
	}
	return all
}

func activeConstraints(number, n int) int {
	return []int{1, 2, 6, 6 + n/2, 6 + n, 6 + 3*n}[(number-1)%6]
}

// objective is one of the nine functions before it is moved: optimum away from the origin, where the constraints will put the minimum.
type objective struct {
	value    func(x []float64, w *scratch) float64 // may change x
	gradient []float64                             // at the origin
}

// bends are the transformations of the nine functions.
var bends = map[int][]func(x []float64){
	2: {oscillateAll}, 4: {oscillateAll}, 5: {oscillateAll}, 6: {bentBy}, 8: {oscillateAll, bentBy}, 9: {oscillateAll, bentBy},
}

func bentBy(x []float64) { asymmetric(x, 0.2) }

func newConstrained(number, n, instance int) *Function {
	kind := (number-1)/6 + 1
	f := &Function{XOpt: optimum(seedOf(number, instance), n)}
	seed := int64(number) + 20000*int64(instance)
	inner := newObjective(kind, number, n, instance, seed)
	direction := inner.gradient
	lengthen(direction, f.XOpt, seed)
	c := newLinear(number, n, instance, direction)
	f.Constraints = len(c.gradient)
	f.X0 = startFrom(direction, f.XOpt, bends[kind])
	scale := constrainedScale[kind-1]
	moved := kind != 3
	f.eval = func(x []float64, w *scratch) float64 {
		copy(w.a, x)
		if moved {
			difference(w.a, x, f.XOpt)
		}
		for _, bend := range bends[kind] {
			bend(w.a)
		}
		return scale * inner.value(w.a, w)
	}
	f.constrain = func(x, g []float64, w *scratch) {
		difference(w.a, x, f.XOpt)
		for _, bend := range bends[kind] {
			bend(w.a)
		}
		c.values(w.a, g)
	}
	f.FOpt = f.eval(f.XOpt, &scratch{make([]float64, n), make([]float64, n)})
	return f
}

// newObjective makes one of the nine functions.
func newObjective(kind, number, n, instance int, seed int64) objective {
	x, fOpt := optimum(seed, n), optimalValue(seedOf(number, instance))
	switch number {
	case 4: // the testbed takes these two optimal values from its functions 3 and 17
		fOpt = optimalValue(seedOf(3, instance))
	case 18:
		fOpt = optimalValue(seedOf(17, instance))
	}
	switch kind {
	case 1:
		return separableObjective(x, fOpt, squares, func(i int, v float64) float64 { return 2 * v })
	case 2, 4:
		weight := between(1e6, n)
		core := func(z []float64) float64 { return weightedSquares(z, weight) }
		slope := func(i int, v float64) float64 { return 2 * weight[i] * v }
		if kind == 2 {
			return separableObjective(x, fOpt, core, slope)
		}
		return turnedObjective(x, fOpt, rotation(seed+1e6, n), core, slope)
	case 3:
		return slopeObjective(x, fOpt)
	case 5, 6:
		weight := append([]float64{1e6}, constant(n-1, 1)...)
		if kind == 6 {
			weight = append([]float64{1}, constant(n-1, 1e6)...)
			x = optimum(seed+1e6, n)
		}
		return turnedObjective(x, fOpt, rotation(seed+1e6, n), func(z []float64) float64 { return weightedSquares(z, weight) },
			func(i int, v float64) float64 { return 2 * weight[i] * v })
	case 7:
		length := math.Sqrt(squares(x))
		for i := range x {
			x[i] *= 1e-2 / length
		}
		return turnedObjective(x, fOpt, rotation(seed+1e6, n), func(z []float64) float64 { return math.Sqrt(differentPowers(z)) },
			func(i int, v float64) float64 {
				p := 2 + 4*fraction(i, n)
				return p * math.Pow(math.Abs(v), p-1) * sign(v)
			})
	}
	return rastriginObjective(kind == 9, n, seed, fOpt)
}

// separableObjective is core(z - x), whose partial derivatives are slope of one coordinate.
func separableObjective(x []float64, fOpt float64, core func([]float64) float64, slope func(i int, v float64) float64) objective {
	o := objective{gradient: make([]float64, len(x))}
	for i, v := range x {
		o.gradient[i] = slope(i, -v)
	}
	o.value = func(z []float64, w *scratch) float64 {
		difference(w.b, z, x)
		return core(w.b) + fOpt
	}
	return o
}

// turnedObjective is core of the rotated z - x.
func turnedObjective(x []float64, fOpt float64, r dense.Matrix[float64], core func([]float64) float64, slope func(i int, v float64) float64) objective {
	n := len(x)
	z := make([]float64, n)
	rowTimes(z, x, r)
	for i, v := range z {
		z[i] = slope(i, -v)
	}
	o := objective{gradient: make([]float64, n)}
	dense.Gemv(dense.NoTrans, 1, r, z, 0, o.gradient)
	o.value = func(z []float64, w *scratch) float64 {
		difference(z, z, x)
		rowTimes(w.b, z, r)
		return core(w.b) + fOpt
	}
	return o
}

// slopeObjective is linear within the box.
func slopeObjective(x []float64, fOpt float64) objective {
	slope := between(10, len(x))
	o := objective{gradient: make([]float64, len(x))}
	for i, v := range x {
		x[i] = 5
		if v < 0 {
			x[i], slope[i] = -5, -slope[i]
		}
		o.gradient[i] = -slope[i]
	}
	o.value = func(z []float64, w *scratch) float64 {
		v := fOpt
		for i, zi := range z {
			if zi*x[i] >= 25 {
				zi = x[i]
			}
			v += 5*math.Abs(slope[i]) - slope[i]*zi
		}
		return v
	}
	return o
}

// rastriginObjective has a local minimum at the origin, its optimum at a point of whole numbers.
func rastriginObjective(rotated bool, n int, seed int64, fOpt float64) objective {
	x := uniform(n, seed)
	zero := true
	for i, u := range x {
		x[i] = math.Trunc(10*u - 5)
		zero = zero && x[i] == 0
	}
	for i := range x {
		if zero {
			x[i] = float64(i%9) - 4
		}
	}
	slope := func(_ int, v float64) float64 { return 2 * (10*math.Pi*math.Sin(2*math.Pi*v) + v) }
	if !rotated {
		return separableObjective(x, fOpt, rastrigin, slope)
	}
	r := rotation(seed+1e6, n)
	o := objective{gradient: make([]float64, n)}
	at := make([]float64, n)
	for i, v := range x {
		at[i] = slope(i, -v)
	}
	dense.Gemv(dense.NoTrans, 1, r, at, 0, o.gradient)
	o.value = func(z []float64, w *scratch) float64 {
		rowTimes(w.b, z, r)
		difference(w.b, w.b, x)
		return rastrigin(w.b) + fOpt
	}
	return o
}

// lengthen scales a direction so that it ends three quarters to all of the way to the bounds when it starts from xOpt.
func lengthen(direction, xOpt []float64, seed int64) {
	const far, least, seedOffset = 5.0, 0.75, 412
	reach := 0.0
	for i, d := range direction {
		reach = max(reach, d/(far-xOpt[i]), d/(-far-xOpt[i]))
	}
	factor := (least + uniform(1, seed+seedOffset)[0]*(1-least)) / reach
	for i := range direction {
		direction[i] *= factor
	}
}

// startFrom returns the feasible point that the bends map to the direction, halved until it lies within the bounds.
func startFrom(direction, xOpt []float64, bends []func([]float64)) []float64 {
	x := make([]float64, len(xOpt))
	for factor := 1.0; ; factor /= 2 {
		inside := true
		for i, d := range direction {
			x[i] = xOpt[i] + unbend(i, len(x), d*factor, bends)
			inside = inside && math.Abs(x[i]) < 5
		}
		if inside || len(bends) == 0 {
			return x
		}
	}
}

// unbend returns what the bends map to y in coordinate i, by bisection: they are increasing and keep zero.
func unbend(i, n int, y float64, bends []func([]float64)) float64 {
	at := make([]float64, n)
	bent := func(v float64) float64 {
		clear(at)
		at[i] = v
		for _, b := range bends {
			b(at)
		}
		return at[i]
	}
	if len(bends) == 0 || y == 0 {
		return y
	}
	low, high := 0.0, y
	for math.Abs(bent(high)) < math.Abs(y) {
		low, high = high, 2*high
	}
	for range 200 {
		middle := (low + high) / 2
		if math.Abs(bent(middle)) < math.Abs(y) {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}
