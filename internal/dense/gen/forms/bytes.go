package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

// byteVectors is the number of vectors of points in a group of bytes, and byteRow that of bytes of a row of its quads.
const byteVectors, byteRow = 4, 64 * byteVectors

// constant sets a register to 32 bits in every lane.
func constant(bits uint32, x reg.Register) {
	r := GP32()
	MOVL(U32(bits), r)
	VPBROADCASTD(r, x)
}

// byteMost finds the largest numbers of 64 points.
func byteMost() {
	lanes.Begin("byteMostAVX512", `sets most to the largest absolute values of the columns of w, 64 of them; rows are so many bytes apart.`,
		"func(w *byte, rows, stride uintptr, most *byte)")
	w, rows, stride, most := lanes.Parameter("w"), lanes.Parameter("rows"), lanes.Parameter("stride"), lanes.Parameter("most")
	mask := zmm(31)
	constant(0x7fffffff, mask)
	for v := range byteVectors {
		VPXORD(zmm(v), zmm(v), zmm(v))
	}
	Label("row")
	for v := range byteVectors {
		VPANDD(Mem{Base: w, Disp: 64 * v}, mask, zmm(8+v))
		VMAXPS(zmm(8+v), zmm(v), zmm(v))
	}
	ADDQ(stride, w)
	DECQ(rows)
	JNE(LabelRef("row"))
	for v := range byteVectors {
		VMOVUPS(zmm(v), Mem{Base: most, Disp: 64 * v})
	}
	VZEROUPPER()
	RET()
}

// signedByte sets to to the signed byte r of every lane of x.
func signedByte(r int, x, to reg.Register) {
	if r == 3 {
		VPSRAD(U8(24), x, to)
		return
	}
	VPSLLD(U8(24-8*r), x, to)
	VPSRAD(U8(24), to, to)
}

