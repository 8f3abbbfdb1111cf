package eigen

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// maxSweeps bounds the QL sweeps per eigenvalue; two are usual.
const maxSweeps = 40

// tridiagonal is a symmetric tridiagonal matrix: diagonal d and off-diagonal e, len(e) = len(d) - 1 (a longer e is allowed).
type tridiagonal struct{ d, e []float64 }

// block returns the end of the first unreduced block that starts at l, clearing the negligible coupling that ends it.
func (t tridiagonal) block(l int) int {
	n := len(t.d)
	for m := l; m < n-1; m++ {
		if math.Abs(t.e[m]) <= unit*math.Sqrt(math.Abs(t.d[m]))*math.Sqrt(math.Abs(t.d[m+1])) {
			t.e[m] = 0
			return m + 1
		}
	}
	return n
}

// reverse turns rows lo..hi-1 upside down.
func (t tridiagonal) reverse(lo, hi int) {
	flip(t.d[lo:hi])
	flip(t.e[lo : hi-1])
}

func flip(x []float64) {
	for i, j := 0, len(x)-1; i < j; i, j = i+1, j-1 {
		x[i], x[j] = x[j], x[i]
	}
}

// shift returns the eigenvalue of the leading 2x2 block [d0 e; e d1] that is closer to d0.
func shift(d0, d1, e float64) float64 {
	g := (d1 - d0) / (2 * e)
	r := math.Sqrt(g*g + 1)
	return d0 - e/(g+math.Copysign(r, g))
}

// eigenQL overwrites t.d with the eigenvalues, in no order, and vt with the eigenvectors as its rows. t.e is destroyed; cs is scratch of 2 n
// elements. It is the implicit QL iteration (Bowdler, Martin, Reinsch and Wilkinson 1968), on each block from the end that makes
// graded matrices converge well.
func (t tridiagonal) eigenQL(vt dense.Matrix[float64], cs []float64) bool {
	q := newIteration(t, vt, cs)
	for q.next() {
		q.sweep()
		q.rotate()
	}
	return !q.failed
}

// eigenQLPair is eigenQL for two matrices at once: each rotation of a sweep waits for the one before it, while those of the other matrix do not.
func eigenQLPair(t, u tridiagonal, vt, vu dense.Matrix[float64], cs []float64) bool {
	p, q := newIteration(t, vt, cs[:2*len(t.d)]), newIteration(u, vu, cs[2*len(t.d):])
	for {
		one, two := p.next(), q.next()
		if !one && !two {
			return !p.failed && !q.failed
		}
		if one && two {
			sweepPair(&p, &q)
		}
		if one {
			p.sweep()
			p.rotate()
		}
		if two {
			q.sweep()
			q.rotate()
		}
	}
}

// iteration is the QL iteration on the way through a matrix.
type iteration struct {
	tridiagonal
	vt     dense.Matrix[float64]
	cs     []float64
	l, m   int // first and last row of the sweep
	hi     int // end of the unreduced block
	budget int // sweeps left for the block
	failed bool

	i          int // row of the next rotation
	g, s, c, p float64
}

func newIteration(t tridiagonal, vt dense.Matrix[float64], cs []float64) iteration {
	vt.Identity()
	return iteration{tridiagonal: t, vt: vt, cs: cs}
}

// next prepares the next sweep. It returns false if there is none to come, and if there were too many.
func (q *iteration) next() bool {
	d, e := q.d, q.e
	for !q.failed {
		if q.l == q.hi {
			if q.hi == len(d) {
				return false
			}
			q.enter()
		}
		m, hi := q.l, q.hi
		for m < hi-1 && e[m]*e[m] > (unit*unit*math.Abs(d[m]))*math.Abs(d[m+1])+math.SmallestNonzeroFloat64 {
			m++
		}
		if m < hi-1 {
			e[m] = 0
		}
		if m > q.l {
			q.failed = q.budget == 0
			q.m = m
			q.i, q.g = m-1, d[m]-shift(d[q.l], d[q.l+1], e[q.l])
			q.s, q.c, q.p = 1, 1, 0
			break
		}
		q.l++
		q.budget--
	}
	return !q.failed
}

// enter goes to the next unreduced block.
func (q *iteration) enter() {
	lo := q.l
	q.hi = q.block(lo)
	q.budget = maxSweeps * (q.hi - lo)
	if math.Abs(q.d[q.hi-1]) < math.Abs(q.d[lo]) {
		q.reverse(lo, q.hi)
		for i := lo; i < q.hi; i++ {
			flip(q.vt.Row(i)[lo:q.hi])
		}
	}
}

// rotate applies the rotations of the sweep to the vectors.
func (q *iteration) rotate() {
	n := len(q.d)
	dense.RotateRows(q.vt.View(q.l, 0, q.m-q.l+1, q.vt.Cols), q.cs[:q.m-q.l], q.cs[n:n+q.m-q.l])
	q.budget--
}

// tinyPlane returns the rotation that takes (g, f), whose squares underflow, to (r, 0).
func tinyPlane(g, f float64) (c, s, r float64) {
	if r = math.Hypot(f, g); r == 0 {
		return 1, 0, 0
	}
	return g / r, f / r, r
}

