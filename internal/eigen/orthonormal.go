package eigen

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Orthonormalise turns the rows of x into orthonormal ones by Gram-Schmidt, twice, and returns the triangular R with x_old = R^T x_new, row by row: the
// transposed form of A W = Q R. A row that depends on those before it is replaced by a unit vector orthogonal to them, with a diagonal element of R of
// the size of rounding.
func Orthonormalise(x dense.Matrix[float64]) dense.Matrix[float64] {
	r := dense.New[float64](x.Rows, x.Rows)
	for i := range x.Rows {
		row := x.Row(i)
		size := norm(row)
		rest := Project(x, i, row, func(k int, c float64) { r.Data[k*r.Stride+i] += c })
		if floor := size * 0x1p-48; !(rest > floor) {
			freshDirection(x, i)
			r.Set(i, i, max(rest, size*0x1p-52, math.SmallestNonzeroFloat64))
			continue
		}
		dense.Scale(1/rest, row, row)
		r.Set(i, i, rest)
	}
	return r
}

// Project takes the components along the first i rows of q out of x, twice, and returns what norm is left.
func Project(q dense.Matrix[float64], i int, x []float64, component func(k int, c float64)) float64 {
	for range 2 {
		for k := range i {
			c := dense.Dot(q.Row(k), x)
			component(k, c)
			dense.Axpy(-c, q.Row(k), x)
		}
	}
	return norm(x)
}

// freshDirection sets row i of q to a unit vector orthogonal to the rows before it: the unit vector of a coordinate, projected. There always is one
// with a remainder of sqrt(1 - i/n) or more.
func freshDirection(q dense.Matrix[float64], i int) {
	row := q.Row(i)
	for j := range q.Cols {
		clear(row)
		row[j] = 1
		if rest := Project(q, i, row, func(int, float64) {}); rest*rest*float64(q.Cols) > 0.5*float64(q.Cols-i) {
			dense.Scale(1/rest, row, row)
			return
		}
	}
	clear(row)
}

func norm(x []float64) float64 { return math.Sqrt(dense.Dot(x, x)) }
