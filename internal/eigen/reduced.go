package eigen

import "github.com/spdopt/spdopt/internal/dense"

const (
	grownRows     = 8  // rows of a sum of inverses that are made at a time
	resolventRows = 16 // reflectors that are applied to it together
)

// Reducer computes functions of a symmetric matrix from its tridiagonal form A = Q T Q^T, without eigenvectors: rational ones, as sums of shifted inverses. The zero value is
// ready; the workspace is kept, so that repeated calls allocate nothing. A Reducer must not be used by two goroutines at once.
type Reducer struct {
	a       dense.Matrix[float64] // the reflectors
	red     reduction
	back    backTransform
	terms   semiseparable
	first   []float64 // [shift][column]: the first row of the inverses that is done
	outer   []float64 // [shift][row]: how the rows above it depend on it
	product []float64
}

// Reduce brings a, of which it reads the upper triangle, to tridiagonal form. It overwrites a and keeps it. 4/3 n^3 flops.
func (r *Reducer) Reduce(a dense.Matrix[float64]) {
	r.a = a
	r.red.reduce(a)
}

func (r *Reducer) tridiagonal() (d, e []float64) { return r.red.d[:r.a.Rows], r.red.e[:r.a.Rows] }

// Within tells whether all eigenvalues lie between low and high, to rounding, by the signs of pivots (Sylvester). O(n).
func (r *Reducer) Within(low, high float64) bool {
	d, e := r.tridiagonal()
	return within(d, e, 1, low, high)
}

// Resolvents sets the upper triangle of dst to the sum of weight_j (A + shift_j I)^-1; all A + shift_j I must be positive definite. 4/3 n^3 flops.
//
// The inverses of T + s are semiseparable: rows of their sum are made from the last one up, each from the first row of each inverse that is there, and as soon as all rows of a
// block of reflectors are there it is applied from both sides, to the sum and to these first rows.
func (r *Reducer) Resolvents(shift, weight []float64, dst dense.Matrix[float64]) {
	n, m := r.a.Rows, len(shift)
	d, e := r.tridiagonal()
	r.terms.generate(d, e, shift, weight)
	r.first, r.outer = grow(r.first, n*m), grow(r.outer, grownRows*m)
	last := n - 1 // number of reflectors
	rows := min(resolventRows, max(last, 1))
	r.back.grow(n, rows)
	r.product = grow(r.product, 5*rows*n+2*rows*m)
	done := n
	for j := (last - 1) / rows * rows; j >= 0; j -= rows {
		for done > j+1 {
			from := max(j+1, done-grownRows)
			r.extend(from, done, m, dst)
			done = from
		}
		r.reflect(j, min(rows, last-j), m, dst)
	}
	r.extend(0, done, m, dst)
}

// extend makes the rows from a to b-1 of the upper triangle of the sum.
func (r *Reducer) extend(a, b, m int, dst dense.Matrix[float64]) {
	n := dst.Rows
	first, outer := dense.Wrap(m, n, r.first), dense.Wrap(m, grownRows, r.outer).View(0, 0, m, b-a)
	for j := range m {
		row, p := outer.Row(j), 1.0
		for i := b - 1; i >= a; i-- {
			p *= r.terms.ratio[i*m+j]
			row[i-a] = p
		}
	}
	rest := first.View(0, b, m, n-b)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, outer, rest, 0, dst.View(a, b, b-a, n-b))
	for j := range m {
		dense.Scale(outer.At(j, 0), rest.Row(j), rest.Row(j))
	}
	for c := a; c < b; c++ {
		r.column(a, c, first, dst)
	}
}

// column makes the elements of column c from row a to the diagonal.
func (r *Reducer) column(a, c int, first, dst dense.Matrix[float64]) {
	m := first.Rows
	x := r.terms.diagonal[c*m:][:m]
	var sum float64
	for _, v := range x {
		sum += v
	}
	dst.Set(c, c, sum)
	for i := c - 1; i >= a; i-- {
		sum = 0
		for j, q := range r.terms.ratio[i*m:][:m] {
			x[j] *= q
			sum += x[j]
		}
		dst.Set(i, c, sum)
	}
	for j, v := range x {
		first.Set(j, c, v)
	}
}

// reflect applies H = I - V' T V, the k reflectors from j on, to what is there of the sum S, H S H' = S - V' W - W' V with B = T V S and
// W = B - B V' T' V/2, and to the first rows.
func (r *Reducer) reflect(j, k, m int, dst dense.Matrix[float64]) {
	n, rows := dst.Rows, dst.Rows-j-1
	v, t := dense.Wrap(k, rows, r.back.v), dense.Wrap(k, k, r.back.t)
	r.back.block(r.a, r.red.tau, j, v, t)
	s := dst.View(j+1, j+1, rows, rows)
	pairs, swapped := dense.Wrap(2*k, rows, r.product), dense.Wrap(2*k, rows, r.product[2*k*rows:])
	z := dense.Wrap(k, rows, r.product[4*k*rows:])
	dense.Mirror(s)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, v, s, 0, z)
	w := pairs.View(k, 0, k, rows)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, t, z, 0, w)
	x, y := dense.Wrap(k, k, r.back.x), dense.Wrap(k, k, r.back.y)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, w, v, 0, x)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, t, 0, y)
	dense.Gemm(dense.NoTrans, dense.NoTrans, -0.5, y, v, 1, w)
	for i := range k {
		copy(pairs.Row(i), v.Row(i))
		copy(swapped.Row(i), w.Row(i))
		copy(swapped.Row(k+i), v.Row(i))
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, -1, pairs, swapped, 1, s)
	first := dense.Wrap(m, n, r.first).View(0, j+1, m, rows)
	rest := r.product[5*k*rows:]
	fv, ft := dense.Wrap(m, k, rest), dense.Wrap(m, k, rest[m*k:])
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, first, v, 0, fv)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, fv, t, 0, ft)
	dense.Gemm(dense.NoTrans, dense.NoTrans, -1, ft, v, 1, first)
}
