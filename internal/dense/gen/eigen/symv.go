package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// laneMasks returns eight set lanes followed by eight clear ones.
func laneMasks() Mem {
	m := GLOBL("symvMasks", RODATA|NOPTR)
	for i := range 16 {
		v := U64(0)
		if i < 8 {
			v = U64(1<<64 - 1)
		}
		DATA(8*i, v)
	}
	return m
}

// symv adds a^T xr to y and stores a x in sums, for four rows a of n columns.
func (s isa) symv(masks Mem) {
	name := "symv4" + s.suffix
	begin(name, "a *float64, stride, n int, x, xr, y, sums *float64",
		"adds a^T xr to y and stores a x in sums, for the four rows at a, stride bytes apart, of n columns.")
	a, stride, stride3 := reg.RSI, reg.R8, reg.R9
	x, y, n, at := reg.RDX, reg.RDI, reg.RCX, reg.RAX
	Load(Param("a"), a)
	Load(Param("stride"), stride)
	Load(Param("n"), n)
	Load(Param("x"), x)
	Load(Param("y"), y)
	Load(Param("xr"), at)
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)

	sums := s.fourSums()
	var xr [4]reg.VecPhysical
	for i := range 4 {
		xr[i] = s.vec(4*s.parts + i)
		VBROADCASTSD(Mem{Base: at, Disp: 8 * i}, xr[i])
	}
	free := 4*s.parts + 4
	rows := [4]Mem{{Base: a}, {Base: a, Index: stride, Scale: 1}, {Base: a, Index: stride, Scale: 2}, {Base: a, Index: stride3, Scale: 1}}

	Label(name + "_loop")
	SUBQ(U8(8), n)
	JLT(LabelRef(name + "_tail"))
	for p := range s.parts {
		vx, vy := s.vec(free), s.vec(free+1)
		disp := s.bytes * p
		VMOVUPD(Mem{Base: x, Disp: disp}, vx)
		VMOVUPD(Mem{Base: y, Disp: disp}, vy)
		for i, row := range rows {
			row.Disp = disp
			va := s.vec(free + 2 + i%2)
			VMOVUPD(row, va)
			VFMADD231PD(va, vx, sums[i][p])
			VFMADD231PD(va, xr[i], vy)
		}
		VMOVUPD(vy, Mem{Base: y, Disp: disp})
	}
	for _, ptr := range []reg.Register{a, x, y} {
		ADDQ(U8(64), ptr)
	}
	JMP(LabelRef(name + "_loop"))

	Label(name + "_tail")
	ADDQ(U8(8), n)
	JEQ(LabelRef(name + "_fold"))
	s.tailMasks(masks, n, at)
	for p := range s.parts {
		disp := s.bytes * p
		vx, vy := s.vec(free), s.vec(free+1)
		s.loadMasked(Mem{Base: x, Disp: disp}, vx, p)
		s.loadMasked(Mem{Base: y, Disp: disp}, vy, p)
		for i, row := range rows {
			row.Disp = disp
			va := s.vec(free + 2)
			s.loadMasked(row, va, p)
			VFMADD231PD(va, vx, sums[i][p])
			VFMADD231PD(va, xr[i], vy)
		}
		s.storeMasked(vy, Mem{Base: y, Disp: disp}, p)
	}
	Label(name + "_fold")
	Load(Param("sums"), at)
	s.fold(sums, s.vec(free), Mem{Base: at})
}

// tailMasks prepares the masks of the last n < 8 lanes: K1 for AVX-512, the address of the lane masks in at for AVX2.
func (s isa) tailMasks(masks Mem, n, at reg.GPPhysical) {
	if s.parts == 1 {
		MOVQ(U64(1), at)
		SHLQ(reg.CL, at)
		DECQ(at)
		KMOVB(at.As32(), reg.K1)
		return
	}
	LEAQ(masks, at)
	SHLQ(U8(3), n)
	SUBQ(n, at)
	ADDQ(U8(64), at)
}

func (s isa) loadMasked(from Mem, v reg.VecPhysical, part int) {
	if s.parts == 1 {
		VMOVUPD_Z(from, reg.K1, v)
		return
	}
	mask := s.vec(15)
	VMOVUPD(Mem{Base: reg.RAX, Disp: 32 * part}, mask)
	VMASKMOVPD(from, mask, v)
}

func (s isa) storeMasked(v reg.VecPhysical, to Mem, part int) {
	if s.parts == 1 {
		VMOVUPD(v, reg.K1, to)
		return
	}
	mask := s.vec(15)
	VMOVUPD(Mem{Base: reg.RAX, Disp: 32 * part}, mask)
	VMASKMOVPD(v, mask, to)
}
