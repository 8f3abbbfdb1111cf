package curvature

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// KroneckerProduct is S_1 (x) S_2 (x) ..., which acts on tensors of the sizes of the factors' columns, flat in row-major order.
type KroneckerProduct struct {
	factors    []Operator
	rows, cols int
	x, y       []float64 // tensors between the factors
	in, out    []float64 // a column of the tensor along one factor
}

// Kronecker returns the Kronecker product of any number of operators, of any sizes.
func Kronecker(factors ...Operator) *KroneckerProduct {
	if len(factors) == 0 {
		fail("a Kronecker product of no operators has no size")
	}
	mustExist("a Kronecker product", factors...)
	k := &KroneckerProduct{factors: factors, rows: 1, cols: 1}
	size, side := 1, 0
	for _, f := range factors {
		r, c := f.Dims()
		if r < 1 || c < 1 {
			fail("a %d x %d factor of a Kronecker product", r, c)
		}
		k.rows, k.cols = k.rows*r, k.cols*c
		size, side = size*max(r, c), max(side, r, c)
	}
	k.x, k.y = make([]float64, size), make([]float64, size)
	k.in, k.out = make([]float64, side), make([]float64, side)
	return k
}

// Dims implements Operator.
func (k *KroneckerProduct) Dims() (rows, cols int) { return k.rows, k.cols }

// MulTo implements Operator.
func (k *KroneckerProduct) MulTo(dst, x []float64) {
	mustFit(dst, x, k.rows, k.cols)
	k.apply(dst, x, false)
}

// MulTransTo implements Operator.
func (k *KroneckerProduct) MulTransTo(dst, x []float64) {
	mustFit(dst, x, k.cols, k.rows)
	k.apply(dst, x, true)
}

// apply multiplies along one factor after the other. Before factor i the tensor has the new sizes along the factors before it.
func (k *KroneckerProduct) apply(dst, x []float64, transposed bool) {
	from, to := k.x[:len(x)], k.y
	copy(from, x)
	before, after := 1, len(x)
	for _, f := range k.factors {
		rows, cols := f.Dims()
		product := f.MulTo
		if transposed {
			rows, cols, product = cols, rows, f.MulTransTo
		}
		after /= cols
		for p := range before {
			for q := range after {
				for i := range cols {
					k.in[i] = from[(p*cols+i)*after+q]
				}
				product(k.out[:rows], k.in[:cols])
				for i, v := range k.out[:rows] {
					to[(p*rows+i)*after+q] = v
				}
			}
		}
		before *= rows
		from, to = to, from[:cap(from)]
	}
	copy(dst, from)
}

// Trace returns the trace, the product of those of the square factors, which it forms.
func (k *KroneckerProduct) Trace() float64 {
	t := 1.0
	for _, f := range k.factors {
		m := Form(f)
		k.mustBeSquare(m)
		t *= trace(m)
	}
	return t
}

// Frobenius returns the Frobenius norm, the product of those of the factors, which it forms.
func (k *KroneckerProduct) Frobenius() float64 {
	n := 1.0
	for _, f := range k.factors {
		n *= norm(Form(f).Data)
	}
	return n
}

// LogDet returns the logarithm of the determinant for symmetric positive definite factors, sum_i (D/d_i) log det S_i with D the dimension of the product;
// ok is false if a factor is not positive definite. The factors are formed.
func (k *KroneckerProduct) LogDet() (sum float64, ok bool) {
	for _, f := range k.factors {
		m := Form(f)
		k.mustBeSquare(m)
		if dense.Cholesky(m) >= 0 {
			return 0, false
		}
		for i := range m.Rows {
			sum += 2 * float64(k.rows/m.Rows) * math.Log(m.At(i, i))
		}
	}
	return sum, true
}

// Det returns the determinant for symmetric positive definite factors, see LogDet.
func (k *KroneckerProduct) Det() (det float64, ok bool) {
	log, ok := k.LogDet()
	return math.Exp(log), ok
}

func (k *KroneckerProduct) mustBeSquare(m dense.Matrix[float64]) {
	if m.Rows != m.Cols {
		fail("a %d x %d factor has no trace and no determinant", m.Rows, m.Cols)
	}
}
