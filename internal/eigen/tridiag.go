package eigen

import (
	"cmp"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	panelRows = 32   // reflectors per panel of the reduction
	fusedSize = 2048 // up to here the reduction goes row by row
	smallSize = 12   // up to here QL serves
	pairSize  = 32   // and up to here for the halves of a matrix, side by side
	wholeSize = 192  // up to here the reduction keeps both triangles
)

// reflect finds H = I - tau v v^T, v[0] = 1, with H x = (beta, 0, ..., 0). x becomes v.
func reflect(x []float64) (beta, tau float64) {
	alpha, tail := x[0], x[1:]
	sum := dense.Dot(tail, tail)
	norm := math.Sqrt(alpha*alpha + sum)
	if norm < 1e-140 {
		return reflectTiny(x)
	}
	x[0] = 1
	if sum == 0 {
		return alpha, 0
	}
	beta = -math.Copysign(norm, alpha)
	scale := 1 / (alpha - beta)
	dense.Scale(scale, tail, tail)
	return beta, (beta - alpha) / beta
}

// reflectTiny is reflect for elements whose squares underflow.
func reflectTiny(x []float64) (beta, tau float64) {
	var big float64
	for _, v := range x {
		big = max(big, math.Abs(v))
	}
	if big == 0 {
		x[0] = 1
		return 0, 0
	}
	up := powerScale(big)
	for i := range x {
		x[i] *= up
	}
	beta, tau = reflect(x)
	return beta / up, tau
}

// reduction is the workspace of the reduction to tridiagonal form.
type reduction struct {
	fused     int // if not 0, stands for fusedSize
	d, e, tau []float64
	pairs     []float64 // rows v0 w0 v1 w1 ... of the panel
	swapped   []float64 // rows w0 v0 w1 v1 ...
	coef      []float64 // two rows of the coefficients of a panel's pairs
	dots      []float64
	ahead     []float64 // two rows: w in the making and the next row of a
	whole     []float64 // both triangles of a small matrix, in rows filled up with zeros
	product   triangleProduct
}

func (r *reduction) grow(n int) {
	r.d, r.e, r.tau = grow(r.d, n), grow(r.e, n), grow(r.tau, n)
	cols := (n + dense.TrailingLanes - 1) / dense.TrailingLanes * dense.TrailingLanes
	r.ahead = grow(r.ahead, 2*cols)
	if n <= wholeSize {
		r.whole = grow(r.whole, n*cols)
	}
	r.product.grow(n)
	if n > r.fusedSize() {
		r.pairs, r.swapped = grow(r.pairs, 2*panelRows*n), grow(r.swapped, 2*panelRows*n)
		r.coef, r.dots = grow(r.coef, 4*panelRows), grow(r.dots, 2*panelRows)
	}
}

func (r *reduction) fusedSize() int { return cmp.Or(r.fused, fusedSize) }

// reduce turns the symmetric a, of which the upper triangle is read, into the tridiagonal (r.d, r.e) = H_{n-2} ... H_0 a H_0 ... H_{n-2},
// H_j = I - tau_j v_j v_j^T. v_j is left in row j of a from column j+1 on, its leading 1 included.
//
// As long as the rest of the matrix is large, panels of panelRows rows are reduced with the trailing matrix untouched, which then takes one
// symmetric update of rank 2 panelRows (Dongarra, Sorensen and Hammarling 1989). 4/3 n^3 flops, half of them in products of a matrix and a
// vector.
func (r *reduction) reduce(a dense.Matrix[float64]) {
	n := a.Rows
	r.grow(n)
	if n <= wholeSize && n <= r.fusedSize() && dense.VectorTrailing() {
		r.reduceWhole(a)
		return
	}
	j := 0
	for ; n-j > r.fusedSize(); j += panelRows {
		r.panel(a, j)
		rest := j + panelRows
		p := dense.Wrap(2*panelRows, n, r.pairs).View(0, rest, 2*panelRows, n-rest)
		s := dense.Wrap(2*panelRows, n, r.swapped).View(0, rest, 2*panelRows, n-rest)
		for i := 0; i < 2*panelRows; i += 2 {
			copy(s.Row(i), p.Row(i+1))
			copy(s.Row(i+1), p.Row(i))
		}
		dense.GemmUpper(dense.Transposed, dense.NoTrans, -1, p, s, 1, a.View(rest, rest, n-rest, n-rest))
	}
	r.reduceFused(a.View(j, j, n-j, n-j), r.d[j:], r.e[j:], r.tau[j:])
}