// sweep does the rotations of an implicit QL step that are left and leaves them in cs, the one of rows l+i and l+i+1 in element i of each half.
func (q *iteration) sweep() {
	d, e, l, m := q.d, q.e, q.l, q.m
	cc, ss := q.cs[:len(d)], q.cs[len(d):]
	g, s, c, p := q.g, q.s, q.c, q.p
	i := q.i
	for ; i >= l; i-- {
		f, b := s*e[i], c*e[i]
		r := math.Sqrt(f*f + g*g)
		c, s = g/r, f/r
		if r < 1e-140 {
			c, s, r = tinyPlane(g, f)
		}
		if i != m-1 {
			e[i+1] = r
		}
		g = d[i+1] - p
		r = (d[i]-g)*s + 2*c*b
		p = s * r
		d[i+1] = g + p
		g = c*r - b
		cc[i-l], ss[i-l] = c, s
	}
	d[l] -= p
	e[l] = g
}

// sweepPair does rotations of two sweeps side by side as long as both have some left.
func sweepPair(x, y *iteration) {
	d0, e0, d1, e1 := x.d, x.e, y.d, y.e
	cc0, ss0, cc1, ss1 := x.cs[:len(d0)], x.cs[len(d0):], y.cs[:len(d1)], y.cs[len(d1):]
	i0, g0, s0, c0, p0 := x.i, x.g, x.s, x.c, x.p
	i1, g1, s1, c1, p1 := y.i, y.g, y.s, y.c, y.p
	for i0 >= x.l && i1 >= y.l {
		f0, b0 := s0*e0[i0], c0*e0[i0]
		r0 := math.Sqrt(f0*f0 + g0*g0)
		c0, s0 = g0/r0, f0/r0
		if r0 < 1e-140 {
			c0, s0, r0 = tinyPlane(g0, f0)
		}
		if i0 != x.m-1 {
			e0[i0+1] = r0
		}
		g0 = d0[i0+1] - p0
		r0 = (d0[i0]-g0)*s0 + 2*c0*b0
		p0 = s0 * r0
		d0[i0+1] = g0 + p0
		g0 = c0*r0 - b0
		cc0[i0-x.l], ss0[i0-x.l] = c0, s0
		i0--

		f1, b1 := s1*e1[i1], c1*e1[i1]
		r1 := math.Sqrt(f1*f1 + g1*g1)
		c1, s1 = g1/r1, f1/r1
		if r1 < 1e-140 {
			c1, s1, r1 = tinyPlane(g1, f1)
		}
		if i1 != y.m-1 {
			e1[i1+1] = r1
		}
		g1 = d1[i1+1] - p1
		r1 = (d1[i1]-g1)*s1 + 2*c1*b1
		p1 = s1 * r1
		d1[i1+1] = g1 + p1
		g1 = c1*r1 - b1
		cc1[i1-y.l], ss1[i1-y.l] = c1, s1
		i1--
	}
	x.i, x.g, x.s, x.c, x.p = i0, g0, s0, c0, p0
	y.i, y.g, y.s, y.c, y.p = i1, g1, s1, c1, p1
}

// values overwrites t.d with the eigenvalues, in no order, by the square-root free QL iteration of Pal, Walker and Kahan (Parlett, The
// Symmetric Eigenvalue Problem, section 8.15). t.e is destroyed. O(n^2).
func (t tridiagonal) values() bool {
	n := len(t.d)
	for lo := 0; lo < n; {
		hi := t.block(lo)
		if math.Abs(t.d[hi-1]) < math.Abs(t.d[lo]) {
			t.reverse(lo, hi)
		}
		for i := lo; i < hi-1; i++ {
			t.e[i] *= t.e[i]
		}
		if !t.blockValues(lo, hi) {
			return false
		}
		lo = hi
	}
	return true
}

// blockValues works on the squares of the off-diagonal.
func (t tridiagonal) blockValues(l, hi int) bool {
	d, e := t.d, t.e
	for budget := maxSweeps * (hi - l); l < hi; budget-- {
		m := l
		for m < hi-1 && e[m] > unit*unit*math.Abs(d[m]*d[m+1])+math.SmallestNonzeroFloat64 {
			m++
		}
		if m < hi-1 {
			e[m] = 0
		}
		if m == l {
			l++
			continue
		}
		if budget == 0 {
			return false
		}
		t.sweepValues(l, m)
	}
	return true
}

func (t tridiagonal) sweepValues(l, m int) {
	d, e := t.d, t.e
	sigma := shift(d[l], d[l+1], math.Sqrt(e[l]))
	c, s := 1.0, 0.0
	gamma := d[m] - sigma
	p := gamma * gamma
	for i := m - 1; i >= l; i-- {
		bb := e[i]
		r := p + bb
		if i != m-1 {
			e[i+1] = s * r
		}
		oldc, oldgamma, alpha := c, gamma, d[i]
		secant := r / p // 1/c, so that the divisions do not wait for each other
		c, s = p/r, bb/r
		gamma = c*(alpha-sigma) - s*oldgamma
		d[i+1] = oldgamma + (alpha - gamma)
		switch {
		case c > 1e-290:
			p = gamma * gamma * secant
		case c > 0:
			p = gamma * gamma / c
		default:
			p = oldc * bb
		}
	}
	e[l] = s * p
	d[l] = sigma + gamma
}
