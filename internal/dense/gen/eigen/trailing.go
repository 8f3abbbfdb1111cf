package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// trailingBlock is the number of vectors of columns whose sums stay in registers while the rows pass.
const trailingBlock = 4

// rankTwoTrailing updates rows by -vr w^T - wr v^T and multiplies xr with the result, in one pass. A column depends on no other, so that the width of the vectors
// does not matter.
func (s isa) rankTwoTrailing() {
	name := "rankTwoTrailing" + s.suffix
	begin(name, "a *float64, stride, rows, n int, v, w, y, vr, wr, xr *float64",
		"subtracts vr w + wr v from rows > 0 rows at a, stride bytes apart, of n > 0 columns, a multiple of 8, and stores xr a in y.")
	a, n, v, w, y := reg.RSI, reg.RCX, reg.R10, reg.R11, reg.RDI
	for i, r := range []reg.GPPhysical{a, reg.R8, n, v, w, y} {
		Load(Param([]string{"a", "stride", "n", "v", "w", "y"}[i]), r)
	}
	lanes := s.bytes / 8
	Label(name + "_block")
	for vectors := trailingBlock; vectors > 0; vectors-- {
		if vectors*lanes%8 != 0 {
			continue
		}
		label := fmt.Sprint(name, "_", vectors)
		CMPQ(n, U8(vectors*lanes))
		JLT(LabelRef(label + "_less"))
		s.trailingColumns(label, vectors)
		for _, p := range []reg.GPPhysical{a, v, w, y} {
			ADDQ(U32(vectors*s.bytes), p)
		}
		SUBQ(U8(vectors*lanes), n)
		JMP(LabelRef(name + "_block"))
		Label(label + "_less")
	}
	VZEROUPPER()
	RET()
}

// trailingColumns takes the given vectors of columns down the rows.
func (s isa) trailingColumns(label string, vectors int) {
	row, stride, rows, vr, wr, xr := reg.R12, reg.R8, reg.RDX, reg.R9, reg.RAX, reg.RBX
	MOVQ(reg.RSI, row)
	for i, r := range []reg.GPPhysical{rows, vr, wr, xr} {
		Load(Param([]string{"rows", "vr", "wr", "xr"}[i]), r)
	}
	part := func(i int) (v, w, y reg.VecPhysical) {
		return s.vec(i), s.vec(trailingBlock + i), s.vec(2*trailingBlock + i)
	}
	for i := range vectors {
		v, w, y := part(i)
		VMOVUPD(Mem{Base: reg.R10, Disp: i * s.bytes}, v)
		VMOVUPD(Mem{Base: reg.R11, Disp: i * s.bytes}, w)
		s.zero(y)
	}
	cv, cw, cx, t := s.vec(3*trailingBlock), s.vec(3*trailingBlock+1), s.vec(3*trailingBlock+2), s.vec(3*trailingBlock+3)
	Label(label)
	VBROADCASTSD(Mem{Base: vr}, cv)
	VBROADCASTSD(Mem{Base: wr}, cw)
	VBROADCASTSD(Mem{Base: xr}, cx)
	for i := range vectors {
		v, w, y := part(i)
		at := Mem{Base: row, Disp: i * s.bytes}
		VMOVUPD(at, t)
		VFNMADD231PD(w, cv, t)
		VFNMADD231PD(v, cw, t)
		VMOVUPD(t, at)
		VFMADD231PD(t, cx, y)
	}
	ADDQ(stride, row)
	for _, p := range []reg.GPPhysical{vr, wr, xr} {
		ADDQ(U8(8), p)
	}
	DECQ(rows)
	JNE(LabelRef(label))
	for i := range vectors {
		_, _, y := part(i)
		VMOVUPD(y, Mem{Base: reg.RDI, Disp: i * s.bytes})
	}
}
