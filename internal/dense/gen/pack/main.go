// Command pack writes the kernels that copy matrices into the order in which the product kernels read them. They need AVX2.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	packRows()
	transposeF64()
	transposeF32x8()
	transposeF32x4()
	Generate()
}

func packRows() {
	TEXT("packRowsAVX2", NOSPLIT, "func(dst, src *byte, srcStep, chunks, rows uintptr)")
	Pragma("noescape")
	Doc("packRowsAVX2 copies rows of chunks x 32 bytes, srcStep bytes apart, to contiguous rows.")
	dst, src, step := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("srcStep"), GP64())
	chunks, rows := Load(Param("chunks"), GP64()), Load(Param("rows"), GP64())
	from, n, x := GP64(), GP64(), YMM()
	Label("row")
	MOVQ(src, from)
	MOVQ(chunks, n)
	Label("chunk")
	VMOVUPD(Mem{Base: from}, x)
	VMOVUPD(x, Mem{Base: dst})
	ADDQ(U8(32), from)
	ADDQ(U8(32), dst)
	DECQ(n)
	JNE(LabelRef("chunk"))
	ADDQ(step, src)
	DECQ(rows)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// rowsOf returns the addresses of the first n <= 8 rows from base.
func rowsOf(base, step reg.Register, n int) []Mem {
	three, five, seven := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, three)
	if n > 4 {
		LEAQ(Mem{Base: step, Index: step, Scale: 4}, five)
		LEAQ(Mem{Base: three, Index: step, Scale: 4}, seven)
	}
	return []Mem{
		{Base: base}, {Base: base, Index: step, Scale: 1}, {Base: base, Index: step, Scale: 2}, {Base: base, Index: three, Scale: 1},
		{Base: base, Index: step, Scale: 4}, {Base: base, Index: five, Scale: 1}, {Base: base, Index: three, Scale: 2},
		{Base: base, Index: seven, Scale: 1},
	}[:n]
}

// transpose starts a kernel that reads rows of the source and writes columns, and returns the addresses and a function that closes the loop.
func transpose(name, doc string, rows, cols, elem int) (from, to []Mem, end func()) {
	TEXT(name, NOSPLIT, "func(dst, src *byte, dstStep, srcStep, blocks uintptr)")
	Pragma("noescape")
	Doc(doc)
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	dstStep, srcStep := Load(Param("dstStep"), GP64()), Load(Param("srcStep"), GP64())
	blocks := Load(Param("blocks"), GP64())
	from, to = rowsOf(src, srcStep, rows), rowsOf(dst, dstStep, min(cols, 4))
	Label("block")
	return from, to, func() {
		ADDQ(U8(cols*elem), src)
		DECQ(blocks)
		JNE(LabelRef("block"))
		VZEROUPPER()
		RET()
	}
}

func transposeF64() {
	from, to, end := transpose("transposeF64AVX2", "transposeF64AVX2 transposes blocks of 4 rows and 4 columns that lie beside each other in src.", 4, 4, 8)
	var r, s [4]reg.VecVirtual
	for i := range r {
		r[i], s[i] = YMM(), YMM()
		VMOVUPD(from[i], r[i])
	}
	for i := 0; i < 4; i += 2 {
		VUNPCKLPD(r[i+1], r[i], s[i])
		VUNPCKHPD(r[i+1], r[i], s[i+1])
	}
	for i := range 2 {
		VPERM2F128(U8(0x20), s[i+2], s[i], r[i])
		VPERM2F128(U8(0x31), s[i+2], s[i], r[i+2])
	}
	for i := range r {
		VMOVUPD(r[i], to[i])
	}
	LEAQ(Mem{Base: to[0].Base, Index: to[1].Index, Scale: 4}, to[0].Base)
	end()
}

// quads transposes 4 x 4 blocks of float32 in both 128-bit halves of four registers.
func quads(r [4]reg.VecVirtual) [4]reg.VecVirtual {
	var s, q [4]reg.VecVirtual
	for i := range s {
		s[i], q[i] = YMM(), YMM()
	}
	VUNPCKLPS(r[1], r[0], s[0])
	VUNPCKHPS(r[1], r[0], s[1])
	VUNPCKLPS(r[3], r[2], s[2])
	VUNPCKHPS(r[3], r[2], s[3])
	VUNPCKLPD(s[2], s[0], q[0])
	VUNPCKHPD(s[2], s[0], q[1])
	VUNPCKLPD(s[3], s[1], q[2])
	VUNPCKHPD(s[3], s[1], q[3])
	return q
}

func transposeF32x8() {
	from, to, end := transpose("transposeF32x8AVX2", "transposeF32x8AVX2 transposes blocks of 8 rows and 8 columns that lie beside each other in src.", 8, 8, 4)
	var half [2][4]reg.VecVirtual
	for h := range half {
		var r [4]reg.VecVirtual
		for i := range r {
			r[i] = YMM()
			VMOVUPS(from[4*h+i], r[i])
		}
		half[h] = quads(r)
	}
	for _, sel := range []U8{0x20, 0x31} {
		for i := range 4 {
			x := YMM()
			VPERM2F128(sel, half[1][i], half[0][i], x)
			VMOVUPS(x, to[i])
		}
		LEAQ(Mem{Base: to[0].Base, Index: to[1].Index, Scale: 4}, to[0].Base)
	}
	end()
}

func transposeF32x4() {
	from, to, end := transpose("transposeF32x4AVX2", "transposeF32x4AVX2 transposes blocks of 4 rows and 8 columns that lie beside each other in src.", 4, 8, 4)
	var r [4]reg.VecVirtual
	for i := range r {
		r[i] = YMM()
		VMOVUPS(from[i], r[i])
	}
	q := quads(r)
	for h := range 2 {
		for i := range 4 {
			if h == 0 {
				VMOVUPS(q[i].AsX(), to[i])
			} else {
				VEXTRACTF128(U8(1), q[i], to[i])
			}
		}
		LEAQ(Mem{Base: to[0].Base, Index: to[1].Index, Scale: 4}, to[0].Base)
	}
	end()
}
