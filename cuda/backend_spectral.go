//go:build cuda && cgo && linux

package cuda

import (
	"math"
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// BoundedAngle implements engine.Spectral.
func (b *backend[T]) BoundedAngle(s, r, x []T, t, n engine.Batch[T]) {
	t.MustMatch("BoundedAngle", &n)
	engine.MustHave("BoundedAngle", n.Count*n.Rows, len(s), len(r), len(x))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	si, ri, xi, i, j := add(c, s, false), add(c, r, false), add(c, x, false), b.read(t), b.write(n)
	c.commit()
	c.l.ptr(c.at(si)).ptr(c.at(ri)).ptr(c.at(xi)).matrix(b.view(i, t)).either(b.view(j, n), false).int(n.Count).int(n.Rows).tiles("bounded_angle", n.Rows, n.Rows, n.Count)
}

// FirstOrderAngle implements engine.Spectral.
func (b *backend[T]) FirstOrderAngle(s, r []T, t, n engine.Batch[T]) {
	t.MustMatch("FirstOrderAngle", &n)
	engine.MustHave("FirstOrderAngle", n.Count*n.Rows, len(s), len(r))
	b.c.begin()
	defer b.c.end()
	i, j, k, l := add(&b.c, s, false), add(&b.c, r, false), b.read(t), b.write(n)
	b.c.commit()
	b.c.l.ptr(b.c.at(i)).ptr(b.c.at(j)).matrix(b.view(k, t)).matrix(b.view(l, n)).int(n.Count).int(n.Rows).each("first_order_angle", n.Count*n.Rows*n.Rows)
}

// NormBound implements engine.Spectral.
func (b *backend[T]) NormBound(n engine.Batch[T], bounds []float64) {
	engine.MustHave("NormBound", n.Count, len(bounds))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j := b.read(n), add(c, bounds, true)
	c.commit()
	rows := n.Count * n.Rows
	work := c.temp(16 * rows)
	if !c.ready() {
		return
	}
	norms := work + uintptr(8*rows)
	c.l.either(b.view(i, n), false).int(n.Rows).int(n.Cols).ptr(work).ptr(norms).rows("row_norms", rows)
	c.l.ptr(work).ptr(norms).int(n.Rows).ptr(c.at(j)).rows("norm_bound", n.Count)
}

// Cayley implements engine.Spectral.
func (b *backend[T]) Cayley(n engine.Batch[T], terms int, q engine.Batch[T]) {
	n.MustMatch("Cayley", &q)
	engine.MustHave("Cayley", n.Rows, n.Cols)
	b.c.begin()
	defer b.c.end()
	i, j := b.read(n), b.write(q)
	b.c.commit()
	m := &cayley{l: b.c.l, count: n.Count, bytes: int(unsafe.Sizeof(T(0)))}
	m.multiply = func(alpha float64, x, y view, inner int, beta float64, z view, rows, cols int) {
		b.product(dense.NoTrans, dense.NoTrans, alpha, x, y, inner, beta, z, n.Count, rows, cols)
	}
	m.number = func(v float64) { b.number(T(v)) }
	m.square = func() view { return b.square(n.Count, n.Rows) }
	in, out := b.view(i, n), b.view(j, q)
	if terms > 0 {
		m.truncated(in, terms, out, n.Rows)
	} else {
		m.exact(in, out, n.Rows)
	}
}

// RotatedDiagonal implements engine.Spectral.
func (b *backend[T]) RotatedDiagonal(q, m engine.Batch[T], d []T) {
	q.MustMatch("RotatedDiagonal", &m)
	engine.MustHave("RotatedDiagonal", q.Count*q.Cols, len(d))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := b.read(q), b.read(m), add(c, d, true)
	c.commit()
	whole, w := b.square(q.Count, q.Rows), b.square(q.Count, q.Rows)
	if !c.ready() {
		return
	}
	b.mirror(false, b.view(j, m), whole, q.Count, q.Rows)
	b.product(dense.NoTrans, dense.NoTrans, 1, whole, b.view(i, q), q.Rows, 0, w, q.Count, q.Rows, q.Rows)
	c.l.clear(c.at(k), len(d)*int(unsafe.Sizeof(T(0))))
	c.l.matrix(b.view(i, q)).matrix(w).int(q.Count).int(q.Rows).int(q.Cols).ptr(c.at(k)).each("col_sums", q.Count*q.Cols)
}

// Combine implements engine.Iteration.
func (b *backend[T]) Combine(c0, c1 T, x engine.Batch[T], c2 T, z, y engine.Batch[T]) {
	y.MustMatch("Combine", &x, &z)
	engine.MustHave("Combine", y.Rows, y.Cols)
	b.c.begin()
	defer b.c.end()
	i, j, k := b.read(x), b.read(z), b.write(y)
	b.c.commit()
	b.number(c0)
	b.number(c1).matrix(b.view(i, x))
	b.number(c2).matrix(b.view(j, z)).matrix(b.view(k, y)).int(y.Count).int(y.Rows).each("combine", y.Count*y.Rows*y.Rows)
}

// FromIdentity implements engine.Iteration.
func (b *backend[T]) FromIdentity(x engine.Batch[T], dst []float64) {
	engine.MustHave("FromIdentity", x.Rows, x.Cols)
	engine.MustHave("FromIdentity", x.Count, len(dst))
	sums := make([]float64, x.Count*x.Rows)
	b.c.begin()
	func() {
		defer b.c.end()
		i, j := b.read(x), add(&b.c, sums, true)
		b.c.commit()
		b.c.l.matrix(b.view(i, x)).int(x.Rows).ptr(b.c.at(j)).rows("from_identity", x.Count*x.Rows)
	}()
	for k := range dst {
		total := 0.0
		for _, v := range sums[k*x.Rows : (k+1)*x.Rows] {
			total += v
		}
		dst[k] = math.Sqrt(total)
	}
}
