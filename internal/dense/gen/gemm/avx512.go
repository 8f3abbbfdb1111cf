package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

// avx512 works on tiles of 8 rows and 3 vectors: 24 sums, 3 registers for B and 4 for A. The last vector of a panel is always masked. With pairs the
// elements of A and B are pairs of bfloat16 numbers and the sums float32.
type avx512 struct{ double, pairs bool }

func (s avx512) name() string {
	switch {
	case s.double:
		return "panelF64AVX512"
	case s.pairs:
		return "panelPairsAVX512"
	}
	return "panelF32AVX512"
}

func (avx512) height() int    { return 8 }
func (avx512) half() bool     { return true }
func (avx512) masked() []bool { return []bool{true} }

func (avx512) prepare() {
	MOVQ(field(offMask), count)
	KMOVW(count.As32(), reg.K1)
}

func zmm(i int) reg.Register {
	return [32]reg.Register{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}[i]
}

func (s avx512) tile(rows, vectors int, _ bool, loop string) {
	vec, bytes := zmm, 64
	if vectors == halfVector {
		vec, bytes, vectors = ymm, 32, 1
	}
	startTile(rows, vectors, bytes, loop)
	sum := func(i, v int) reg.Register { return vec(i*vectors + v) }
	for i := range rows * vectors {
		VPXORD(vec(i), vec(i), vec(i))
	}
	Label(loop)
	for v := range vectors {
		s.load(Mem{Base: bPtr, Disp: bytes * v}, vec(24+v), v == vectors-1)
	}
	for i := range rows {
		a := rowAddr(aPtr, i, 0)
		if vectors == 1 && !s.pairs {
			s.fmaMem(a, vec(24), sum(i, 0))
			continue
		}
		x := vec(27 + i%4)
		s.broadcast(a, x)
		for v := range vectors {
			if s.pairs {
				lanes.DotPairs(x, vec(24+v), sum(i, v))
			} else {
				s.fma(x, vec(24+v), sum(i, v))
			}
		}
	}
	nextK(loop)

	loadRowMultiples(field(offCRow), rows)
	alpha, beta := vec(24), vec(25)
	scaleSums := func() {
		s.broadcast(field(offAlpha), alpha)
		for i := range rows * vectors {
			s.mul(alpha, vec(i))
		}
	}
	finish(loop, scaleSums, func(how int) {
		if how == addScaled {
			s.broadcast(field(offAlpha), alpha)
			s.broadcast(field(offBeta), beta)
		}
		for i := range rows {
			for v := range vectors {
				x, c, last := vec(26+(i*vectors+v)%4), rowAddr(cPtr, i, bytes*v), v == vectors-1
				switch how {
				case store:
					x = sum(i, v)
				case addScaled:
					s.scale(c, beta, x, last)
					s.fma(sum(i, v), alpha, x)
				case add:
					s.add(c, sum(i, v), x, last)
				}
				s.store(x, c, last)
			}
		}
	})
	if rows == s.height() {
		LEAQ(Mem{Base: cPtr, Index: row1, Scale: 8}, cPtr)
	}
}

func (s avx512) load(m Mem, x reg.Register, last bool) {
	switch {
	case s.double && last:
		VMOVUPD_Z(m, reg.K1, x)
	case s.double:
		VMOVUPD(m, x)
	case last:
		VMOVUPS_Z(m, reg.K1, x)
	default:
		VMOVUPS(m, x)
	}
}

func (s avx512) store(x reg.Register, m Mem, last bool) {
	switch {
	case s.double && last:
		VMOVUPD(x, reg.K1, m)
	case s.double:
		VMOVUPD(x, m)
	case last:
		VMOVUPS(x, reg.K1, m)
	default:
		VMOVUPS(x, m)
	}
}

func (s avx512) broadcast(m Mem, x reg.Register) {
	if s.double {
		VBROADCASTSD(m, x)
	} else {
		VBROADCASTSS(m, x)
	}
}

func (s avx512) fma(a, b, sum reg.Register) {
	if s.double {
		VFMADD231PD(a, b, sum)
	} else {
		VFMADD231PS(a, b, sum)
	}
}

func (s avx512) fmaMem(a Mem, b, sum reg.Register) {
	if s.double {
		VFMADD231PD_BCST(a, b, sum)
	} else {
		VFMADD231PS_BCST(a, b, sum)
	}
}

// scale sets x to beta times the memory operand.
func (s avx512) scale(m Mem, beta, x reg.Register, last bool) {
	switch {
	case s.double && last:
		VMULPD_Z(m, beta, reg.K1, x)
	case s.double:
		VMULPD(m, beta, x)
	case last:
		VMULPS_Z(m, beta, reg.K1, x)
	default:
		VMULPS(m, beta, x)
	}
}

func (s avx512) mul(a, x reg.Register) {
	if s.double {
		VMULPD(a, x, x)
	} else {
		VMULPS(a, x, x)
	}
}

// add sets x to y plus the memory operand.
func (s avx512) add(m Mem, y, x reg.Register, last bool) {
	switch {
	case s.double && last:
		VADDPD_Z(m, y, reg.K1, x)
	case s.double:
		VADDPD(m, y, x)
	case last:
		VADDPS_Z(m, y, reg.K1, x)
	default:
		VADDPS(m, y, x)
	}
}
