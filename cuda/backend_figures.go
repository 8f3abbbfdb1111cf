//go:build cuda && cgo && linux

package cuda

import (
	"unsafe"

	"github.com/spdopt/spdopt/internal/engine"
)

// Tally implements engine.Figures.
func (b *backend[T]) Tally(x []T, out []float64) {
	engine.MustHave("Tally", 3, len(out))
	b.c.begin()
	defer b.c.end()
	c, n := &b.c, pieces(len(x))
	i, j := add(c, x, false), add(c, out, true)
	c.commit()
	switch n {
	case 0:
		c.l.clear(c.at(j), 8*len(out))
	case 1:
		c.l.ptr(c.at(i)).int(len(x)).int(piece).ptr(c.at(j)).rows("tally", 1)
	default:
		parts := c.temp(8 * len(out) * n)
		c.l.ptr(c.at(i)).int(len(x)).int(piece).ptr(parts).rows("tally", n)
		c.l.ptr(parts).int(n).ptr(c.at(j)).rows("tally_all", 1)
	}
}

// Reckon implements engine.Figures.
func (b *backend[T]) Reckon(program []engine.Instruction, registers []float64) {
	engine.MustReckon(program, registers)
	if len(program) == 0 {
		return
	}
	b.c.begin()
	defer b.c.end()
	i := add(&b.c, registers, true)
	b.c.commit()
	b.c.l.ptr(put(&b.c, program)).int(len(program)).ptr(b.c.at(i)).launch("reckon", 1, 1, 1, 1, 1)
}

// BlendBy implements engine.Figures.
func (b *backend[T]) BlendBy(p []float64, x []T, q []float64, z, y []T) {
	engine.MustHave("BlendBy", len(y), len(x))
	if z != nil {
		engine.MustHave("BlendBy", len(y), len(z))
	}
	b.c.begin()
	defer b.c.end()
	c := &b.c
	f, g := add(c, one(p), false), add(c, one(q), false)
	i, j, k := add(c, x, false), add(c, z, false), add(c, y, true)
	c.commit()
	c.l.ptr(c.at(f)).ptr(c.at(g)).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).int(len(y)).each("blend_by", len(y))
}

// one cuts a register to the number that it is.
func one(register []float64) []float64 { return register[:min(1, len(register))] }

var _ = [1]byte{}[16-unsafe.Sizeof(engine.Instruction{})] // the layout that the kernel knows
