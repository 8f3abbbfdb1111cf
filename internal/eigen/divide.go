package eigen

import "github.com/spdopt/spdopt/internal/dense"

// conquest is the workspace of the divide and conquer method for tridiagonal matrices (Cuppen 1981; Gu and Eisenstat 1995). Eigenvectors are
// held as rows, so that to sort, to deflate and to rotate them moves whole rows.
type conquest struct {
	sec    Secular
	z      []float64
	group  []int // by local row: top, both or bottom
	column []int // of pole i in the rotated eigenvector matrix
	rows   []float64
	cs     []float64
	halves *halves // of a matrix of tornSize rows or more
}

// halves are the two problems that a tridiagonal matrix is torn into, each with a workspace of its own.
type halves struct {
	own    [2]conquest
	t      [2]tridiagonal
	vt     [2]dense.Matrix[float64]
	ok     [2]bool
	shared dense.Parallel
}

// RunPart solves half i.
func (h *halves) RunPart(i int) { h.ok[i] = h.own[i].solve(h.t[i], h.vt[i]) }

const (
	tornSize = 128 // rows of a matrix whose halves may be solved at the same time
	tornWork = 200 // multiplications that it takes to solve them, for each element of the matrix, where that is small
)

// Where a row of a merged block may be nonzero.
const (
	top = iota
	both
	bottom
)

func (c *conquest) grow(n int) {
	c.rows, c.sec.ut = grow(c.rows, n*n), grow(c.sec.ut, n*n)
	c.z, c.group, c.column = grow(c.z, n), grow(c.group, n), grow(c.column, n)
	c.cs = grow(c.cs, 4*pairSize)
	if n < tornSize {
		return
	}
	if c.halves == nil {
		c.halves = new(halves)
		c.halves.shared.Task = c.halves
	}
	n1 := n / 2
	edge, end := n1*n1, n1*n1+(n-n1)*(n-n1)
	for i := range 2 {
		half := &c.halves.own[i]
		half.rows, half.sec.ut = c.rows[:edge:edge], c.sec.ut[:edge:edge] // the whole uses them when the halves are done
		if i == 1 {
			half.rows, half.sec.ut = c.rows[edge:end:end], c.sec.ut[edge:end:end]
		}
		half.grow(n1 + i*(n-2*n1))
	}
}

// solve overwrites t.d with the eigenvalues, in no order, and vt with the eigenvectors as its rows. t.e is destroyed.
func (c *conquest) solve(t tridiagonal, vt dense.Matrix[float64]) bool {
	n := len(t.d)
	if n <= smallSize {
		return t.eigenQL(vt, c.cs)
	}
	n1 := n / 2
	rho := t.e[n1-1]
	abs := max(rho, -rho)
	t.d[n1-1] -= abs
	t.d[n1] -= abs
	return c.solveHalves(t, vt, n1) && c.merge(t.d, vt, n1, rho)
}

// solveHalves solves the first n1 rows and the others.
func (c *conquest) solveHalves(t tridiagonal, vt dense.Matrix[float64], n1 int) bool {
	n := len(t.d)
	first, second := tridiagonal{t.d[:n1], t.e[:n1-1]}, tridiagonal{t.d[n1:], t.e[n1:]}
	vt1, vt2 := vt.View(0, 0, n1, n1), vt.View(n1, n1, n-n1, n-n1)
	if n <= 2*pairSize {
		return eigenQLPair(first, second, vt1, vt2, c.cs)
	}
	if n < tornSize {
		return c.solve(first, vt1) && c.solve(second, vt2)
	}
	h := c.halves
	h.t, h.vt = [2]tridiagonal{first, second}, [2]dense.Matrix[float64]{vt1, vt2}
	h.shared.RunFor(2, tornWork*n*n)
	return h.ok[0] && h.ok[1]
}

