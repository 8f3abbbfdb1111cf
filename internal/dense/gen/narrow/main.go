// Command narrow writes the kernels between numbers of different lengths. Those of bfloat16 need AVX-512, the others AVX2.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	narrow()
	widen()
	interleave()
	scaleSingle()
	addDouble()
	Generate()
}

// kernel writes a loop over n elements, 16 at a time and the rest under the mask in part, which selects all lanes before that. advance
// moves the pointers by 16 elements.
func kernel(name, doc, params string, pointers []string, prepare func(), body func(p []reg.GPVirtual, mask reg.Register), advance []int) {
	TEXT(name, NOSPLIT, "func(n uintptr, "+params+" *byte)")
	Pragma("noescape")
	Doc(name + " " + doc)
	n := Load(Param("n"), GP64()).(reg.GPVirtual)
	var p []reg.GPVirtual
	for _, x := range pointers {
		p = append(p, Load(Param(x), GP64()).(reg.GPVirtual))
	}
	prepare()
	mask := K()
	KXNORW(mask, mask, mask)
	SUBQ(U8(16), n)
	JLT(LabelRef("rest"))
	Label("loop")
	body(p, mask)
	for i, step := range advance {
		ADDQ(U8(step), p[i])
	}
	SUBQ(U8(16), n)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(U8(16), n)
	JEQ(LabelRef("done"))
	bits := GP64()
	MOVQ(I32(-1), bits)
	BZHIQ(n, bits, bits)
	KMOVW(bits.As32(), mask)
	body(p, mask)
	Label("done")
	VZEROUPPER()
	RET()
}

// rounding holds what rounding needs in every lane.
type rounding struct{ one, half, quiet reg.VecVirtual }

func newRounding() *rounding { return &rounding{} }

func (r *rounding) prepare() {
	g := GP32()
	for _, c := range []struct {
		to    *reg.VecVirtual
		value uint32
	}{{&r.one, 1}, {&r.half, 0x7fff}, {&r.quiet, 0x400000}} {
		*c.to = ZMM()
		MOVL(U32(c.value), g)
		VPBROADCASTD(g, *c.to)
	}
}

// round returns numbers whose upper halves are those of x rounded to nearest, and to even between two; NaN stays NaN.
func (r *rounding) round(x reg.VecVirtual) reg.VecVirtual {
	y, nan := ZMM(), K()
	VPSRLD(U8(16), x, y)
	VPANDD(r.one, y, y)
	VPADDD(r.half, y, y)
	VPADDD(x, y, y)
	VCMPPS(U8(3), x, x, nan)
	VPORD(r.quiet, x, nan, y)
	return y
}

func load(p reg.Register, mask reg.Register) reg.VecVirtual {
	x := ZMM()
	VMOVUPS_Z(Mem{Base: p}, mask, x)
	return x
}

func narrow() {
	r := newRounding()
	kernel("narrowAVX512", "sets y to x, n elements in float32, rounded to bfloat16.", "x, y", []string{"x", "y"}, r.prepare, func(p []reg.GPVirtual, mask reg.Register) {
		y := r.round(load(p[0], mask))
		VPSRLD(U8(16), y, y)
		VPMOVDW(y, mask, Mem{Base: p[1]})
	}, []int{64, 32})
}

func widen() {
	kernel("widenAVX512", "sets the float32 y to x, n elements in bfloat16.", "x, y", []string{"x", "y"}, func() {}, func(p []reg.GPVirtual, mask reg.Register) {
		y := ZMM()
		VPMOVZXWD_Z(Mem{Base: p[0]}, mask, y)
		VPSLLD(U8(16), y, y)
		VMOVUPS(y, mask, Mem{Base: p[1]})
	}, []int{32, 64})
}

func interleave() {
	r := newRounding()
	doc := "sets the n pairs of y to the elements of a and b, in float32, rounded to bfloat16."
	kernel("interleaveAVX512", doc, "a, b, y", []string{"a", "b", "y"}, r.prepare, func(p []reg.GPVirtual, mask reg.Register) {
		low, high := r.round(load(p[0], mask)), r.round(load(p[1], mask))
		VPSRLD(U8(16), low, low)
		VPSRLD(U8(16), high, high)
		VPSLLD(U8(16), high, high)
		VPORD(high, low, low)
		VMOVUPS(low, mask, Mem{Base: p[2]})
	}, []int{64, 64, 64})
}

// group is the number of elements that scaleSingle and addDouble take at a time.
const group = 16

// groups writes a loop over groups of elements; advance moves the pointers.
func groups(name, doc, signature string, pointers []string, prepare func(), body func(p []reg.GPVirtual, i int), advance []int) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + " " + doc)
	n := Load(Param("groups"), GP64()).(reg.GPVirtual)
	var p []reg.GPVirtual
	for _, x := range pointers {
		p = append(p, Load(Param(x), GP64()).(reg.GPVirtual))
	}
	prepare()
	Label("loop")
	for i := range group / 4 {
		body(p, i)
	}
	for i, step := range advance {
		ADDQ(U8(step), p[i])
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func scaleSingle() {
	alpha := YMM()
	groups("scaleSingleAVX2", "sets the float32 y to alpha x, at least one group of 16 elements in float64.", "func(groups uintptr, alpha float64, x, y *byte)", []string{"x", "y"}, func() {
		p, err := Param("alpha").Resolve()
		if err != nil {
			panic(err)
		}
		VBROADCASTSD(p.Addr, alpha)
	}, func(p []reg.GPVirtual, i int) {
		x, y := YMM(), XMM()
		VMULPD(Mem{Base: p[0], Disp: 32 * i}, alpha, x)
		VCVTPD2PSY(x, y)
		VMOVUPS(y, Mem{Base: p[1], Disp: 16 * i})
	}, []int{8 * group, 4 * group})
}

func addDouble() {
	groups("addDoubleAVX2", "sets the float64 z to x + y, at least one group of 16 elements in float32.", "func(groups uintptr, x, y, z *byte)", []string{"x", "y", "z"}, func() {}, func(p []reg.GPVirtual, i int) {
		x, y := YMM(), YMM()
		VCVTPS2PD(Mem{Base: p[0], Disp: 16 * i}, x)
		VCVTPS2PD(Mem{Base: p[1], Disp: 16 * i}, y)
		VADDPD(y, x, x)
		VMOVUPD(x, Mem{Base: p[2], Disp: 32 * i})
	}, []int{4 * group, 4 * group, 8 * group})
}