// panel reduces rows j0 .. j0+panelRows-1 and fills r.pairs. Row j meets the pairs of the panel in two parts: those before the last together
// with the vector w of row j-1, in one product, the last when its turn comes.
func (r *reduction) panel(a dense.Matrix[float64], j0 int) {
	n := a.Rows
	pairs := dense.Wrap(2*panelRows, n, r.pairs)
	for i := range panelRows {
		j := j0 + i
		row := a.Row(j)[j:]
		if i > 0 {
			v, w := pairs.Row(2*i - 2)[j:], pairs.Row(2*i - 1)[j:]
			subtractPair(row, v, w, v[0], w[0])
		}
		x := row[1:]
		r.d[j] = row[0]
		r.e[j], r.tau[j] = reflect(x)
		ahead := dense.Wrap(2, len(x), r.ahead)
		w := ahead.Row(0)
		r.product.run(a.View(j+1, j+1, len(x), len(x)), nil, nil, x, w)
		if i > 0 {
			copy(ahead.Row(1), a.Row(j + 1)[j+1:])
			before := pairs.View(0, j+1, 2*i, len(x))
			dense.Gemm(dense.NoTrans, dense.NoTrans, -1, r.coefficients(before, x), before, 1, ahead)
			if i+1 < panelRows {
				copy(a.Row(j + 1)[j+1:], ahead.Row(1))
			}
		}
		finishPair(w, x, r.tau[j])
		copy(pairs.Row(2 * i)[j+1:], x)
		copy(pairs.Row(2*i + 1)[j+1:], w)
	}
}

// coefficients returns two rows c such that c before is what the earlier pairs take from A x, and from the first row of A.
func (r *reduction) coefficients(before dense.Matrix[float64], x []float64) dense.Matrix[float64] {
	k := before.Rows
	c, dots := dense.Wrap(2, k, r.coef), r.dots[:k]
	dense.Gemv(dense.NoTrans, 1, before, x, 0, dots)
	for l := 0; l < k; l += 2 {
		c.Data[l], c.Data[l+1] = dots[l+1], dots[l]
		c.Data[k+l], c.Data[k+l+1] = before.At(l+1, 0), before.At(l, 0)
	}
	return c
}

// finishPair turns w = A v into the vector for which H A H = A - v w^T - w v^T.
func finishPair(w, v []float64, tau float64) {
	dense.Blend(tau, w, -tau*tau/2*dense.Dot(w, v), v, w)
}

// subtractPair subtracts vi w + wi v from row.
func subtractPair(row, v, w []float64, vi, wi float64) {
	dense.Axpy(-vi, w, row)
	dense.Axpy(-wi, v, row)
}

// reduceFused is reduce without panels, for a matrix that stays in the cache: the rank-two update of one step and the product with the next
// reflector share a pass over the upper triangle.
func (r *reduction) reduceFused(a dense.Matrix[float64], d, e, tau []float64) {
	n := a.Rows
	w, next := r.ahead[:n], r.ahead[n:2*n]
	var v []float64 // of the step before; v[0] and w[0] belong to row j
	for j := range n - 1 {
		row := a.Row(j)[j:]
		if j > 0 {
			subtractPair(row, v, w, v[0], w[0])
		}
		d[j] = row[0]
		x := row[1:]
		e[j], tau[j] = reflect(x)
		rest, y := a.View(j+1, j+1, len(x), len(x)), next[:len(x)]
		if j == 0 {
			r.product.run(rest, nil, nil, x, y)
		} else {
			r.product.run(rest, v[1:], w[1:], x, y)
		}
		finishPair(y, x, tau[j])
		v, w, next = x, y, w
	}
	if n > 0 {
		d[n-1] = a.At(n-1, n-1)
		if n > 1 {
			d[n-1] -= 2 * v[0] * w[0]
		}
	}
}