// merge joins the decompositions of two halves that a coupling rho ties: the rows of vt[:n1, :n1] and vt[n1:, n1:] become the eigenvectors of
// the whole, its off-diagonal blocks, which are not read, included.
func (c *conquest) merge(d []float64, vt dense.Matrix[float64], n1 int, rho float64) bool {
	n, s := len(d), &c.sec
	z := c.z[:n]
	for i := range n1 {
		z[i] = vt.At(i, n1-1)
	}
	for i := n1; i < n; i++ {
		z[i] = vt.At(i, n1)
		if rho < 0 {
			z[i] = -z[i]
		}
	}
	if !s.prepare(d, z, max(rho, -rho)) {
		return false
	}
	c.rotateRows(vt, n1)
	counts := c.groupColumns()
	c.gatherRows(vt, n1)
	s.solve(c.column[:s.k])
	c.multiply(vt, n1, counts)
	back := 1 / s.scale
	for j, l := range s.lam[:s.k] {
		d[j] = l * back
	}
	for j, i := range s.drop {
		d[s.k+j] = s.dall[i] * back
	}
	return true
}

// rotateRows applies the deflating rotations and notes which rows they spread over both halves.
func (c *conquest) rotateRows(vt dense.Matrix[float64], n1 int) {
	n := vt.Rows
	for i := range n {
		c.group[i] = top
		if i >= n1 {
			c.group[i] = bottom
		}
	}
	for _, r := range c.sec.rot {
		x, y := vt.Row(r.a), vt.Row(r.b)
		ga, gb := c.group[r.a], c.group[r.b]
		if ga != gb {
			c.widen(x, ga, n1)
			c.widen(y, gb, n1)
			c.group[r.a], c.group[r.b] = both, both
		}
		lo, hi := extent(c.group[r.a], n1, n)
		for l := lo; l < hi; l++ {
			x[l], y[l] = r.c*x[l]+r.s*y[l], r.c*y[l]-r.s*x[l]
		}
	}
}

// widen clears the half of a row that its group leaves undefined.
func (c *conquest) widen(row []float64, group, n1 int) {
	switch group {
	case top:
		clear(row[n1:])
	case bottom:
		clear(row[:n1])
	}
}

func extent(group, n1, n int) (lo, hi int) {
	switch group {
	case top:
		return 0, n1
	case bottom:
		return n1, n
	}
	return 0, n
}

// groupColumns orders the kept poles by group, so that the product with the eigenvectors of the secular problem splits into two dense ones.
func (c *conquest) groupColumns() (counts [3]int) {
	for _, i := range c.sec.keep {
		counts[c.group[i]]++
	}
	next := [3]int{0, counts[top], counts[top] + counts[both]}
	for p, i := range c.sec.keep {
		g := c.group[i]
		c.column[p] = next[g]
		next[g]++
	}
	return counts
}

// gatherRows copies the kept rows in grouped order, then the dropped ones, to c.rows.
func (c *conquest) gatherRows(vt dense.Matrix[float64], n1 int) {
	n := vt.Rows
	for p, i := range c.sec.keep {
		lo, hi := extent(c.group[i], n1, n)
		copy(c.rows[c.column[p]*n+lo:c.column[p]*n+hi], vt.Row(i)[lo:hi])
	}
	for p, i := range c.sec.drop {
		lo, hi := extent(c.group[i], n1, n)
		row := c.rows[(c.sec.k+p)*n:][:n]
		c.widen(row, c.group[i], n1)
		copy(row[lo:hi], vt.Row(i)[lo:hi])
	}
}

func (c *conquest) multiply(vt dense.Matrix[float64], n1 int, counts [3]int) {
	n, k := vt.Rows, c.sec.k
	rows := dense.Wrap(n, n, c.rows)
	if k > 0 {
		ut := dense.Wrap(k, k, c.sec.ut)
		upper, lower := counts[top]+counts[both], counts[both]+counts[bottom]
		product(ut.View(0, 0, k, upper), rows.View(0, 0, upper, n1), vt.View(0, 0, k, n1))
		product(ut.View(0, k-lower, k, lower), rows.View(k-lower, n1, lower, n-n1), vt.View(0, n1, k, n-n1))
	}
	for i := k; i < n; i++ {
		copy(vt.Row(i), rows.Row(i))
	}
}

func product(a, b, dst dense.Matrix[float64]) {
	if a.Cols == 0 {
		dst.Zero()
		return
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, b, 0, dst)
}
