package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// avx2 works on tiles of 4 rows and 3 vectors: 12 sums, 3 registers for B and 1 for A. Panels whose last vector is full have code of their own,
// since masked stores are slow on some processors; in the others the mask is read from memory whenever it is needed.
type avx2 struct{ double bool }

func (s avx2) name() string {
	if s.double {
		return "panelF64AVX2"
	}
	return "panelF32AVX2"
}

func (avx2) height() int    { return 4 }
func (avx2) masked() []bool { return []bool{false, true} }
func (avx2) prepare()       { MOVQ(field(offMask), maskPtr) }

func ymm(i int) reg.Register {
	return [16]reg.Register{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}[i]
}

func (s avx2) tile(rows, vectors int, masked bool, loop string) {
	startTile(rows)
	sum := func(i, v int) reg.Register { return ymm(i*vectors + v) }
	for i := range rows * vectors {
		VXORPD(ymm(i), ymm(i), ymm(i))
	}
	Label(loop)
	for v := range vectors {
		s.load(Mem{Base: bPtr, Disp: 32 * v}, ymm(12+v), masked && v == vectors-1)
	}
	for i := range rows {
		s.broadcast(rowAddr(aPtr, i, 0), ymm(15))
		for v := range vectors {
			s.fma(ymm(15), ymm(12+v), sum(i, v))
		}
	}
	nextK(loop)

	loadRowMultiples(field(offCRow), rows)
	s.broadcast(field(offAlpha), ymm(12))
	if masked {
		VMOVUPD(Mem{Base: maskPtr}, ymm(15))
	}
	CMPQ(field(offAccumulate), U8(0))
	JEQ(LabelRef(loop + "_store"))
	s.broadcast(field(offBeta), ymm(13))
	for i := range rows {
		for v := range vectors {
			c, last := rowAddr(cPtr, i, 32*v), masked && v == vectors-1
			if last {
				s.maskedLoad(c, ymm(15), ymm(14))
				s.mul(ymm(13), ymm(14))
			} else {
				s.scale(c, ymm(13), ymm(14))
			}
			s.fma(sum(i, v), ymm(12), ymm(14))
			s.store(ymm(14), c, last)
		}
	}
	JMP(LabelRef(loop + "_next"))
	Label(loop + "_store")
	for i := range rows {
		for v := range vectors {
			s.mul(ymm(12), sum(i, v))
			s.store(sum(i, v), rowAddr(cPtr, i, 32*v), masked && v == vectors-1)
		}
	}
	Label(loop + "_next")
	if rows == s.height() {
		LEAQ(Mem{Base: cPtr, Index: row1, Scale: 4}, cPtr)
	}
}

func (s avx2) load(m Mem, x reg.Register, masked bool) {
	switch {
	case masked:
		VMOVUPD(Mem{Base: maskPtr}, x)
		s.maskedLoad(m, x, x)
	case s.double:
		VMOVUPD(m, x)
	default:
		VMOVUPS(m, x)
	}
}

func (s avx2) maskedLoad(m Mem, mask, x reg.Register) {
	if s.double {
		VMASKMOVPD(m, mask, x)
	} else {
		VMASKMOVPS(m, mask, x)
	}
}

// store expects the mask in register 15.
func (s avx2) store(x reg.Register, m Mem, masked bool) {
	switch {
	case masked && s.double:
		VMASKMOVPD(x, ymm(15), m)
	case masked:
		VMASKMOVPS(x, ymm(15), m)
	case s.double:
		VMOVUPD(x, m)
	default:
		VMOVUPS(x, m)
	}
}

func (s avx2) broadcast(m Mem, x reg.Register) {
	if s.double {
		VBROADCASTSD(m, x)
	} else {
		VBROADCASTSS(m, x)
	}
}

func (s avx2) fma(a, b, sum reg.Register) {
	if s.double {
		VFMADD231PD(a, b, sum)
	} else {
		VFMADD231PS(a, b, sum)
	}
}

func (s avx2) scale(m Mem, beta, x reg.Register) {
	if s.double {
		VMULPD(m, beta, x)
	} else {
		VMULPS(m, beta, x)
	}
}

func (s avx2) mul(a, x reg.Register) {
	if s.double {
		VMULPD(a, x, x)
	} else {
		VMULPS(a, x, x)
	}
}