// byteForms sums z_i w_i over the rows of z = H w, for 64 points.
func byteForms() {
	lanes.Begin("byteFormsAVX512", `sets q to w'Hw for a group of 64 points w. The rows of the lower triangular H come in tiles of 4, which have a scale: of each, four columns
// after the others up to the diagonal, quads of signed bytes of its rows. w holds the quads of 4 rows for each tile, unsigned bytes that are 128 for zero; start has minus 128 times
// the sums of the rows of H. What follows w is read into the cache, for the next call.`,
		"func(h, start, scales, w *byte, tiles uintptr, q *byte)")
	h, start, scales, own, tiles, q := lanes.Parameter("h"), lanes.Parameter("start"), lanes.Parameter("scales"), lanes.Parameter("w"), lanes.Parameter("tiles"), lanes.Parameter("q")
	const points, other, signs = formRows * byteVectors, formRows*byteVectors + byteVectors, 31
	constant(0x80808080, zmm(signs))
	VPXORD(zmm(0), zmm(0), zmm(0))
	for v := range byteVectors {
		VMOVUPS(zmm(0), Mem{Base: q, Disp: 64 * v})
	}
	first, length, ahead := GP64(), GP64(), GP64()
	MOVQ(own, first)
	MOVQ(U32(1), length)
	IMUL3Q(U32(byteRow), tiles, ahead)
	sum := func(i, v int) reg.Register { return zmm(i*byteVectors + v) }

	Label("tile")
	for line := range byteVectors {
		PREFETCHT1(Mem{Base: own, Index: ahead, Scale: 1, Disp: 64 * line}) // of the next group
	}
	for i := range formRows {
		VPBROADCASTD(Mem{Base: start, Disp: 4 * i}, sum(i, 0))
		for v := 1; v < byteVectors; v++ {
			VMOVDQA32(sum(i, 0), sum(i, v))
		}
	}
	b, count := GP64(), GP64()
	MOVQ(first, b)
	MOVQ(length, count)
	Label("quads")
	for v := range byteVectors {
		VMOVDQU32(Mem{Base: b, Disp: 64 * v}, zmm(points+v))
	}
	for i := range formRows {
		x := zmm(other + i)
		VPBROADCASTD(Mem{Base: h, Disp: 4 * i}, x)
		for v := range byteVectors {
			VPDPBUSD(x, zmm(points+v), sum(i, v))
		}
	}
	ADDQ(U8(4*formRows), h)
	ADDQ(U32(byteRow), b)
	DECQ(count)
	JNE(LabelRef("quads"))
	scale := zmm(30)
	VBROADCASTSS(Mem{Base: scales}, scale)
	for v := range byteVectors {
		x, byteOf, total := zmm(points+v), zmm(other+v), zmm(26+v)
		VPXORD(Mem{Base: own, Disp: 64 * v}, zmm(signs), x)
		for i := range formRows {
			signedByte(i, x, byteOf)
			VCVTDQ2PS(byteOf, byteOf)
			VCVTDQ2PS(sum(i, v), sum(i, v))
			if i == 0 {
				VMULPS(sum(i, v), byteOf, total)
			} else {
				VFMADD231PS(sum(i, v), byteOf, total)
			}
		}
		VFMADD213PS(Mem{Base: q, Disp: 64 * v}, scale, total)
		VMOVUPS(total, Mem{Base: q, Disp: 64 * v})
	}
	ADDQ(U32(byteRow), own)
	ADDQ(U8(4*formRows), start)
	ADDQ(U8(4), scales)
	INCQ(length)
	DECQ(tiles)
	JNE(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// byteWeigh multiplies rows of points by weights.
func byteWeigh() {
	lanes.Begin("byteWeighAVX512", `writes rows of 64 points w, as signed bytes, and the same multiplied by q and rounded, as unsigned bytes that are 128 for zero, a row every stride bytes, four
// for each quad, and adds to the sums those of the rows, 16 lanes each. All rows have the points in the same order.`,
		"func(w, q *byte, quads, stride uintptr, rows, weighted, sums *byte)")
	w, q, quads, stride, rows, weighted, sums := lanes.Parameter("w"), lanes.Parameter("q"), lanes.Parameter("quads"), lanes.Parameter("stride"), lanes.Parameter("rows"), lanes.Parameter("weighted"), lanes.Parameter("sums")
	signs, ones, order := zmm(31), zmm(30), zmm(29)
	constant(0x80808080, signs)
	constant(0x01010101, ones)
	bytes := GLOBL("byteRows", RODATA|NOPTR)
	for i := range 4 {
		DATA(4*i, U32(uint32(0x0c080400)+uint32(i)*0x01010101))
	}
	VBROADCASTI32X4(bytes, order)
	weights := func(v int) reg.Register { return zmm(24 + v) }
	for v := range byteVectors {
		VMOVUPS(Mem{Base: q, Disp: 64 * v}, weights(v))
	}
	three := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	row := func(base reg.Register, i int) Mem {
		return [4]Mem{{Base: base}, {Base: base, Index: stride, Scale: 1}, {Base: base, Index: stride, Scale: 2}, {Base: base, Index: three, Scale: 1}}[i]
	}
	Label("quad")
	for v := range byteVectors {
		VPXORD(Mem{Base: w, Disp: 64 * v}, signs, zmm(v))
		VPSHUFB(order, zmm(v), zmm(4+v)) // four points of each row
	}
	VPUNPCKLDQ(zmm(5), zmm(4), zmm(8))
	VPUNPCKHDQ(zmm(5), zmm(4), zmm(9))
	VPUNPCKLDQ(zmm(7), zmm(6), zmm(10))
	VPUNPCKHDQ(zmm(7), zmm(6), zmm(11))
	VPUNPCKLQDQ(zmm(10), zmm(8), zmm(4))
	VPUNPCKHQDQ(zmm(10), zmm(8), zmm(5))
	VPUNPCKLQDQ(zmm(11), zmm(9), zmm(6))
	VPUNPCKHQDQ(zmm(11), zmm(9), zmm(7))
	for i := range 4 {
		total := zmm(8 + i)
		VMOVDQU32(zmm(4+i), row(rows, i))
		VMOVDQU32(Mem{Base: sums, Disp: 64 * i}, total)
		VPDPBUSD(zmm(4+i), ones, total)
		VMOVDQU32(total, Mem{Base: sums, Disp: 64 * i})
	}
	for i := range 4 {
		x := func(v int) reg.Register { return zmm(12 + 4*(i%2) + v) }
		for v := range byteVectors {
			signedByte(i, zmm(v), x(v))
			VCVTDQ2PS(x(v), x(v))
			VMULPS(weights(v), x(v), x(v))
			VCVTPS2DQ(x(v), x(v))
		}
		VPACKSSDW(x(1), x(0), x(0))
		VPACKSSDW(x(3), x(2), x(2))
		VPACKSSWB(x(2), x(0), x(0))
		VPXORD(signs, x(0), x(0))
		VMOVDQU32(x(0), row(weighted, i))
	}
	ADDQ(U32(byteRow), w)
	ADDQ(U32(4*64), sums)
	LEAQ(Mem{Base: rows, Index: stride, Scale: 4}, rows)
	LEAQ(Mem{Base: weighted, Index: stride, Scale: 4}, weighted)
	DECQ(quads)
	JNE(LabelRef("quad"))
	VZEROUPPER()
	RET()
}
