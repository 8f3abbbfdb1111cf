package curvature

import (
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
)

type denseOperator struct{ m nnopt.Matrix[float64] }

// NewDense returns a matrix as an operator; it shares memory.
func NewDense(m nnopt.Matrix[float64]) Operator {
	mustBeWhole(m)
	return &denseOperator{m}
}

func mustBeWhole(m nnopt.Matrix[float64]) {
	if !dense.Whole(m) {
		fail("a %d x %d matrix with stride %d is not in %d elements", m.Rows, m.Cols, m.Stride, len(m.Data))
	}
}

// FromGonum returns a copy of a gonum matrix as an operator. It panics as gonum does if a is nil.
func FromGonum(a mat.Matrix) Operator {
	rows, cols := a.Dims()
	m := dense.New[float64](rows, cols)
	for i := range rows {
		for j := range cols {
			m.Set(i, j, a.At(i, j))
		}
	}
	return NewDense(m)
}

// Dims implements Operator.
func (d *denseOperator) Dims() (rows, cols int) { return d.m.Rows, d.m.Cols }

// MulTo implements Operator.
func (d *denseOperator) MulTo(dst, x []float64) {
	mustFit(dst, x, d.m.Rows, d.m.Cols)
	dense.Gemv(dense.NoTrans, 1, d.m, x, 0, dst)
}

// MulTransTo implements Operator.
func (d *denseOperator) MulTransTo(dst, x []float64) {
	mustFit(dst, x, d.m.Cols, d.m.Rows)
	dense.Gemv(dense.Transposed, 1, d.m, x, 0, dst)
}

// Form returns the matrix of an operator, by a product with every unit vector (or transposed products where there are fewer rows).
func Form(a Operator) nnopt.Matrix[float64] {
	mustExist("a matrix", a)
	rows, cols := a.Dims()
	m := dense.New[float64](rows, cols)
	if rows <= cols {
		unit := make([]float64, rows)
		for i := range rows {
			unit[i] = 1
			a.MulTransTo(m.Row(i), unit)
			unit[i] = 0
		}
		return m
	}
	unit, column := make([]float64, cols), make([]float64, rows)
	for j := range cols {
		unit[j] = 1
		a.MulTo(column, unit)
		unit[j] = 0
		for i, v := range column {
			m.Set(i, j, v)
		}
	}
	return m
}

// ToGonum returns the matrix of an operator as a gonum matrix, see Form.
func ToGonum(a Operator) *mat.Dense {
	m := Form(a)
	return mat.NewDense(m.Rows, m.Cols, m.Data)
}

// Products gives solvers of other packages that ask for products with gonum vectors (gonum.org/v1/exp/linsolve: MulVecToer) those of an operator.
type Products struct{ Operator }

// MulVecTo sets dst = A x, or A^T x if trans is set.
func (p Products) MulVecTo(dst *mat.VecDense, trans bool, x mat.Vector) {
	in, out := make([]float64, x.Len()), make([]float64, dst.Len())
	for i := range in {
		in[i] = x.AtVec(i)
	}
	if trans {
		p.MulTransTo(out, in)
	} else {
		p.MulTo(out, in)
	}
	for i, v := range out {
		dst.SetVec(i, v)
	}
}

// Diagonal returns the diagonal matrix of d; it shares memory.
func Diagonal(d []float64) Operator {
	return &symmetric{len(d), func(dst, x []float64) {
		for i, v := range x {
			dst[i] = d[i] * v
		}
	}}
}

// Spectrum returns Q diag(values) Q^T for a Q with as many columns as values, such as the eigenvectors that TopLanczos and TopLOBPCG find.
func Spectrum(q nnopt.Matrix[float64], values []float64) Operator {
	mustBeWhole(q)
	if q.Cols != len(values) {
		fail("%d eigenvalues for %d vectors", len(values), q.Cols)
	}
	inner := make([]float64, len(values))
	return &symmetric{q.Rows, func(dst, x []float64) {
		dense.Gemv(dense.Transposed, 1, q, x, 0, inner)
		for i, v := range values {
			inner[i] *= v
		}
		dense.Gemv(dense.NoTrans, 1, q, inner, 0, dst)
	}}
}
