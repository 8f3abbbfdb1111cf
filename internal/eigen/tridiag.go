package eigen

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	panelRows = 32 // reflectors per panel of the reduction
	smallSize = 32 // up to here the unblocked reduction and plain QL serve
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
	for i := range tail {
		tail[i] *= scale
	}
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
	d, e, tau []float64
	pairs     []float64 // rows v0 w0 v1 w1 ... of the panel
	swapped   []float64 // rows w0 v0 w1 v1 ...
	coef      []float64
	y         []float64
}

func (r *reduction) grow(n int) {
	r.d, r.e, r.tau = grow(r.d, n), grow(r.e, n), grow(r.tau, n)
	r.y = grow(r.y, 2*n)
	if n > smallSize {
		r.pairs, r.swapped = grow(r.pairs, 2*panelRows*n), grow(r.swapped, 2*panelRows*n)
		r.coef = grow(r.coef, 2*panelRows)
	}
}

// reduce turns the symmetric a, of which the upper triangle is read, into the tridiagonal (r.d, r.e) = H_{n-2} ... H_0 a H_0 ... H_{n-2},
// H_j = I - tau_j v_j v_j^T. v_j is left in row j of a from column j+1 on, its leading 1 included.
//
// Panels of panelRows rows are reduced with the trailing matrix untouched, which then takes one symmetric update of rank 2 panelRows
// (Dongarra, Sorensen and Hammarling 1989). 4/3 n^3 flops, half of them in products of a matrix and a vector.
func (r *reduction) reduce(a dense.Matrix[float64]) {
	n := a.Rows
	r.grow(n)
	j := 0
	for ; n-j > smallSize; j += panelRows {
		r.panel(a, j)
		rest := j + panelRows
		p := dense.Wrap(2*panelRows, n, r.pairs).View(0, rest, 2*panelRows, n-rest)
		s := dense.Wrap(2*panelRows, n, r.swapped).View(0, rest, 2*panelRows, n-rest)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, -1, p, s, 1, a.View(rest, rest, n-rest, n-rest))
	}
	r.reduceSmall(a.View(j, j, n-j, n-j), r.d[j:], r.e[j:], r.tau[j:])
}

// panel reduces rows j0 .. j0+panelRows-1 and fills r.pairs and r.swapped.
func (r *reduction) panel(a dense.Matrix[float64], j0 int) {
	n := a.Rows
	pairs, swapped := dense.Wrap(2*panelRows, n, r.pairs), dense.Wrap(2*panelRows, n, r.swapped)
	for i := range panelRows {
		j := j0 + i
		row := a.Row(j)[j:]
		if i > 0 {
			coef := r.coef[:2*i]
			for l := range coef {
				coef[l] = swapped.At(l, j)
			}
			dense.Gemv(dense.Transposed, -1, pairs.View(0, j, 2*i, n-j), coef, 1, row)
		}
		v := row[1:]
		r.d[j] = row[0]
		beta, tau := reflect(v)
		r.e[j], r.tau[j] = beta, tau

		w := pairs.Row(2*i + 1)[j+1:]
		dense.Symv(a.View(j+1, j+1, n-j-1, n-j-1), v, w)
		if i > 0 {
			t := r.coef[:2*i]
			dense.Gemv(dense.NoTrans, 1, swapped.View(0, j+1, 2*i, n-j-1), v, 0, t)
			dense.Gemv(dense.Transposed, -1, pairs.View(0, j+1, 2*i, n-j-1), t, 1, w)
		}
		half := -tau * tau / 2 * dense.Dot(w, v)
		for l, vl := range v {
			w[l] = tau*w[l] + half*vl
		}
		copy(pairs.Row(2 * i)[j+1:], v)
		copy(swapped.Row(2 * i)[j+1:], w)
		copy(swapped.Row(2*i + 1)[j+1:], v)
	}
}

// reduceSmall is reduce without panels: the rank-two update of one step and the product with the next reflector share a pass over the upper
// triangle.
func (r *reduction) reduceSmall(a dense.Matrix[float64], d, e, tau []float64) {
	n := a.Rows
	w, y := r.y[:n], r.y[len(r.y)/2:][:n]
	var v []float64 // of the step before; v[0] belongs to row j
	for j := range n - 1 {
		row := a.Row(j)[j:]
		if v != nil {
			rankTwoRow(row, v, w[j:], v[0], w[j])
			v = v[1:]
		}
		d[j] = row[0]
		x := row[1:]
		e[j], tau[j] = reflect(x)
		next := y[j+1:]
		clear(next)
		for i := range x {
			p := a.Row(j + 1 + i)[j+1+i:]
			if v == nil {
				next[i] += symvRow(p, x[i:], next[i:])
			} else {
				next[i] += rankTwoSymvRow(p, v[i:], w[j+1+i:], x[i:], next[i:])
			}
		}
		half := -tau[j] * tau[j] / 2 * dense.Dot(next, x)
		for i, xi := range x {
			next[i] = tau[j]*next[i] + half*xi
		}
		v = x
		w, y = y, w
	}
	if n > 0 {
		last := a.At(n-1, n-1)
		if v != nil {
			last -= 2 * v[0] * w[n-1]
		}
		d[n-1] = last
	}
}

// rankTwoRow subtracts vi w + wi v from row.
func rankTwoRow(row, v, w []float64, vi, wi float64) {
	v, w = v[:len(row)], w[:len(row)]
	for c := range row {
		row[c] -= vi*w[c] + wi*v[c]
	}
}

// symvRow adds row[1:] x[0] to y[1:] and returns row . x.
func symvRow(row, x, y []float64) float64 {
	x, y = x[:len(row)], y[:len(row)]
	x0 := x[0]
	sum := row[0] * x0
	for c := 1; c < len(row); c++ {
		sum += row[c] * x[c]
		y[c] += row[c] * x0
	}
	return sum
}

// rankTwoSymvRow subtracts v[0] w + w[0] v from row, then does symvRow.
func rankTwoSymvRow(row, v, w, x, y []float64) float64 {
	v, w, x, y = v[:len(row)], w[:len(row)], x[:len(row)], y[:len(row)]
	v0, w0, x0 := v[0], w[0], x[0]
	row[0] -= v0*w0 + w0*v0
	sum := row[0] * x0
	for c := 1; c < len(row); c++ {
		p := row[c] - (v0*w[c] + w0*v[c])
		row[c] = p
		sum += p * x[c]
		y[c] += p * x0
	}
	return sum
}

// formQ overwrites a, as reduce left it, with Q = H_0 ... H_{n-2}.
func formQ(a dense.Matrix[float64], tau, t []float64) {
	n := a.Rows
	if n == 0 {
		return
	}
	a.Set(n-1, n-1, 1)
	for j := n - 2; j >= 0; j-- {
		v := a.Row(j)[j+1:]
		t := t[:n-j-1]
		clear(t)
		for i, vi := range v {
			addScaled(vi, a.Row(j + 1 + i)[j+1:], t)
		}
		for i, vi := range v {
			addScaled(-tau[j]*vi, t, a.Row(j + 1 + i)[j+1:])
		}
		clear(a.Row(j)[j:])
		a.Set(j, j, 1)
		for i := j + 1; i < n; i++ {
			a.Set(i, j, 0)
		}
	}
}

// addScaled is Axpy without the call, for rows of a few elements.
func addScaled(alpha float64, x, y []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += alpha * v
	}
}
