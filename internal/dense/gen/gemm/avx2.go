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
func (avx2) half() bool     { return false }
func (avx2) masked() []bool { return []bool{false, true} }
func (avx2) prepare()       { MOVQ(field(offMask), maskPtr) }

func ymm(i int) reg.Register {
	return [32]reg.Register{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
		reg.Y16, reg.Y17, reg.Y18, reg.Y19, reg.Y20, reg.Y21, reg.Y22, reg.Y23, reg.Y24, reg.Y25, reg.Y26, reg.Y27, reg.Y28, reg.Y29, reg.Y30, reg.Y31,
	}[i]
}

func (s avx2) tile(rows, vectors int, masked bool, loop string) {
	startTile(rows, vectors, 32, loop)
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
	alpha, beta, x := ymm(12), ymm(13), ymm(14)
	scaleSums := func() {
		s.broadcast(field(offAlpha), alpha)
		for i := range rows * vectors {
			s.mul(alpha, ymm(i))
		}
	}
	finish(loop, scaleSums, func(how int) {
		if how == addScaled {
			s.broadcast(field(offAlpha), alpha)
			s.broadcast(field(offBeta), beta)
		}
		if masked {
			VMOVUPD(Mem{Base: maskPtr}, ymm(15))
		}
		for i := range rows {
			for v := range vectors {
				c, last := rowAddr(cPtr, i, 32*v), masked && v == vectors-1
				if how == store {
					s.store(sum(i, v), c, last)
					continue
				}
				s.combine(how, sum(i, v), alpha, beta, x, c, last)
				s.store(x, c, last)
			}
		}
	})
	if rows == s.height() {
		LEAQ(Mem{Base: cPtr, Index: row1, Scale: 4}, cPtr)
	}
}

// combine sets x to what is to be stored at c; the mask is in register 15.
func (s avx2) combine(how int, sum, alpha, beta, x reg.Register, c Mem, masked bool) {
	if masked {
		s.maskedLoad(c, ymm(15), x)
	} else {
		s.load(c, x, false)
	}
	if how == add {
		s.add(sum, x)
		return
	}
	s.mul(beta, x)
	s.fma(sum, alpha, x)
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

func (s avx2) add(a, x reg.Register) {
	if s.double {
		VADDPD(a, x, x)
	} else {
		VADDPS(a, x, x)
	}
}

func (s avx2) mul(a, x reg.Register) {
	if s.double {
		VMULPD(a, x, x)
	} else {
		VMULPS(a, x, x)
	}
}
