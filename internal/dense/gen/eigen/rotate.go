package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rotateBlock is the number of vectors of a row that go down the rows together, so that their chains of dependent operations overlap.
const rotateBlock = 4

// rotateRows applies a chain of plane rotations to neighbouring rows, the last first.
func (s isa) rotateRows(masks Mem) {
	name := "rotateRows" + s.suffix
	begin(name, "last *float64, stride, n, k int, c, s *float64",
		"applies k > 0 rotations to rows of n > 0 columns, stride bytes apart; rotation i mixes the rows i and i+1 counted from k rows before last.")
	last, n, stride := reg.RSI, reg.RDX, reg.R8
	Load(Param("last"), last)
	Load(Param("stride"), stride)
	Load(Param("n"), n)
	lanes := s.bytes / 8
	Label(name + "_block")
	CMPQ(n, U8(rotateBlock*lanes))
	JLE(LabelRef(name + "_rest"))
	s.rotateColumns(name+"_full", rotateBlock, false)
	ADDQ(U32(rotateBlock*s.bytes), last)
	SUBQ(U8(rotateBlock*lanes), n)
	JMP(LabelRef(name + "_block"))

	Label(name + "_rest")
	s.partMask(masks, n)
	for v := 1; v < rotateBlock; v++ {
		CMPQ(n, U8(v*lanes))
		JLE(LabelRef(fmt.Sprint(name, "_", v)))
	}
	for v := rotateBlock; v > 0; v-- {
		Label(fmt.Sprint(name, "_", v))
		s.rotateColumns(fmt.Sprint(name, "_loop", v), v, true)
		VZEROUPPER()
		RET()
	}
}

// partMask prepares the mask of the last vector of n > 0 columns: K1 for AVX-512, the address of the lane masks in RAX for AVX2.
func (s isa) partMask(masks Mem, n reg.GPPhysical) {
	at := reg.RAX
	MOVQ(n, reg.RCX)
	DECQ(reg.RCX)
	ANDQ(U8(s.bytes/8-1), reg.RCX)
	INCQ(reg.RCX)
	if s.parts == 1 {
		MOVQ(U64(1), at)
		SHLQ(reg.CL, at)
		DECQ(at)
		KMOVB(at.As32(), reg.K1)
		return
	}
	LEAQ(masks, at)
	SHLQ(U8(3), reg.RCX)
	SUBQ(reg.RCX, at)
	ADDQ(U8(64), at)
}

// rotateColumns carries the last row of the given vectors up the rows in registers.
func (s isa) rotateColumns(label string, vectors int, masked bool) {
	row, up, stride, k, c, sn := reg.RDI, reg.R12, reg.R8, reg.R9, reg.R10, reg.R11
	MOVQ(reg.RSI, row)
	Load(Param("k"), k)
	Load(Param("c"), c)
	Load(Param("s"), sn)
	move := func(v int, r reg.VecPhysical, m Mem, load bool) {
		m.Disp = v * s.bytes
		switch last := masked && v == vectors-1; {
		case last && load:
			s.loadMasked(m, r, 0)
		case last:
			s.storeMasked(r, m, 0)
		case load:
			VMOVUPD(m, r)
		default:
			VMOVUPD(r, m)
		}
	}
	vc, vs, t := s.vec(4), s.vec(5), s.vec(14)
	for v := range vectors {
		move(v, s.vec(v), Mem{Base: row}, true)
	}
	Label(label)
	VBROADCASTSD(Mem{Base: c, Index: k, Scale: 8, Disp: -8}, vc)
	VBROADCASTSD(Mem{Base: sn, Index: k, Scale: 8, Disp: -8}, vs)
	MOVQ(row, up)
	SUBQ(stride, up)
	for v := range vectors {
		carry, below, x := s.vec(v), s.vec(6+v), s.vec(10+v)
		move(v, x, Mem{Base: up}, true)
		VMULPD(vc, carry, below)
		VFMADD231PD(vs, x, below)
		VMULPD(vc, x, t)
		VFNMADD231PD(vs, carry, t)
		VMOVAPD(t, carry)
		move(v, below, Mem{Base: row}, false)
	}
	MOVQ(up, row)
	DECQ(k)
	JNE(LabelRef(label))
	for v := range vectors {
		move(v, s.vec(v), Mem{Base: row}, false)
	}
}
