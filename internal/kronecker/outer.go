// Package kronecker holds the arithmetic of Kronecker-factored curvature that optimizers and operators share: sums of outer products of what layers
// see, and damped inverses of B (x) A. Weight matrices are Dout x Din and row major, so that (B (x) A) vec(V) = vec(B V A) for symmetric factors.
package kronecker

import "github.com/spdopt/spdopt/internal/dense"

// Outer adds up outer products of rows. It owns the workspace; the zero value is ready.
type Outer[T dense.Float] struct {
	product, sums []T
}

// Add adds the sum over the rows x_i of x1_i x1_i^T to the upper triangle of sum. x1 is x, or x with the number one appended if sum has a row more than x
// has columns. The products are summed in T, sum in float64. It costs half a product of x^T by x.
func (o *Outer[T]) Add(x dense.Matrix[T], one float64, sum dense.Matrix[float64]) {
	n := x.Cols
	o.product = grown(o.product, n*n)
	p := dense.Wrap(n, n, o.product)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, x, x, 0, p)
	for i := range n {
		to := sum.Row(i)[i:n]
		for j, v := range p.Row(i)[i:] {
			to[j] += float64(v)
		}
	}
	if sum.Rows == n {
		return
	}
	o.sums = grown(o.sums, n)
	clear(o.sums)
	for i := range x.Rows {
		dense.Axpy(1, x.Row(i), o.sums)
	}
	for i, v := range o.sums {
		sum.Data[i*sum.Stride+n] += one * float64(v)
	}
	sum.Data[n*sum.Stride+n] += one * one * float64(x.Rows)
}

// Collapse adds the sum of each reps neighbouring rows of x to the rows of dst.
func Collapse[T dense.Float](x dense.Matrix[T], reps int, dst dense.Matrix[T]) {
	for i := range x.Rows {
		dense.Axpy(1, x.Row(i), dst.Row(i/reps))
	}
}

// AverageGroups sets dst to the mean of the equally wide groups of columns of x, as many as fit: the inputs of a grouped convolution as one factor sees
// them.
func AverageGroups[T dense.Float](x, dst dense.Matrix[T]) {
	groups := x.Cols / dst.Cols
	for i := range x.Rows {
		row, to := x.Row(i), dst.Row(i)
		clear(to)
		for k := range groups {
			dense.Axpy(1/T(groups), row[k*dst.Cols:][:dst.Cols], to)
		}
	}
}

func grown[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}
