package curvature

import "github.com/spdopt/spdopt/internal/dense"

// sumOf is A_1 + A_2 + ...
type sumOf struct {
	terms []Operator
	work  []float64
}

// Sum returns the sum of operators of equal sizes.
func Sum(terms ...Operator) Operator {
	if len(terms) == 0 {
		fail("a sum of no operators has no size")
	}
	mustExist("a sum", terms...)
	rows, cols := terms[0].Dims()
	for _, a := range terms[1:] {
		if r, c := a.Dims(); r != rows || c != cols {
			fail("sum of a %d x %d and a %d x %d operator", rows, cols, r, c)
		}
	}
	return &sumOf{terms, make([]float64, max(rows, cols))}
}

// Dims implements Operator.
func (s *sumOf) Dims() (rows, cols int) { return s.terms[0].Dims() }

// MulTo implements Operator.
func (s *sumOf) MulTo(dst, x []float64) { s.add(Operator.MulTo, dst, x) }

// MulTransTo implements Operator.
func (s *sumOf) MulTransTo(dst, x []float64) { s.add(Operator.MulTransTo, dst, x) }

func (s *sumOf) add(product func(a Operator, dst, x []float64), dst, x []float64) {
	product(s.terms[0], dst, x)
	for _, a := range s.terms[1:] {
		part := s.work[:len(dst)]
		product(a, part, x)
		dense.Axpy(1, part, dst)
	}
}

// scaled is alpha A.
type scaled struct {
	alpha float64
	a     Operator
}

// Scaled returns alpha A.
func Scaled(alpha float64, a Operator) Operator {
	mustExist("a multiple", a)
	return &scaled{alpha, a}
}

// Dims implements Operator.
func (s *scaled) Dims() (rows, cols int) { return s.a.Dims() }

// MulTo implements Operator.
func (s *scaled) MulTo(dst, x []float64) {
	s.a.MulTo(dst, x)
	dense.Scale(s.alpha, dst, dst)
}

// MulTransTo implements Operator.
func (s *scaled) MulTransTo(dst, x []float64) {
	s.a.MulTransTo(dst, x)
	dense.Scale(s.alpha, dst, dst)
}

// Damped returns A + damping I for a square A.
func Damped(a Operator, damping float64) Operator {
	mustExist("a damped operator", a)
	n, _ := a.Dims()
	d := make([]float64, n)
	for i := range d {
		d[i] = damping
	}
	return Sum(a, Diagonal(d))
}
