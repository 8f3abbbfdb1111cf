package bbob

import (
	"fmt"
	"math"
	"strings"
)

// Multi is a function with several objectives, to be minimized within bounds.
type Multi struct {
	ID, Title  string
	Dim        int
	Objectives int
	Lower      []float64
	Upper      []float64
	Reference  []float64 // corner that hypervolumes are measured from
	Volume     float64   // hypervolume of the whole front
	eval       func(x, f []float64)
}

// Eval sets f to the values at x. It panics if x has not Dim elements or f not Objectives.
func (m *Multi) Eval(x, f []float64) {
	if len(x) != m.Dim || len(f) != m.Objectives {
		panic(fmt.Sprintf("bbob: %s maps %d variables to %d values, got %d and %d", m.ID, m.Dim, m.Objectives, len(x), len(f)))
	}
	m.eval(x, f)
}

// multi is the registry: Zitzler, Deb, Thiele: "Comparison of multiobjective evolutionary algorithms" (Evolutionary Computation 8, 2000); Deb, Thiele, Laumanns, Zitzler:
// "Scalable test problems for evolutionary multiobjective optimization" (2005), three objectives; Schaffer (ICGA 1985).
var multi = []struct {
	id, title string
	minDim    int
	objective int
	reference float64
	volume    float64
	build     func(m *Multi)
}{
	{"schaffer", "sum x^2/n and sum (x - 2)^2/n", 1, 2, 4, 16 - 16.0/6, schafferPair},
	{"zdt1", "convex front", 2, 2, 1, 2.0 / 3, func(m *Multi) { m.eval = zdt(linearTail, func(r float64) float64 { return 1 - math.Sqrt(r) }) }},
	{"zdt2", "concave front", 2, 2, 1, 1.0 / 3, func(m *Multi) { m.eval = zdt(linearTail, func(r float64) float64 { return 1 - r*r }) }},
	{"zdt4", "convex front behind many local ones", 2, 2, 1, 2.0 / 3, zdt4},
	{"zdt6", "concave front, few points near it", 2, 2, 1, (1 - math.Pow(zdt6Start, 3)) / 3, func(m *Multi) { m.eval = zdt6 }},
	{"dtlz1", "flat front of three objectives behind many local ones", 3, 3, 0.5, 0.125 * (1 - 1.0/6), func(m *Multi) { m.eval = dtlz1 }},
	{"dtlz2", "spherical front of three objectives", 3, 3, 1, 1 - math.Pi/6, func(m *Multi) { m.eval = dtlz2 }},
}

// MultiIDs returns the names of the functions with several objectives.
func MultiIDs() (ids []string) {
	for _, m := range multi {
		ids = append(ids, m.id)
	}
	return ids
}

// NewMulti returns the function of that name, whatever the case. The error lists what exists, or tells a dimension that is too small.
func NewMulti(id string, dim int) (*Multi, error) {
	for _, d := range multi {
		if !strings.EqualFold(d.id, id) {
			continue
		}
		if dim < d.minDim {
			return nil, fmt.Errorf("bbob: %s needs dimension %d or more, got %d", d.id, d.minDim, dim)
		}
		m := &Multi{ID: d.id, Title: d.title, Dim: dim, Objectives: d.objective, Lower: constant(dim, 0), Upper: constant(dim, 1),
			Reference: constant(d.objective, d.reference), Volume: d.volume}
		d.build(m)
		return m, nil
	}
	return nil, fmt.Errorf("bbob: no function %q with several objectives; there are %s", id, strings.Join(MultiIDs(), ", "))
}

func schafferPair(m *Multi) {
	m.Lower, m.Upper = constant(m.Dim, -10), constant(m.Dim, 10)
	m.eval = func(x, f []float64) {
		f[0], f[1] = 0, 0
		for _, v := range x {
			f[0] += v * v / float64(len(x))
			f[1] += (v - 2) * (v - 2) / float64(len(x))
		}
	}
}

func linearTail(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return 1 + 9*s/float64(len(x))
}

// zdt is f1 = x1 and f2 = g h(f1/g), g of the other variables.
func zdt(g func(tail []float64) float64, h func(r float64) float64) func(x, f []float64) {
	return func(x, f []float64) {
		v := g(x[1:])
		f[0], f[1] = x[0], v*h(x[0]/v)
	}
}

func zdt4(m *Multi) {
	for i := 1; i < m.Dim; i++ {
		m.Lower[i], m.Upper[i] = -5, 5
	}
	m.eval = zdt(func(tail []float64) float64 { return 1 + rastrigin(tail) }, func(r float64) float64 { return 1 - math.Sqrt(r) })
}

// zdt6Start is the smallest f1 on the front of zdt6: the minimum of 1 - exp(-4x) sin(6 pi x)^6.
const zdt6Start = 0.28077531884886

func zdt6(x, f []float64) {
	f[0] = 1 - math.Exp(-4*x[0])*math.Pow(math.Sin(6*math.Pi*x[0]), 6)
	g := 1 + 9*math.Pow((linearTail(x[1:])-1)/9, 0.25)
	f[1] = g * (1 - f[0]*f[0]/(g*g))
}

func dtlz1(x, f []float64) {
	tail := x[2:]
	g := float64(len(tail))
	for _, v := range tail {
		g += (v-0.5)*(v-0.5) - math.Cos(20*math.Pi*(v-0.5))
	}
	s := 0.5 * (1 + 100*g)
	f[0], f[1], f[2] = s*x[0]*x[1], s*x[0]*(1-x[1]), s*(1-x[0])
}

func dtlz2(x, f []float64) {
	r := 1.0
	for _, v := range x[2:] {
		r += (v - 0.5) * (v - 0.5)
	}
	s0, c0 := math.Sincos(x[0] * math.Pi / 2)
	s1, c1 := math.Sincos(x[1] * math.Pi / 2)
	f[0], f[1], f[2] = r*c0*c1, r*c0*s1, r*s0
}
