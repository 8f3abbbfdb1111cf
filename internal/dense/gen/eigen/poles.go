package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// constant broadcasts the 64 bits to v, through the general register t. Neither here nor in scalar may an instruction without the prefix of AVX stand: where wide registers
// are in use it costs some processors a microsecond and more.
func (s isa) constant(bits uint64, t reg.GPPhysical, v reg.VecPhysical) {
	MOVQ(U64(bits), t)
	VMOVQ(t, v.AsX())
	VBROADCASTSD(v.AsX(), v)
}

// scalar broadcasts a parameter to v.
func (s isa) scalar(name string, v reg.VecPhysical) {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSD(p.Addr, v)
}

// loop repeats body for n/8 groups of eight lanes, n > 0 a multiple of 8, and moves the pointers on.
func (s isa) loop(label string, n reg.Register, pointers []reg.GPPhysical, body func(part, disp int)) {
	Label(label)
	for p := range s.parts {
		body(p, s.bytes*p)
	}
	for _, ptr := range pointers {
		ADDQ(U8(64), ptr)
	}
	SUBQ(U8(8), n)
	JNE(LabelRef(label))
}

func (s isa) poleSums() {
	name := "poleSums" + s.suffix
	begin(name, "d, z2 *float64, n int, origin, tau float64, sums *float64",
		"stores the sums of t = z2/x, |t|, t/x and t/x^2, x = (d - origin) - tau, over n > 0 poles, n a multiple of 8.")
	d, z, n, at := reg.RSI, reg.RDI, reg.RCX, reg.RAX
	Load(Param("d"), d)
	Load(Param("z2"), z)
	Load(Param("n"), n)
	sums := s.fourSums()
	free := 4 * s.parts
	one, abs, origin, tau := s.vec(free), s.vec(free+1), s.vec(free+2), s.vec(free+3)
	s.constant(math.Float64bits(1), at, one)
	s.constant(1<<63-1, at, abs)
	s.scalar("origin", origin)
	s.scalar("tau", tau)
	s.loop(name+"_loop", n, []reg.GPPhysical{d, z}, func(p, disp int) {
		x, t, m := s.vec(free+4), s.vec(free+5), s.vec(free+6)
		VMOVUPD(Mem{Base: d, Disp: disp}, x)
		VSUBPD(origin, x, x)
		VSUBPD(tau, x, x)
		VDIVPD(x, one, x)
		VMULPD(Mem{Base: z, Disp: disp}, x, t)
		VADDPD(t, sums[0][p], sums[0][p])
		VANDPD(abs, t, m)
		VADDPD(m, sums[1][p], sums[1][p])
		VMULPD(x, t, t)
		VADDPD(t, sums[2][p], sums[2][p])
		VFMADD231PD(x, t, sums[3][p])
	})
	Load(Param("sums"), at)
	s.fold(sums, s.vec(free), Mem{Base: at})
}

func (s isa) poleQuotients() {
	name := "poleQuotients" + s.suffix
	begin(name, "z, x *float64, n int, sums *float64",
		"replaces x by z/x and stores the sum of its squares, in the first of four sums, over n > 0 poles, n a multiple of 8.")
	z, x, n, at := reg.RSI, reg.RDI, reg.RCX, reg.RAX
	Load(Param("z"), z)
	Load(Param("x"), x)
	Load(Param("n"), n)
	sums := s.fourSums()
	q := s.vec(4 * s.parts)
	s.loop(name+"_loop", n, []reg.GPPhysical{z, x}, func(p, disp int) {
		VMOVUPD(Mem{Base: z, Disp: disp}, q)
		VDIVPD(Mem{Base: x, Disp: disp}, q, q)
		VMOVUPD(q, Mem{Base: x, Disp: disp})
		VFMADD231PD(q, q, sums[0][p])
	})
	Load(Param("sums"), at)
	s.fold(sums, q, Mem{Base: at})
}

func (s isa) poleWeights() {
	name := "poleWeights" + s.suffix
	begin(name, "zh, d, r *float64, stride, n int, dj *float64",
		"multiplies zh by r0 r1 r2 r3 / ((d - dj0) (d - dj1) (d - dj2) (d - dj3)), the rows of r stride bytes apart, over n > 0 poles, n a multiple of 8.")
	zh, d, r, n := reg.RDI, reg.RSI, reg.RDX, reg.RCX
	stride, stride3, dj := reg.R8, reg.R9, reg.RAX
	Load(Param("zh"), zh)
	Load(Param("d"), d)
	Load(Param("r"), r)
	Load(Param("stride"), stride)
	Load(Param("n"), n)
	Load(Param("dj"), dj)
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	for i := range 4 {
		VBROADCASTSD(Mem{Base: dj, Disp: 8 * i}, s.vec(i))
	}
	s.loop(name+"_loop", n, []reg.GPPhysical{zh, d, r}, func(_, disp int) {
		row := func(i int) Mem {
			m := Mem{Base: r, Disp: disp, Index: stride, Scale: uint8(i)}
			if i == 3 {
				m.Index, m.Scale = stride3, 1
			}
			return m
		}
		num, num2, pole, den, den2, t := s.vec(4), s.vec(5), s.vec(6), s.vec(7), s.vec(8), s.vec(9)
		VMOVUPD(Mem{Base: r, Disp: disp}, num)
		VMULPD(row(1), num, num)
		VMOVUPD(row(2), num2)
		VMULPD(row(3), num2, num2)
		VMULPD(num2, num, num)
		VMOVUPD(Mem{Base: d, Disp: disp}, pole)
		VSUBPD(s.vec(0), pole, den)
		VSUBPD(s.vec(1), pole, t)
		VMULPD(t, den, den)
		VSUBPD(s.vec(2), pole, den2)
		VSUBPD(s.vec(3), pole, t)
		VMULPD(t, den2, den2)
		VMULPD(den2, den, den)
		VDIVPD(den, num, num)
		VMULPD(Mem{Base: zh, Disp: disp}, num, num)
		VMOVUPD(num, Mem{Base: zh, Disp: disp})
	})
	VZEROUPPER()
	RET()
}
