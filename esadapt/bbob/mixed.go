package bbob

import (
	"errors"
	"fmt"
	"math"
)

// mixedInteger holds the 24 functions with four fifths of their variables integer, scaled so that they are of similar difficulty; Tusar, Brockhoff, Hansen:
// "Mixed-integer benchmark problems for single- and bi-objective optimization" (GECCO 2019).
var mixedInteger = mixedSuite()

var mixedScale = []float64{
	1, 1e-3, 0.1, 0.1, 1, 0.01, 1, 0.01, 0.01, 1e-3, 0.01, 1e-4, 0.1, 1, 0.1, 1, 10, 1, 10, 0.1, 1, 1, 10, 0.1,
}

func mixedSuite() (all []Definition) {
	for k, d := range Suite() {
		all = append(all, Definition{"m" + itoa(k+1), "mixed-integer " + d.Title, MixedInteger, 5, func(n, i int) *Function {
			inner := d
			if n > blockSize {
				inner = largeScale[k]
			}
			f := inner.build(n, i)
			f.Dim, f.Lower, f.Upper = n, -5, 5
			m, err := NewMixed(f, Arities(n))
			if err != nil {
				panic(err)
			}
			unscaled, scale := m.eval, mixedScale[k]
			m.FOpt *= scale
			m.eval = func(x []float64, w *scratch) float64 { return scale * unscaled(x, w) }
			return m
		}})
	}
	return all
}

// Arities returns how many values the variables of a mixed-integer problem of the BBOB testbed have, a fifth of the variables each 2, 4, 8, 16 and, for the
// last fifth, 0, which means continuous. There are none for a dim below 1.
func Arities(dim int) []int {
	a := make([]int, max(dim, 0))
	for i := range a {
		a[i] = []int{2, 4, 8, 16, 0}[5*i/dim]
	}
	return a
}

// innerEdge is the end of the interval that integer values are spread over.
const innerEdge = 4

// NewMixed discretizes f: the values 0, ..., a-1 of a variable of arity a are spread evenly over the inside of [-4, 4] and shifted so that the optimum of f is
// one of them, whose value is kept (source: see mixedInteger). Integer variables of a point are rounded and kept within their bounds first.
func NewMixed(f *Function, arities []int) (*Function, error) {
	if f == nil || f.eval == nil || len(f.XOpt) != f.Dim {
		return nil, errors.New("bbob: a function to discretize must be one that Definition.New made, with a known optimum")
	}
	if len(arities) != f.Dim {
		return nil, fmt.Errorf("bbob: %d arities for %d variables", len(arities), f.Dim)
	}
	m := &Function{ID: f.ID, Dim: f.Dim, Instance: f.Instance, FOpt: f.FOpt, Lower: f.Lower, Upper: f.Upper, XOpt: append([]float64(nil), f.XOpt...)}
	offset := make([]float64, f.Dim)
	for i, a := range arities {
		lower, upper := f.Lower, f.Upper
		switch {
		case a == 1 || a < 0:
			return nil, fmt.Errorf("bbob: variable %d cannot have %d values", i, a)
		case a > 1:
			lower, upper = 0, float64(a-1)
			m.Integers = append(m.Integers, i)
			step := 2.0 * innerEdge / float64(a+1)
			k := min(upper, max(0, roundHalfUp((f.XOpt[i]+innerEdge)/step-1+1e-7)))
			offset[i] = f.XOpt[i] - (-innerEdge + (k+1)*step)
			m.XOpt[i] = k
		}
		m.BoxLower, m.BoxUpper = append(m.BoxLower, lower), append(m.BoxUpper, upper)
	}
	m.eval = func(x []float64, w *scratch) float64 {
		copy(w.b, x)
		for _, i := range m.Integers {
			k := min(m.BoxUpper[i], max(0, roundHalfUp(x[i])))
			w.b[i] = -innerEdge + (k+1)*2*innerEdge/(m.BoxUpper[i]+2) + offset[i]
		}
		return f.Eval(w.b)
	}
	return m, nil
}

func roundHalfUp(v float64) float64 { return math.Floor(v + 0.5) }
