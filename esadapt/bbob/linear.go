package bbob

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// linear is a set of constraints gradient (x - shift gradient/|gradient|) <= 0; those with shift 0 are active at the origin.
type linear struct {
	gradient [][]float64
	norm     []float64
	shift    []float64
}

// values sets g to the values at x. Products that rounding makes barely positive count as zero, so that the origin stays feasible when it is moved.
func (l *linear) values(x, g []float64) {
	for k := range l.gradient {
		g[k] = l.one(k, x)
	}
}

func (l *linear) one(k int, x []float64) float64 {
	shift := l.shift[k] / l.norm[k]
	var s float64
	for i, v := range l.gradient[k] {
		if p := v * (x[i] - shift*v); p > 1e-11 || p < 0 {
			s += p
		}
	}
	return s
}

// newLinear draws the constraints so that the direction, along which the objective grows, is feasible and the origin is optimal: the gradient of one constraint is the negative
// direction less a positive combination of the other active ones.
func newLinear(number, n, instance int, direction []float64) *linear {
	active := activeConstraints(number, n)
	inactive := active / 2
	total := active + inactive
	random, weights := newLagged(uint32(number+10000*instance)), newLagged(uint32(number+10000*instance))
	factor := 100 * math.Pow(10, random.uniform())
	l := &linear{}
	main := -1
	combination := make([]float64, n)
	for i := 0; len(l.gradient) < total; {
		k := len(l.gradient)
		isActive := k == 0 || i < active && random.uniform()+1e-23 > float64(inactive)/float64(total)
		if !isActive {
			inactive--
			l.add(number, n, instance, i, factor, 0.01+2*random.uniform(), nil, direction)
			continue
		}
		i++
		if (i-1+instance)%active == 0 {
			main = k
			l.add(number, n, instance, i, factor, 0, direction, direction)
			continue
		}
		l.add(number, n, instance, i, factor, 0, nil, direction)
		dense.Axpy(weights.uniform(), l.gradient[k], combination)
	}
	if active > 1 {
		l.disguise(main, combination, weights)
	}
	return l
}

// add appends a constraint: the negative of minus, or a random gradient, turned so that the direction is feasible.
func (l *linear) add(number, n, instance, draw int, factor, shift float64, minus, direction []float64) {
	random := newLagged(uint32(number + 10000*instance + 50000*draw))
	factor2 := math.Pow(100, random.uniform())
	g := make([]float64, n)
	if minus != nil {
		length := math.Sqrt(squares(minus))
		for i, v := range minus {
			g[i] = -v * (factor * factor2 / length)
		}
	} else {
		for i := range g {
			g[i] = factor * random.normal() * factor2 / math.Sqrt(float64(n))
		}
	}
	l.gradient, l.shift, l.norm = append(l.gradient, g), append(l.shift, shift), append(l.norm, math.Sqrt(squares(g)))
	if l.one(len(l.gradient)-1, direction) > 0 {
		for i := range g {
			g[i] = -g[i]
		}
	}
}

// disguise takes a positive combination of the other active gradients from the main one, which keeps the optimum and hides the gradient of the objective.
func (l *linear) disguise(main int, combination []float64, random *lagged) {
	g, norm, d := l.gradient[main], l.norm[main], float64(len(combination))
	factor := d
	if along := dense.Dot(combination, g); along > 0 {
		factor = min(d, norm*norm/along)
	}
	factor *= (1 + random.uniform()) / (2 + 1/d)
	dense.Axpy(-factor, combination, g)
	rescale := norm / math.Sqrt(squares(g))
	for i := range g {
		g[i] *= rescale
	}
}

const (
	longLag  = 607
	shortLag = 273
)

// lagged is the testbed's second generator, a lagged Fibonacci sequence.
type lagged struct {
	x  [longLag]float64
	at int
}

func newLagged(seed uint32) *lagged {
	l := &lagged{at: 12}
	for i := range l.x {
		l.x[i] = float64(seed) / math.MaxUint32
		seed = 1812433253*(seed^seed>>30) + uint32(i) + 1
	}
	return l
}

func (l *lagged) uniform() float64 {
	if l.at >= longLag {
		for i := range l.x {
			other := i - shortLag
			if other < 0 {
				other += longLag
			}
			if l.x[i] += l.x[other]; l.x[i] >= 1 {
				l.x[i]--
			}
		}
		l.at = 0
	}
	l.at++
	return l.x[l.at-1]
}

func (l *lagged) normal() float64 {
	u, v := l.uniform(), l.uniform()
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}
