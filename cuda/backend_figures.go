//go:build cuda && cgo && linux

package cuda

import (
	"unsafe"

	"github.com/spdopt/spdopt/internal/engine"
)

// Tally implements engine.Figures.
func (b *backend[T]) Tally(x []T, count int, out []float64) {
	engine.MustHave("Tally", 3*count, len(out))
	size := engine.MustPart("Tally", len(x), count)
	b.c.begin()
	defer b.c.end()
	c, n := &b.c, pieces(size)
	i, j := add(c, x, false), add(c, out, true)
	c.commit()
	tally := func(to uintptr) {
		c.l.ptr(c.at(i)).int(size).int(piece).ptr(to).int(count).launch("tally", n, min(count, mostGrid), 1, rowThreads, 1)
	}
	switch n {
	case 0:
		c.l.clear(c.at(j), 8*len(out))
	case 1:
		tally(c.at(j))
	default:
		parts := c.temp(8 * len(out) * n)
		tally(parts)
		c.l.ptr(parts).int(n).ptr(c.at(j)).rows("tally_all", count)
	}
}

// Reckon implements engine.Figures.
func (b *backend[T]) Reckon(program []engine.Instruction, count int, registers []float64) {
	engine.MustReckon(program, count, registers)
	if len(program) == 0 {
		return
	}
	b.c.begin()
	defer b.c.end()
	i := add(&b.c, registers, true)
	b.c.commit()
	b.c.l.ptr(put(&b.c, program)).int(len(program)).ptr(b.c.at(i)).int(count).each("reckon", count)
}

// BlendBy implements engine.Figures.
func (b *backend[T]) BlendBy(p []float64, x engine.Batch[T], q []float64, z, y engine.Batch[T]) {
	engine.MustBlendBy(p, x, q, z, y)
	b.c.begin()
	defer b.c.end()
	c, m := &b.c, -1
	f, g, i := add(c, p, false), add(c, q, false), b.read(x)
	if z.Data != nil {
		m = b.read(z)
	}
	j := b.write(y)
	c.commit()
	c.l.ptr(c.at(f)).flag(len(p) > 1).ptr(c.at(g)).flag(len(q) > 1).ptr(c.at(i)).int(x.Step)
	if m < 0 {
		c.l.ptr(0).int(0)
	} else {
		c.l.ptr(c.at(m)).int(z.Step)
	}
	c.l.ptr(c.at(j)).int(y.Step).lines("blend_by", y.Cols, y.Count)
}

var _ = [1]byte{}[24-unsafe.Sizeof(engine.Instruction{})] // the layout that the kernel knows
