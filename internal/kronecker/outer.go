// Package kronecker holds the arithmetic of Kronecker-factored curvature that optimizers and operators share: sums of outer products of what layers
// see, and damped inverses of B (x) A. Weight matrices are Dout x Din and row major, so that (B (x) A) vec(V) = vec(B V A) for symmetric factors.
package kronecker

import "github.com/spdopt/spdopt/internal/dense"

// Outer adds up outer products of rows. Rows are gathered until there are enough of them for an efficient product, so that Flush must follow the last Add.
// The zero value is ready; it owns its workspace.
type Outer[T dense.Float] struct {
	rows          []T
	count, cols   int // of the gathered rows
	rare, counts  []int
	runs          []run
	packed        []T
	product, sums []T
	crossed       []T // products of the rare columns with all
	one           float64
}

// run is a run of columns: where it begins in the rows and in the packed rows, and its length.
type run struct{ from, to, length int }

// enough is the number of rows from which a product is efficient: twice the length of the blocks of the inner dimension in Gemm.
const enough = 1024

// Add adds the sum over the rows x_i of x1_i x1_i^T to the upper triangle of sum, some of it only by the next Flush. x1 is x, or x with the number one
// appended if sum has a row more than x has columns. Between two flushes sum and the number of columns stay the same. The products are summed in T,
// sum in float64. It costs half a product of x^T by x, less where most of the elements of columns are zero.
func (o *Outer[T]) Add(x dense.Matrix[T], one float64, sum dense.Matrix[float64]) {
	if one != o.one {
		o.Flush(sum)
	}
	o.one, o.cols = one, x.Cols
	if o.count == 0 && x.Rows >= enough {
		o.multiply(x, sum)
		return
	}
	for at := 0; at < x.Rows; {
		n := min(x.Rows-at, enough-o.count)
		if need := enough * x.Cols; cap(o.rows) < need {
			o.rows = make([]T, need)
		}
		for i := range n {
			copy(o.rows[(o.count+i)*x.Cols:][:x.Cols], x.Row(at+i))
		}
		at += n
		if o.count += n; o.count == enough {
			o.Flush(sum)
		}
	}
}

// Flush adds what was gathered.
func (o *Outer[T]) Flush(sum dense.Matrix[float64]) {
	if o.count == 0 {
		return
	}
	o.multiply(dense.Wrap(o.count, o.cols, o.rows[:o.count*o.cols]), sum)
	o.count = 0
}

func (o *Outer[T]) multiply(x dense.Matrix[T], sum dense.Matrix[float64]) {
	if sum.Rows > x.Cols {
		o.border(x, sum)
	}
	o.runs = append(o.runs[:0], run{0, 0, x.Cols})
	if rare := o.rareColumns(x); len(rare) > 0 {
		packed := o.pack(x, rare)
		o.cross(x, rare, sum)
		x = packed
	}
	n := x.Cols
	if n == 0 {
		return
	}
	o.product = grown(o.product, n*n)
	p := dense.Wrap(n, n, o.product)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, x, x, 0, p)
	o.widen(p, sum)
}

// pack copies the columns that are not in the ascending list rare, run by run, and lists the runs.
func (o *Outer[T]) pack(x dense.Matrix[T], rare []int) dense.Matrix[T] {
	o.runs = o.runs[:0]
	n := 0
	for at := 0; at < x.Cols; {
		end := x.Cols
		if len(rare) > 0 {
			end, rare = rare[0], rare[1:]
		}
		if end > at {
			o.runs = append(o.runs, run{at, n, end - at})
			n += end - at
		}
		at = end + 1
	}
	o.packed = grown(o.packed, x.Rows*n)
	m := dense.Wrap(x.Rows, n, o.packed)
	for i := range x.Rows {
		from, to := x.Row(i), m.Row(i)
		for _, r := range o.runs {
			copy(to[r.to:r.to+r.length], from[r.from:])
		}
	}
	return m
}

// widen adds the upper triangle of the product p of packed columns to sum.
func (o *Outer[T]) widen(p dense.Matrix[T], sum dense.Matrix[float64]) {
	for k, r := range o.runs {
		for i := range r.length {
			from, to := p.Row(r.to+i), sum.Row(r.from+i)
			addUp(to[r.from+i:r.from+r.length], from[r.to+i:r.to+r.length])
			for _, c := range o.runs[k+1:] {
				addUp(to[c.from:c.from+c.length], from[c.to:c.to+c.length])
			}
		}
	}
}

func addUp[T dense.Float](to []float64, from []T) {
	from = from[:len(to)]
	for j := range to {
		to[j] += float64(from[j])
	}
}

// border adds the products with the appended number.
func (o *Outer[T]) border(x dense.Matrix[T], sum dense.Matrix[float64]) {
	n := x.Cols
	o.sums = grown(o.sums, n)
	clear(o.sums)
	for i := range x.Rows {
		dense.Axpy(1, x.Row(i), o.sums)
	}
	for i, v := range o.sums {
		sum.Data[i*sum.Stride+n] += o.one * float64(v)
	}
	sum.Data[n*sum.Stride+n] += o.one * o.one * float64(x.Rows)
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
