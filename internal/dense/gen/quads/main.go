// Command quads writes the kernels that make bytes of matrices in float32 for products of bytes. They need AVX-512, and one of them VPDPBUSD.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

func main() {
	ConstraintExpr("amd64")
	maxRows()
	bytesOfRows()
	quadsOfRows()
	commuteRows()
	Generate()
}

// everywhere returns a register with the value in all lanes.
func everywhere(value uint32) reg.VecVirtual {
	x, g := ZMM(), GP32()
	MOVL(U32(value), g)
	VPBROADCASTD(g, x)
	return x
}

// lanes16 is a group of 16 columns, or what is left of them.
type lanes16 struct {
	at   reg.GPVirtual // offset of the first one in bytes
	part reg.Register  // those that are left, nil for all
}

func (g lanes16) load(p reg.GPVirtual) reg.VecVirtual {
	x, m := ZMM(), Mem{Base: p, Index: g.at, Scale: 1}
	if g.part == nil {
		VMOVUPS(m, x)
	} else {
		VMOVUPS_Z(m, g.part, x)
	}
	return x
}

func (g lanes16) store(x reg.Register, p reg.GPVirtual) {
	m := Mem{Base: p, Index: g.at, Scale: 1}
	if g.part == nil {
		VMOVUPS(x, m)
	} else {
		VMOVUPS(x, g.part, m)
	}
}

// eachGroup writes a loop over groups of 16 columns and the rest, which part selects.
func eachGroup(label string, cols reg.GPVirtual, part reg.Register, body func(g lanes16)) {
	at, end := GP64(), GP64()
	XORQ(at, at)
	MOVQ(cols, end)
	SHRQ(U8(4), end)
	SHLQ(U8(6), end)
	Label(label + "_loop")
	CMPQ(at, end)
	JGE(LabelRef(label + "_rest"))
	body(lanes16{at, nil})
	ADDQ(U8(64), at)
	JMP(LabelRef(label + "_loop"))
	Label(label + "_rest")
	KTESTW(part, part)
	JEQ(LabelRef(label + "_done"))
	body(lanes16{at, part})
	Label(label + "_done")
}

// rest returns the mask of the columns that are left beyond groups of 16.
func rest(cols reg.GPVirtual) reg.Register {
	n, part := GP64(), K()
	MOVQ(cols, n)
	ANDQ(U8(15), n)
	KMOVW(lanes.LowBits(n).As32(), part)
	return part
}

// raise sets the number at m to the largest of it and those of x, which is overwritten.
func raise(x reg.VecVirtual, m Mem) {
	half := YMM()
	VEXTRACTF64X4(U8(1), x, half)
	VMAXPS(half, x.AsY(), x.AsY())
	VEXTRACTF128(U8(1), x.AsY(), half.AsX())
	VMAXPS(half.AsX(), x.AsX(), x.AsX())
	VPERMILPS(U8(0x4e), x.AsX(), half.AsX())
	VMAXPS(half.AsX(), x.AsX(), x.AsX())
	VPERMILPS(U8(0xb1), x.AsX(), half.AsX())
	VMAXPS(half.AsX(), x.AsX(), x.AsX())
	VMAXSS(m, x.AsX(), x.AsX())
	VMOVSS(x.AsX(), m)
}

