//go:build cuda && cgo && linux

package cuda

import (
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Jacobi implements engine.Decompositions.
func (b *backend[T]) Jacobi(a engine.Batch[T], size, sweeps int, noise T, v engine.Batch[T]) {
	engine.MustJacobi(&a, size, sweeps, &v)
	b.c.begin()
	defer b.c.end()
	i, j := b.read(a), b.write(v)
	b.c.commit()
	b.c.l.matrix(b.view(i, a)).int(a.Rows).int(size).int(sweeps)
	b.number(noise).matrix(b.view(j, v)).rows("jacobi", v.Count)
}

// Orthonormalise implements engine.Decompositions.
func (b *backend[T]) Orthonormalise(first, rows int, w, spare engine.Batch[T], squares []T) {
	engine.MustOrthonormalise(first, rows, &w, &spare, squares)
	b.c.begin()
	defer b.c.end()
	i, j, k := b.write(w), b.read(spare), add(&b.c, squares, false)
	b.c.commit()
	b.c.l.int(first).int(rows).matrix(b.view(i, w)).matrix(b.view(j, spare)).ptr(b.c.at(k)).int(w.Rows).int(w.Cols).rows("orthonormalise", w.Count)
}

// Invert implements engine.Decompositions: the recursion of the Cayley map.
func (b *backend[T]) Invert(a engine.Batch[T]) {
	engine.MustHave("Invert", a.Rows, a.Cols)
	b.c.begin()
	defer b.c.end()
	i := b.write(a)
	b.c.commit()
	m := &cayley{l: b.c.l, count: a.Count, bytes: int(unsafe.Sizeof(T(0)))}
	m.multiply = func(alpha float64, x, y view, inner int, beta float64, z view, rows, cols int) {
		b.product(dense.NoTrans, dense.NoTrans, alpha, x, y, inner, beta, z, a.Count, rows, cols)
	}
	if w := b.square(a.Count, a.Rows); b.c.ready() {
		m.invert(b.view(i, a), w, a.Rows)
	}
}

// FromSingle implements engine.Decompositions.
func (b *backend[T]) FromSingle(x []float32, y []T) {
	engine.MustHave("FromSingle", len(x), len(y))
	b.c.begin()
	defer b.c.end()
	i, j := add(&b.c, x, false), add(&b.c, y, true)
	b.c.commit()
	b.c.l.ptr(b.c.at(i)).ptr(b.c.at(j)).int(len(x)).each("from_single", len(x))
}

// ToSingle implements engine.Decompositions.
func (b *backend[T]) ToSingle(x []T, y []float32) {
	engine.MustHave("ToSingle", len(x), len(y))
	b.c.begin()
	defer b.c.end()
	i, j := add(&b.c, x, false), add(&b.c, y, true)
	b.c.commit()
	b.c.l.ptr(b.c.at(i)).ptr(b.c.at(j)).int(len(x)).each("to_single", len(x))
}
