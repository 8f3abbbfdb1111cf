//go:build cuda && cgo && linux

package cuda

// cayley enqueues Cayley maps (I + N)(I - N)^-1 of count skew-symmetric matrices: as internal/dense makes them, in batches.
type cayley struct {
	l        *launcher
	count    int
	bytes    int // of an element
	multiply func(alpha float64, x, y view, inner int, beta float64, z view, rows, cols int)
	number   func(v float64) // adds a number to the arguments of a launch
	square   func() view     // temporary memory for the matrices
}

// block views a part of the matrices.
func (m *cayley) block(v view, i, j int) view {
	v.at += uintptr((i*v.stride + j) * m.bytes)
	return v
}

// shifted sets y = alpha x + beta I.
func (m *cayley) shifted(x view, alpha, beta float64, y view, n int) {
	m.l.matrix(x)
	m.number(alpha)
	m.number(beta)
	m.l.matrix(y).int(m.count).int(n).each("shifted", m.count*n*n)
}

// exact sets q = 2 (I - N)^-1 - I by recursive inversion of blocks, which needs no pivoting: see dense.CayleyInverse.
func (m *cayley) exact(in, q view, n int) {
	w := m.square()
	if w.at == 0 {
		return
	}
	m.shifted(in, -1, 1, q, n)
	m.invert(q, w, n)
	m.shifted(q, 2, -1, q, n)
}

// invert inverts n x n blocks in place. w has room for as many elements.
func (m *cayley) invert(a, w view, n int) {
	if n <= tileSize {
		m.l.matrix(a).int(n).launch("invert", m.count, 1, 1, tileSize, tileRows)
		return
	}
	h := (n + tileSize - 1) / tileSize / 2 * tileSize
	k := n - h
	a12, a21, a22 := m.block(a, 0, h), m.block(a, h, 0), m.block(a, h, h)
	// l is k x h and r is h x k: they fit side by side into the off-diagonal blocks of w, and the recursion into the diagonal ones.
	l, r := m.block(w, h, 0), m.block(w, 0, h)
	m.invert(a, w, h)
	m.multiply(1, a21, a, h, 0, l, k, h)
	m.multiply(1, a, a12, h, 0, r, h, k)
	m.multiply(-1, a21, r, h, 1, a22, k, k)
	m.invert(a22, m.block(w, h, h), k)
	m.multiply(-1, r, a22, k, 0, a12, h, k)
	m.multiply(-1, a22, l, k, 0, a21, k, h)
	m.multiply(-1, r, a21, k, 1, a, h, h)
}

// truncated sets q = (I+N)^2 (I+N^2) ... (I+N^(2^(terms-1))): see dense.CayleyTruncated. Without half products the fewest are those of F + M F with
// M = 2 N + N^2 and F the product of the other factors.
func (m *cayley) truncated(in view, terms int, q view, n int) {
	power, f, free, first := m.square(), m.square(), m.square(), m.square()
	if first.at == 0 {
		return
	}
	square := func(x, y view) { m.multiply(1, x, x, n, 0, y, n, n) }
	square(in, power)
	if terms == 1 {
		m.combine(1, 2, in, 1, power, q, n)
		return
	}
	m.combine(0, 2, in, 1, power, first, n)
	m.shifted(power, 1, 1, f, n)
	for range terms - 2 {
		square(power, free)
		power, free = free, power
		m.shifted(f, 1, 0, free, n)
		m.multiply(1, f, power, n, 1, free, n, n)
		f, free = free, f
	}
	m.shifted(f, 1, 0, q, n)
	m.multiply(1, first, f, n, 1, q, n, n)
}

// combine sets y = c0 I + c1 a + c2 b.
func (m *cayley) combine(c0, c1 float64, a view, c2 float64, b, y view, n int) {
	m.number(c0)
	m.number(c1)
	m.l.matrix(a)
	m.number(c2)
	m.l.matrix(b).matrix(y).int(m.count).int(n).each("combine", m.count*n*n)
}
