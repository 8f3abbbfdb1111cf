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
	n := len(t.d)
	vt.Identity()
	for lo := 0; lo < n; {
		hi := t.block(lo)
		if math.Abs(t.d[hi-1]) < math.Abs(t.d[lo]) {
			t.reverse(lo, hi)
			for i := lo; i < hi; i++ {
				flip(vt.Row(i)[lo:hi])
			}
		}
		if !t.blockQL(lo, hi, vt, cs) {
			return false
		}
		lo = hi
	}
	return true
}

func (t tridiagonal) blockQL(l, hi int, vt dense.Matrix[float64], cs []float64) bool {
	d, e := t.d, t.e
	for budget := maxSweeps * (hi - l); l < hi; budget-- {
		m := l
		for m < hi-1 && e[m]*e[m] > (unit*unit*math.Abs(d[m]))*math.Abs(d[m+1])+math.SmallestNonzeroFloat64 {
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
		c, s := cs[:m-l], cs[len(d):len(d)+m-l]
		t.sweep(l, m, c, s)
		dense.RotateRows(vt.View(l, 0, m-l+1, vt.Cols), c, s)
	}
	return true
}

// sweep does one implicit QL step on rows l..m and leaves its rotations in c and s, the one of rows l+i and l+i+1 in element i.
func (t tridiagonal) sweep(l, m int, cc, ss []float64) {
	d, e := t.d, t.e
	g := d[m] - shift(d[l], d[l+1], e[l])
	s, c, p := 1.0, 1.0, 0.0
	for i := m - 1; i >= l; i-- {
		f, b := s*e[i], c*e[i]
		r := math.Sqrt(f*f + g*g)
		if r < 1e-140 {
			r = math.Hypot(f, g)
		}
		if r == 0 {
			c, s = 1, 0
		} else {
			c, s = g/r, f/r
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