func maxRows() {
	lanes.Begin("maxRowsAVX512", "raises the numbers in most to the largest |x_ij| weights_j of every row of x; the rows are xRow bytes apart.", "func(rows, cols uintptr, x *byte, xRow uintptr, weights, most *byte)")
	rows, cols, x, xRow, weights, most := lanes.Parameter("rows"), lanes.Parameter("cols"), lanes.Parameter("x"), lanes.Parameter("xRow"), lanes.Parameter("weights"), lanes.Parameter("most")
	part, sign := rest(cols), everywhere(0x7fffffff)
	Label("row")
	top := ZMM()
	VPXORD(top, top, top)
	eachGroup("most", cols, part, func(g lanes16) {
		v, w := g.load(x), g.load(weights)
		VMULPS(w, v, v)
		VPANDD(sign, v, v)
		VMAXPS(v, top, top)
	})
	raise(top, Mem{Base: most})
	ADDQ(U8(4), most)
	ADDQ(xRow, x)
	DECQ(rows)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

func bytesOfRows() {
	lanes.Begin("bytesOfRowsAVX512", `sets rows of bytes to 128 + x_ij weights_j scales_i, rounded to integers, whose last eight bits are kept; the rows of x and y are so many bytes
// apart.`, "func(rows, cols uintptr, x *byte, xRow uintptr, weights, scales, y *byte, yRow uintptr)")
	rows, cols, x, xRow, weights, scales, y, yRow := lanes.Parameter("rows"), lanes.Parameter("cols"), lanes.Parameter("x"), lanes.Parameter("xRow"), lanes.Parameter("weights"), lanes.Parameter("scales"), lanes.Parameter("y"), lanes.Parameter("yRow")
	part, zero := rest(cols), everywhere(128)
	Label("row")
	scale, to := ZMM(), GP64()
	VBROADCASTSS(Mem{Base: scales}, scale)
	MOVQ(y, to)
	eachGroup("bytes", cols, part, func(g lanes16) {
		v, w, b := g.load(x), g.load(weights), XMM()
		VMULPS(w, v, v)
		VMULPS(scale, v, v)
		VCVTPS2DQ(v, v)
		VPADDD(zero, v, v)
		VPMOVDB(v, b)
		if g.part == nil {
			VMOVDQU8(b, Mem{Base: to})
		} else {
			VMOVDQU8(b, part, Mem{Base: to})
		}
		ADDQ(U8(16), to)
	})
	ADDQ(U8(4), scales)
	ADDQ(xRow, x)
	ADDQ(yRow, y)
	DECQ(rows)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

func quadsOfRows() {
	lanes.Begin("quadsOfRowsAVX512", `sets the quads of y, row after row, to the bytes x_ij weights_i scales_j of every four rows of x, rounded to integers, and takes 128 times each from
// the sum of its column; the rows of x are xRow bytes apart.`, "func(quads, cols uintptr, x *byte, xRow uintptr, weights, scales, y, sums *byte)")
	quads, cols, x, xRow, weights, scales, y, sums := lanes.Parameter("quads"), lanes.Parameter("cols"), lanes.Parameter("x"), lanes.Parameter("xRow"), lanes.Parameter("weights"), lanes.Parameter("scales"), lanes.Parameter("y"), lanes.Parameter("sums")
	part, zeros, low := rest(cols), everywhere(0x80808080), everywhere(0xff)
	yRow := GP64()
	MOVQ(cols, yRow)
	SHLQ(U8(2), yRow)
	Label("quad")
	b, c, d := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: x, Index: xRow, Scale: 1}, b)
	LEAQ(Mem{Base: x, Index: xRow, Scale: 2}, c)
	LEAQ(Mem{Base: b, Index: xRow, Scale: 2}, d)
	var w [4]reg.VecVirtual
	for i := range w {
		w[i] = ZMM()
		VBROADCASTSS(Mem{Base: weights, Disp: 4 * i}, w[i])
	}
	eachGroup("quads", cols, part, func(g lanes16) {
		scale, all, sum := g.load(scales), ZMM(), ZMM()
		for i, p := range []reg.GPVirtual{x, b, c, d} {
			v := g.load(p)
			VMULPS(w[i], v, v)
			VMULPS(scale, v, v)
			VCVTPS2DQ(v, v)
			if i < 3 {
				VPANDD(low, v, v)
			}
			if i == 0 {
				all = v
				continue
			}
			VPSLLD(U8(8*i), v, v)
			VPORD(v, all, all)
		}
		g.store(all, y)
		VPXORD(sum, sum, sum)
		VPDPBUSD(all, zeros, sum)
		old := g.load(sums)
		VPSUBD(sum, old, old)
		g.store(old, sums)
	})
	ADDQ(U8(16), weights)
	LEAQ(Mem{Base: c, Index: xRow, Scale: 2}, x)
	ADDQ(yRow, y)
	DECQ(quads)
	JNE(LabelRef("quad"))
	VZEROUPPER()
	RET()
}

// argument returns a parameter where it lies.
func argument(name string) Mem {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

func commuteRows() {
	lanes.Begin("commuteRowsAVX512", `sets w_ij to x_ij + t_ij + (gRows_i - gCols_j) u_ij, adds (hCols_j - hRows_i) w_ij to sum and raises the numbers in rowMost to the largest |w_ij|
// colWeights_j of every row, and those in colMost to the largest |w_ij| rowWeights_i of every column; the rows of u are so many bytes apart, those of x, t, sum and w follow each other.`,
		"func(rows, cols uintptr, x, t, u *byte, uRow uintptr, gRows, gCols, hRows, hCols, rowWeights, colWeights, sum, w, rowMost, colMost *byte)")
	cols, x, t, u, sum, w := lanes.Parameter("cols"), lanes.Parameter("x"), lanes.Parameter("t"), lanes.Parameter("u"), lanes.Parameter("sum"), lanes.Parameter("w")
	gCols, hCols, weights, colMost := lanes.Parameter("gCols"), lanes.Parameter("hCols"), lanes.Parameter("colWeights"), lanes.Parameter("colMost")
	part, sign := rest(cols), everywhere(0x7fffffff)
	row := GP64()
	XORQ(row, row)
	Label("row")
	from, top := GP64(), ZMM()
	broadcast := func(name string) reg.VecVirtual {
		v := ZMM()
		MOVQ(argument(name), from)
		VBROADCASTSS(Mem{Base: from, Index: row, Scale: 4}, v)
		return v
	}
	gRow, hRow, weight := broadcast("gRows"), broadcast("hRows"), broadcast("rowWeights")
	VPXORD(top, top, top)
	eachGroup("commute", cols, part, func(g lanes16) {
		v, y, d := g.load(x), g.load(t), g.load(gCols)
		VADDPS(y, v, v)
		VSUBPS(d, gRow, d)
		VFMADD231PS(g.load(u), d, v)
		g.store(v, w)
		d, s := g.load(hCols), g.load(sum)
		VSUBPS(hRow, d, d)
		VFMADD231PS(v, d, s)
		g.store(s, sum)
		VPANDD(sign, v, v)
		m := ZMM()
		VMULPS(weight, v, m)
		VMAXPS(g.load(colMost), m, m)
		g.store(m, colMost)
		VMULPS(g.load(weights), v, v)
		VMAXPS(v, top, top)
	})
	MOVQ(argument("rowMost"), from)
	raise(top, Mem{Base: from, Index: row, Scale: 4})
	for _, p := range []reg.GPVirtual{x, t, sum, w} {
		LEAQ(Mem{Base: p, Index: cols, Scale: 4}, p)
	}
	ADDQ(argument("uRow"), u)
	INCQ(row)
	CMPQ(row, argument("rows"))
	JLT(LabelRef("row"))
	VZEROUPPER()
	RET()
}
