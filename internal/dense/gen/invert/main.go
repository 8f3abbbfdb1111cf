// Command invert writes the kernels that invert a small symmetric positive definite block in registers.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// format is what differs between the element types: a vector holds a row of the block.
type format struct {
	name                                      string
	rows                                      int
	one                                       uint64
	broadcast, permute, divide, multiply, sub func(ops ...Op)
	blend, zero                               func(ops ...Op)
}

func main() {
	ConstraintExpr("amd64")
	invert(format{"invertBlockF64AVX512", 8, 0x3ff0000000000000, VPBROADCASTQ, VPERMPD, VDIVPD, VMULPD, VSUBPD, VMOVAPD, VPXORQ})
	invert(format{"invertBlockF32AVX512", 16, 0x3f800000, VPBROADCASTD, VPERMPS, VDIVPS, VMULPS, VSUBPS, VMOVAPS, VPXORD})
	Generate()
}

func invert(f format) {
	TEXT(f.name, NOSPLIT, "func(m, pivots *byte)")
	Pragma("noescape")
	Doc(f.name+" overwrites the square block m, whose rows are vectors, with its inverse by Gauss-Jordan elimination in the order of the rows. A vector of",
		"copies of each pivot goes to pivots.")
	m, pivots := Load(Param("m"), GP64()), Load(Param("pivots"), GP64())
	rows := make([]reg.VecVirtual, f.rows)
	for i := range rows {
		rows[i] = ZMM()
		VMOVUPD(Mem{Base: m, Disp: 64 * i}, rows[i])
	}
	one, at, pivot, inverse, factor := ZMM(), ZMM(), ZMM(), ZMM(), ZMM()
	bits := GP64()
	MOVQ(U64(f.one), bits)
	f.broadcast(lower(f, bits), one)
	lane := K()
	for k, row := range rows {
		MOVQ(U64(uint64(k)), bits)
		f.broadcast(lower(f, bits), at)
		MOVQ(U64(uint64(1)<<k), bits)
		KMOVW(bits.As32(), lane)
		f.permute(row, at, pivot)
		VMOVUPD(pivot, Mem{Base: pivots, Disp: 64 * k})
		f.divide(pivot, one, inverse)
		f.blend(one, lane, row)
		f.multiply(inverse, row, row)
		for i, other := range rows {
			if i == k {
				continue
			}
			f.permute(other, at, factor)
			f.zero(other, other, lane, other)
			f.multiply(row, factor, factor)
			f.sub(factor, other, other)
		}
	}
	for i, row := range rows {
		VMOVUPD(row, Mem{Base: m, Disp: 64 * i})
	}
	VZEROUPPER()
	RET()
}

// lower is the part of a general register that holds an element.
func lower(f format, r reg.GPVirtual) Op {
	if f.rows == 16 {
		return r.As32()
	}
	return r
}
