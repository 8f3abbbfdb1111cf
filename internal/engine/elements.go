package engine

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Curve is a function that Apply applies to every element.
type Curve int

// The curves. GELU is x times the normal distribution function, SiLU x times the sigmoid. The derivative of ReLU at 0 is 0.
const (
	ReLU Curve = iota
	GELU
	SiLU
	Tanh
	Logistic // the sigmoid
)

// Blend implements Elements.
func (*cpu[T]) Blend(a T, x []T, b T, z, y []T) {
	if a != 0 {
		MustHave("Blend", len(y), len(x))
	}
	if b != 0 {
		MustHave("Blend", len(y), len(z))
	}
	switch {
	case a == 0 && b == 0:
		clear(y)
	case b == 0 && a == 1:
		copy(y, x)
	case b == 0:
		dense.Scale(a, x, y)
	case a == 0:
		dense.Scale(b, z, y)
	default:
		dense.Blend(a, x, b, z, y)
	}
}

// Multiply implements Elements.
func (*cpu[T]) Multiply(x, z []T, keep T, y []T) {
	MustHave("Multiply", len(y), len(x), len(z))
	if keep == 0 {
		dense.Multiply(x, z, y)
		return
	}
	for i := range y {
		y[i] = keep*y[i] + x[i]*z[i]
	}
}

// AddSquares implements Elements.
func (*cpu[T]) AddSquares(keep, take, add T, x, v []T) {
	MustHave("AddSquares", len(v), len(x))
	for i, xi := range x {
		v[i] = keep*v[i] + (take*xi*xi + add)
	}
}

// DivideRoot implements Elements.
func (*cpu[T]) DivideRoot(v []T, correction, eps float64, y []T) {
	MustHave("DivideRoot", len(y), len(v))
	for i, x := range v {
		y[i] /= T(math.Sqrt(float64(x)/correction) + eps)
	}
}

// Power implements Elements.
func (*cpu[T]) Power(x []T, e float64, y []T) { dense.Pow(y, x, e) }

// Apply implements Elements.
func (*cpu[T]) Apply(c Curve, x, f, slope, bend []T) {
	MustHave("Apply", len(x), len(f), len(slope))
	if bend != nil {
		MustHave("Apply", len(x), len(bend))
	}
	f, slope = f[:len(x)], slope[:len(x)]
	switch c {
	case ReLU:
		for i, v := range x {
			f[i], slope[i] = 0, 0
			if v > 0 {
				f[i], slope[i] = v, 1
			}
		}
		clear(bend)
	case GELU:
		for i, v := range x {
			cdf, density := normal(v)
			f[i], slope[i] = v*cdf, cdf+v*density
			if bend != nil {
				bend[i] = density * (2 - v*v)
			}
		}
	case SiLU:
		for i, v := range x {
			s := Sigmoid(v)
			d := s * (1 - s)
			f[i], slope[i] = v*s, s+v*d
			if bend != nil {
				bend[i] = d * (2 + v*(1-2*s))
			}
		}
	case Tanh:
		for i, v := range x {
			t := tanh(v)
			f[i], slope[i] = t, 1-t*t
			if bend != nil {
				bend[i] = -2 * t * (1 - t*t)
			}
		}
	case Logistic:
		for i, v := range x {
			s := Sigmoid(v)
			f[i], slope[i] = s, s*(1-s)
			if bend != nil {
				bend[i] = s * (1 - s) * (1 - 2*s)
			}
		}
	default:
		panic(Error("Apply: no such curve"))
	}
}

// AddRow implements Elements.
func (c *cpu[T]) AddRow(b []T, keep T, y Batch[T]) {
	MustHave("AddRow", y.Cols, len(b))
	c.runRows(rowTask[T]{do: addRow[T]{}, x: y, s: b, beta: keep}, 1)
}

type addRow[T dense.Float] struct{}

func (addRow[T]) row(t *rowTask[T], i int) {
	row := t.x.row(i)
	switch t.beta {
	case 0:
		copy(row, t.s)
	case 1:
		dense.Axpy(1, t.s, row)
	default:
		for j, v := range t.s {
			row[j] = t.beta*row[j] + v
		}
	}
}

// Transpose implements Elements.
func (*cpu[T]) Transpose(x, y Batch[T]) {
	MustHave("Transpose", x.Count, y.Count)
	for k := range x.Count {
		dense.Transpose(y.At(k), x.At(k))
	}
}

// Mirror implements Elements.
func (*cpu[T]) Mirror(x Batch[T]) {
	MustHave("Mirror", x.Rows, x.Cols)
	for k := range x.Count {
		dense.Mirror(x.At(k))
	}
}

// Diagonal implements Elements.
func (*cpu[T]) Diagonal(x Batch[T], d []T) {
	MustHave("Diagonal", x.Rows, x.Cols)
	MustHave("Diagonal", x.Count*x.Rows, len(d))
	for k := range x.Count {
		for i := range x.Rows {
			d[k*x.Rows+i] = x.Data[k*x.Step+i*(x.Stride+1)]
		}
	}
}

// SetDiagonal implements Elements.
func (*cpu[T]) SetDiagonal(d []T, x Batch[T]) {
	MustHave("SetDiagonal", x.Rows, x.Cols)
	MustHave("SetDiagonal", x.Count*x.Rows, len(d))
	for k := range x.Count {
		for i := range x.Rows {
			x.Data[k*x.Step+i*(x.Stride+1)] = d[k*x.Rows+i]
		}
	}
}
