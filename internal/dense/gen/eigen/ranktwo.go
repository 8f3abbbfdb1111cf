package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rankTwoSymv updates rows of a symmetric matrix by -v w^T - w v^T and multiplies the result on both sides of the diagonal, in one pass. The
// sixteen registers of AVX2 hold two rows at a time, the two of AVX-512 four.
func (s isa) rankTwoSymv(masks Mem) {
	rows := 4 / s.parts
	name := fmt.Sprintf("rankTwoSymv%d%s", rows, s.suffix)
	begin(name, "a *float64, stride, n int, v, w, x, y, vr, wr, xr, sums *float64",
		fmt.Sprintf("subtracts vr w + wr v from the %d rows at a, stride bytes apart, of n columns, adds a^T xr to y and stores a x in sums.", rows))
	a, stride, stride3, n := reg.RSI, reg.R8, reg.R9, reg.RCX
	v, w, x, y, at := reg.R10, reg.R11, reg.RDX, reg.RDI, reg.RAX
	for param, r := range []reg.GPPhysical{a, stride, n, v, w, x, y} {
		Load(Param([]string{"a", "stride", "n", "v", "w", "x", "y"}[param]), r)
	}
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	next := 0
	take := func() reg.VecPhysical {
		next++
		return s.vec(next - 1)
	}
	coef := map[string][]reg.VecPhysical{}
	for _, param := range []string{"vr", "wr", "xr"} {
		Load(Param(param), at)
		for i := range rows {
			r := take()
			VBROADCASTSD(Mem{Base: at, Disp: 8 * i}, r)
			coef[param] = append(coef[param], r)
		}
	}
	sums := make([][]reg.VecPhysical, rows)
	for i := range rows {
		for range s.parts {
			r := take()
			s.zero(r)
			sums[i] = append(sums[i], r)
		}
	}
	vv, vw, vx, vy, va := take(), take(), take(), take(), take()
	at4 := [4]Mem{{Base: a}, {Base: a, Index: stride, Scale: 1}, {Base: a, Index: stride, Scale: 2}, {Base: a, Index: stride3, Scale: 1}}
	part := func(p int, load func(Mem, reg.VecPhysical), store func(reg.VecPhysical, Mem)) {
		disp := p * s.bytes
		load(Mem{Base: v, Disp: disp}, vv)
		load(Mem{Base: w, Disp: disp}, vw)
		load(Mem{Base: x, Disp: disp}, vx)
		load(Mem{Base: y, Disp: disp}, vy)
		for i := range rows {
			m := at4[i]
			m.Disp = disp
			load(m, va)
			VFNMADD231PD(vw, coef["vr"][i], va)
			VFNMADD231PD(vv, coef["wr"][i], va)
			store(va, m)
			VFMADD231PD(va, vx, sums[i][p])
			VFMADD231PD(va, coef["xr"][i], vy)
		}
		store(vy, Mem{Base: y, Disp: disp})
	}

	Label(name + "_loop")
	SUBQ(U8(8), n)
	JLT(LabelRef(name + "_tail"))
	for p := range s.parts {
		part(p, func(m Mem, r reg.VecPhysical) { VMOVUPD(m, r) }, func(r reg.VecPhysical, m Mem) { VMOVUPD(r, m) })
	}
	for _, ptr := range []reg.Register{a, v, w, x, y} {
		ADDQ(U8(64), ptr)
	}
	JMP(LabelRef(name + "_loop"))

	Label(name + "_tail")
	ADDQ(U8(8), n)
	JEQ(LabelRef(name + "_fold"))
	s.tailMasks(masks, n, at)
	for p := range s.parts {
		part(p, func(m Mem, r reg.VecPhysical) { s.loadMasked(m, r, p) }, func(r reg.VecPhysical, m Mem) { s.storeMasked(r, m, p) })
	}
	Label(name + "_fold")
	Load(Param("sums"), at)
	s.fold(sums[:rows], vv, Mem{Base: at})
}
