// Command sandwiches writes the kernels that round matrices to bfloat16 for products of pairs. They need AVX-512 with VDPBF16PS.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

func main() {
	ConstraintExpr("amd64")
	narrowRows()
	interleaveRows()
	Generate()
}

// split returns how many groups of 2^log columns there are, and how many columns are left.
func split(cols reg.GPVirtual, log uint8) (groups, rest reg.GPVirtual) {
	groups, rest = GP64(), GP64()
	MOVQ(cols, groups)
	SHRQ(U8(log), groups)
	MOVQ(cols, rest)
	ANDQ(U8(1<<log-1), rest)
	return groups, rest
}

func narrowRows() {
	lanes.Begin("narrowRowsAVX512", "sets rows of y to those of x, in float32, rounded to bfloat16; the rows are so many bytes apart.", "func(rows, cols uintptr, x *byte, xRow uintptr, y *byte, yRow uintptr)")
	rows, x, xRow, y, yRow := lanes.Parameter("rows"), lanes.Parameter("x"), lanes.Parameter("xRow"), lanes.Parameter("y"), lanes.Parameter("yRow")
	groups, rest := split(lanes.Parameter("cols"), 5)
	low, high, all := K(), K(), K()
	bits := lanes.LowBits(rest)
	KMOVD(bits.As32(), all)
	KMOVW(bits.As32(), low)
	SHRQ(U8(16), bits)
	KMOVW(bits.As32(), high)

	Label("row")
	a, b, count := GP64(), GP64(), GP64()
	MOVQ(x, a)
	MOVQ(y, b)
	MOVQ(groups, count)
	TESTQ(count, count)
	JEQ(LabelRef("rest"))
	Label("group")
	VMOVUPS(Mem{Base: a}, reg.Z0)
	VMOVUPS(Mem{Base: a, Disp: 64}, reg.Z1)
	lanes.NarrowTwo(reg.Z0, reg.Z1, reg.Z2)
	VMOVDQU32(reg.Z2, Mem{Base: b})
	ADDQ(U32(128), a)
	ADDQ(U8(64), b)
	DECQ(count)
	JNE(LabelRef("group"))
	Label("rest")
	TESTQ(rest, rest)
	JEQ(LabelRef("next"))
	VMOVUPS_Z(Mem{Base: a}, low, reg.Z0)
	VMOVUPS_Z(Mem{Base: a, Disp: 64}, high, reg.Z1)
	lanes.NarrowTwo(reg.Z0, reg.Z1, reg.Z2)
	VMOVDQU16(reg.Z2, all, Mem{Base: b})
	Label("next")
	ADDQ(xRow, x)
	ADDQ(yRow, y)
	DECQ(rows)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

func interleaveRows() {
	lanes.Begin("interleaveRowsAVX512", `sets the pairs of y, row after row, to the elements of every two rows of x, in float32, rounded to bfloat16; the rows of x are xRow bytes
// apart.`, "func(pairs, cols uintptr, x *byte, xRow uintptr, y *byte)")
	pairs, x, xRow, y := lanes.Parameter("pairs"), lanes.Parameter("x"), lanes.Parameter("xRow"), lanes.Parameter("y")
	groups, rest := split(lanes.Parameter("cols"), 4)
	part := K()
	KMOVW(lanes.LowBits(rest).As32(), part)
	left := GP64() // bytes of the last group of a row
	MOVQ(rest, left)
	SHLQ(U8(2), left)

	Label("pair")
	a, b, count := GP64(), GP64(), GP64()
	MOVQ(x, a)
	LEAQ(Mem{Base: x, Index: xRow, Scale: 1}, b)
	MOVQ(groups, count)
	TESTQ(count, count)
	JEQ(LabelRef("rest"))
	Label("group")
	VMOVUPS(Mem{Base: a}, reg.Z0)
	VMOVUPS(Mem{Base: b}, reg.Z1)
	interleave()
	VMOVDQU32(reg.Z2, Mem{Base: y})
	ADDQ(U8(64), a)
	ADDQ(U8(64), b)
	ADDQ(U8(64), y)
	DECQ(count)
	JNE(LabelRef("group"))
	Label("rest")
	TESTQ(rest, rest)
	JEQ(LabelRef("next"))
	VMOVUPS_Z(Mem{Base: a}, part, reg.Z0)
	VMOVUPS_Z(Mem{Base: b}, part, reg.Z1)
	interleave()
	VMOVDQU32(reg.Z2, part, Mem{Base: y})
	ADDQ(left, y)
	Label("next")
	LEAQ(Mem{Base: x, Index: xRow, Scale: 2}, x)
	DECQ(pairs)
	JNE(LabelRef("pair"))
	VZEROUPPER()
	RET()
}

// interleave sets the pairs of Z2 to the elements of Z0 and Z1.
func interleave() {
	lanes.NarrowTwo(reg.Z0, reg.Z1, reg.Z2)
	VEXTRACTI64X4(U8(1), reg.Z2, reg.Y3)
	VPMOVZXWD(reg.Y2, reg.Z2)
	VPMOVZXWD(reg.Y3, reg.Z3)
	VPSLLD(U8(16), reg.Z3, reg.Z3)
	VPORD(reg.Z3, reg.Z2, reg.Z2)
}
