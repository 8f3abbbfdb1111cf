package curvature

type adjoint struct{ a Operator }

// Adjoint returns A^T.
func Adjoint(a Operator) Operator {
	mustExist("a transpose", a)
	if t, ok := a.(adjoint); ok {
		return t.a
	}
	return adjoint{a}
}

// Dims implements Operator.
func (t adjoint) Dims() (rows, cols int) {
	cols, rows = t.a.Dims()
	return rows, cols
}

// MulTo implements Operator.
func (t adjoint) MulTo(dst, x []float64) { t.a.MulTransTo(dst, x) }

// MulTransTo implements Operator.
func (t adjoint) MulTransTo(dst, x []float64) { t.a.MulTo(dst, x) }
