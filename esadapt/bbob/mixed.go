package bbob

import (
	"fmt"
	"math"
)

// Mixed is a function some of whose variables are integers: variable i of Integers takes the values Lower[i], ..., Upper[i].
type Mixed struct {
	Inner        *Function
	Integers     []int
	Lower, Upper []float64 // of every variable
	XOpt         []float64
	FOpt         float64
	offset       []float64
	work         []float64
}

// Arities returns how many values the variables of a mixed-integer problem of the BBOB testbed have, a fifth of the variables each 2, 4, 8, 16 and, for the
// last fifth, 0, which means continuous.
func Arities(dim int) []int {
	a := make([]int, dim)
	for i := range a {
		a[i] = []int{2, 4, 8, 16, 0}[5*i/dim]
	}
	return a
}

// innerEdge is the end of the interval that integer values are spread over.
const innerEdge = 4

// NewMixed discretizes f: the values 0, ..., a-1 of a variable of arity a are spread evenly over the inside of [-4, 4] and shifted so that the optimum of f is
// one of them, whose value is kept; Tusar, Brockhoff, Hansen: "Mixed-integer benchmark problems for single- and bi-objective optimization" (GECCO 2019).
// Eval must not be called from several goroutines at once.
func NewMixed(f *Function, arities []int) (*Mixed, error) {
	if len(arities) != f.Dim {
		return nil, fmt.Errorf("bbob: %d arities for %d variables", len(arities), f.Dim)
	}
	m := &Mixed{Inner: f, FOpt: f.FOpt, XOpt: append([]float64(nil), f.XOpt...), offset: make([]float64, f.Dim), work: make([]float64, f.Dim)}
	for i, a := range arities {
		lower, upper := f.Lower, f.Upper
		switch {
		case a == 1 || a < 0:
			return nil, fmt.Errorf("bbob: variable %d cannot have %d values", i, a)
		case a > 1:
			lower, upper = 0, float64(a-1)
			m.Integers = append(m.Integers, i)
			step := 2.0 * innerEdge / float64(a+1)
			k := min(upper, max(0, math.Round((f.XOpt[i]+innerEdge)/step-1)))
			m.offset[i] = f.XOpt[i] - (-innerEdge + (k+1)*step)
			m.XOpt[i] = k
		}
		m.Lower, m.Upper = append(m.Lower, lower), append(m.Upper, upper)
	}
	return m, nil
}

// Eval returns the value at x, whose integer variables are rounded and kept within their bounds first.
func (m *Mixed) Eval(x []float64) float64 {
	copy(m.work, x)
	for _, i := range m.Integers {
		k := min(m.Upper[i], max(0, math.Round(x[i])))
		m.work[i] = -innerEdge + (k+1)*2*innerEdge/(m.Upper[i]+2) + m.offset[i]
	}
	return m.Inner.Eval(m.work)
}
