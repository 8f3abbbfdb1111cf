package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quads works on tiles of 8 rows and 3 vectors whose elements of A are four unsigned bytes, those of B four signed ones, and the sums int32, one of each column at the start.
type quads struct{ avx512 }

func (quads) name() string { return "panelQuadsAVX512" }

// rowScales are those of the present tile.
var rowScales = reg.R15

func (s quads) prepare() {
	s.avx512.prepare()
	MOVQ(field(offRowScales), rowScales)
}

func (s quads) tile(rows, vectors int, _ bool, loop string) {
	vec, bytes := zmm, 64
	if vectors == halfVector {
		vec, bytes, vectors = ymm, 32, 1
	}
	startTile(rows, vectors, bytes, loop)
	sum := func(i, v int) reg.Register { return vec(i*vectors + v) }
	start := reg.R14
	MOVQ(field(offStart), start)
	for v := range vectors {
		s.load(Mem{Base: start, Disp: bytes * v}, sum(0, v), v == vectors-1)
	}
	for i := 1; i < rows; i++ {
		for v := range vectors {
			VMOVDQA32(sum(0, v), sum(i, v))
		}
	}
	Label(loop)
	for v := range vectors {
		s.load(Mem{Base: bPtr, Disp: bytes * v}, vec(24+v), v == vectors-1)
	}
	for i := range rows {
		x := vec(27 + i%4)
		s.broadcast(rowAddr(aPtr, i, 0), x)
		for v := range vectors {
			VPDPBUSD(vec(24+v), x, sum(i, v))
		}
	}
	nextK(loop)

	loadRowMultiples(field(offCRow), rows)
	colScales := start
	scaleSums := func() {
		MOVQ(field(offColScales), colScales)
		for v := range vectors {
			s.load(Mem{Base: colScales, Disp: bytes * v}, vec(24+v), v == vectors-1)
		}
		for i := range rows {
			s.broadcast(Mem{Base: rowScales, Disp: 4 * i}, vec(27))
			for v := range vectors {
				VCVTDQ2PS(sum(i, v), sum(i, v))
				VMULPS(vec(27), sum(i, v), sum(i, v))
				VMULPS(vec(24+v), sum(i, v), sum(i, v))
			}
		}
	}
	finish(loop, scaleSums, func(how int) {
		if how == addScaled {
			scaleSums()
		}
		for i := range rows {
			for v := range vectors {
				c, last := rowAddr(cPtr, i, bytes*v), v == vectors-1
				switch how {
				case addScaled:
					s.add(c, sum(i, v), sum(i, v), last)
				case add:
					addInts(c, sum(i, v), last)
				}
				s.store(sum(i, v), c, last)
			}
		}
	})
	if rows == s.height() {
		LEAQ(Mem{Base: cPtr, Index: row1, Scale: 8}, cPtr)
		ADDQ(U8(4*rows), rowScales)
	}
}

// addInts adds the int32 numbers at m to x.
func addInts(m Mem, x reg.Register, last bool) {
	if last {
		VPADDD_Z(m, x, reg.K1, x)
	} else {
		VPADDD(m, x, x)
	}
}
