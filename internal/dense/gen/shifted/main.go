// Command shifted writes the kernels of the iteration for shifted systems.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

func main() {
	ConstraintExpr("amd64")
	lanes.Masks()
	lanes.Each(start)
	lanes.Each(step)
	Generate()
}

func pointer(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// inMemory is a parameter that stays where it was passed.
func inMemory(name string) Op {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

// rows writes a loop over the rows; body(at) is called for the vectors of a row, at(p) being the place of the vector in the row at p. The
// pointers of wide move on by the parameter stride, those of narrow by n elements, d by one element.
func rows(l *lanes.Lanes, n reg.GPVirtual, d reg.Register, wide, narrow []reg.Register, first func(), body func(at func(p reg.Register) Mem)) {
	left, count, offset := pointer("rows"), GP64(), GP64()
	Label("row")
	first()
	MOVQ(n, count)
	XORQ(offset, offset)
	l.Loop("lane", count, []reg.Register{offset}, func() {
		body(func(p reg.Register) Mem { return Mem{Base: p, Index: offset, Scale: 1} })
	})
	for _, p := range wide {
		ADDQ(inMemory("stride"), p)
	}
	for _, p := range narrow {
		LEAQ(Mem{Base: p, Index: n, Scale: uint8(l.Size())}, p)
	}
	ADDQ(U8(l.Size()), d)
	DECQ(left)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

func start(l *lanes.Lanes) {
	l.Text("shiftedStart", "n, rows, stride uintptr, d, s, y *byte, yStride uintptr, w, rhs, z, prev *byte",
		"sets w = 1/(d + s) and rhs, z and prev to w y. Rows of rhs, z and prev are stride bytes apart, those of y yStride.")
	n, d, s, y, w := pointer("n"), pointer("d"), pointer("s"), pointer("y"), pointer("w")
	g, z, prev := pointer("rhs"), pointer("z"), pointer("prev")
	one := l.Constant("one", 0x3ff0000000000000, 0x3f800000)
	var di, yi reg.VecVirtual
	rows(l, n, d, []reg.Register{g, z, prev}, []reg.Register{w}, func() {
		di, yi = l.Broadcast(Mem{Base: d}), l.Broadcast(Mem{Base: y})
		ADDQ(inMemory("yStride"), y)
	}, func(at func(reg.Register) Mem) {
		inv := l.Div(one, l.Add(di, l.Load(at(s))))
		v := l.Mul(inv, yi)
		l.Store(inv, at(w))
		l.Store(v, at(g))
		l.Store(v, at(z))
		l.Store(v, at(prev))
	})
}

func step(l *lanes.Lanes) {
	l.Text("shiftedStep", "n, rows, stride uintptr, d, s, w, rhs, z, mz, prev, res *byte, omega, step "+l.Elem(),
		"sets mz = rhs - w (mz + s z), adds ((d + s) mz) mz to res and moves prev by omega (z - prev) + step mz.")
	n, d, s, w, res := pointer("n"), pointer("d"), pointer("s"), pointer("w"), pointer("res")
	g, z, mz, prev := pointer("rhs"), pointer("z"), pointer("mz"), pointer("prev")
	omega, size := l.Broadcast(inMemory("omega")), l.Broadcast(inMemory("step"))
	var di reg.VecVirtual
	rows(l, n, d, []reg.Register{g, z, mz, prev}, []reg.Register{w}, func() {
		di = l.Broadcast(Mem{Base: d})
	}, func(at func(reg.Register) Mem) {
		sj, zj := l.Load(at(s)), l.Load(at(z))
		t := l.Load(at(mz))
		l.FMA(sj, zj, t)
		v := l.Load(at(g))
		l.FNMA(l.Load(at(w)), t, v)
		l.Store(v, at(mz))
		sum := l.Load(at(res))
		l.FMA(l.Mul(l.Add(di, sj), v), v, sum) // in this order: v^2 may underflow where (d + s) v^2 does not
		l.Store(sum, at(res))
		p := l.Load(at(prev))
		l.FMA(omega, l.Sub(zj, p), p)
		l.FMA(size, v, p)
		l.Store(p, at(prev))
	})
}
