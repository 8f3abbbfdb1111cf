package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

// factored is the number of rows at most.
const factored = 64

// factorer is factor while it is written.
type factorer struct {
	*lanes.Lanes
	block, step, three           reg.GPVirtual
	row, diagonal, coef, inverse reg.GPVirtual // of the first of the rows that are made together
	i, offset                    reg.GPVirtual // that row, and where the present columns are in a row
}

// factor makes four rows at a time, from left to right: the terms of the rows before them, and then the triangle of their own. The terms of an element are subtracted in the order of
// the rows.
func factor(l *lanes.Lanes) {
	l.Text("factor", "rows uintptr, block *byte, step, width uintptr, pivots, done *byte", "overwrites the upper triangle of the block, whose rows are step bytes apart, with the R of R'R, except",
		"for its diagonal, which follows the 64 inverses of it in pivots. The number of rows is a multiple of 4, the width of a row in bytes one of a vector.",
		"done is set to the number of rows done: all, or those before the first pivot that is not positive and finite. Below the diagonal anything may stand before, and zeros",
		"stand after.")
	f := &factorer{Lanes: l, block: pointer("block"), step: pointer("step"), three: GP64(), row: GP64(), diagonal: GP64(), coef: GP64(),
		inverse: pointer("pivots"), i: GP64(), offset: GP64()}
	LEAQ(Mem{Base: f.step, Index: f.step, Scale: 2}, f.three)
	MOVQ(f.block, f.diagonal)
	MOVQ(f.block, f.row)
	MOVQ(f.block, f.coef)
	XORQ(f.i, f.i)
	left := GP64()
	Label("rows")
	Load(Param("rows"), left)
	CMPQ(f.i, left)
	JGE(LabelRef("end"))
	MOVQ(f.i, f.offset)
	SHLQ(U8(shift(l.Size())), f.offset)
	ANDQ(I8(-l.Bytes()), f.offset)
	f.clearLeft()
	for _, first := range []bool{true, false} {
		name := "rest"
		if first {
			name = "own"
		}
		Label(name)
		Load(Param("width"), left)
		SUBQ(f.offset, left)
		if !first {
			JE(LabelRef("next"))
		}
		most := l.Bytes() / 16 // the registers hold four rows of four vectors, or two
		for c := most; c > 0; c-- {
			label := fmt.Sprint(name, c)
			if c > 1 {
				CMPQ(left, U32(c*l.Bytes()))
				JLT(LabelRef(label + "less"))
			}
			f.tile(label, c, first)
			ADDQ(U32(c*l.Bytes()), f.offset)
			JMP(LabelRef("rest"))
			Label(label + "less")
		}
	}
	Label("next")
	for range rowsAtOnce {
		ADDQ(f.step, f.row)
		ADDQ(f.step, f.diagonal)
	}
	for _, p := range []reg.GPVirtual{f.diagonal, f.coef, f.inverse} {
		ADDQ(U8(rowsAtOnce*l.Size()), p)
	}
	ADDQ(U8(rowsAtOnce), f.i)
	JMP(LabelRef("rows"))
	for r := rowsAtOnce - 1; r > 0; r-- {
		Label(fmt.Sprint("stop", r))
		INCQ(f.i)
	}
	Label("stop0")
	Label("end")
	MOVQ(f.i, Mem{Base: pointer("done")})
	VZEROUPPER()
	RET()
}

func shift(size int) int {
	if size == 8 {
		return 3
	}
	return 2
}

// clearLeft clears the whole vectors left of the diagonal.
func (f *factorer) clearLeft() {
	to, left, zero := GP64(), GP64(), f.Zero()
	MOVQ(f.row, to)
	MOVQ(f.offset, left)
	JMP(LabelRef("cleared"))
	Label("clear")
	for r := range rowsAtOnce {
		f.Store(zero, nth(to, f.step, f.three, r, 0))
	}
	ADDQ(U8(f.Bytes()), to)
	SUBQ(U8(f.Bytes()), left)
	Label("cleared")
	TESTQ(left, left)
	JNE(LabelRef("clear"))
}

// tile makes four rows of some vectors, among which is the diagonal if they are the first ones.
func (f *factorer) tile(name string, vectors int, first bool) {
	to, up, coef, k := GP64(), GP64(), GP64(), GP64()
	LEAQ(Mem{Base: f.row, Index: f.offset, Scale: 1}, to)
	LEAQ(Mem{Base: f.block, Index: f.offset, Scale: 1}, up)
	MOVQ(f.coef, coef)
	place := func(r, v int) Mem { return nth(to, f.step, f.three, r, v*f.Bytes()) }
	var sum [rowsAtOnce][4]reg.VecVirtual
	for r := range rowsAtOnce {
		for v := range vectors {
			sum[r][v] = f.Load(place(r, v))
		}
	}
	MOVQ(f.i, k)
	TESTQ(k, k)
	JE(LabelRef(name + "triangle"))
	Label(name + "term")
	var x [4]reg.VecVirtual
	for v := range vectors {
		x[v] = f.Load(Mem{Base: up, Disp: v * f.Bytes()})
	}
	for r := range rowsAtOnce {
		c := f.Broadcast(Mem{Base: coef, Disp: r * f.Size()})
		for v := range vectors {
			f.FNMA(c, x[v], sum[r][v])
		}
	}
	ADDQ(f.step, up)
	ADDQ(f.step, coef)
	DECQ(k)
	JNE(LabelRef(name + "term"))
	Label(name + "triangle")
	mask := k
	if first {
		f.startMask(mask)
	}
	onDiagonal := func(r, right int) Mem { return nth(f.diagonal, f.step, f.three, r, (r+right)*f.Size()) }
	for r := range rowsAtOnce {
		var inverse reg.VecVirtual
		if first {
			f.Store(sum[r][0], place(r, 0))
			inverse = f.pivot(r, onDiagonal(r, 0))
		} else {
			inverse = f.Broadcast(Mem{Base: f.inverse, Disp: r * f.Size()})
		}
		for v := range vectors {
			sum[r][v] = f.Mul(inverse, sum[r][v])
			if first && v == 0 {
				sum[r][v] = f.And(sum[r][v], f.rightOf(mask, r))
			}
			f.Store(sum[r][v], place(r, v))
		}
		for below := r + 1; below < rowsAtOnce; below++ {
			c := f.Broadcast(onDiagonal(r, below-r))
			for v := range vectors {
				f.FNMA(c, sum[r][v], sum[below][v])
			}
		}
	}
}

// startMask sets at to where rightOf finds the lanes of the first row.
func (f *factorer) startMask(at reg.GPVirtual) {
	begin := GP64()
	MOVQ(f.i, at)
	SHLQ(U8(shift(f.Size())), at)
	ANDQ(U32(f.Bytes()-1), at)
	LEAQ(rightMasks().Offset(64), begin)
	SUBQ(at, begin)
	MOVQ(begin, at)
}

// rightOf returns set lanes from the diagonal of row r on.
func (f *factorer) rightOf(at reg.GPVirtual, r int) Mem { return Mem{Base: at, Disp: -r * f.Size()} }

var rightTable *Mem

// rightMasks returns 64 bytes of zeros and 64 of ones.
func rightMasks() Mem {
	if rightTable == nil {
		m := GLOBL("rightBits", RODATA|NOPTR)
		for i := range 16 {
			v := U64(0)
			if i >= 8 {
				v = U64(1<<64 - 1)
			}
			DATA(8*i, v)
		}
		rightTable = &m
	}
	return *rightTable
}

// pivot stores the root of the pivot of a row and its inverse, which it returns in every lane, or stops.
func (f *factorer) pivot(r int, at Mem) reg.VecVirtual {
	zero, inf, one := XMM(), f.Constant("infinity", 0x7ff0000000000000, 0x7f800000).AsX(), f.Constant("one", 0x3ff0000000000000, 0x3f800000).AsX()
	pivot, root, inverse := XMM(), XMM(), XMM()
	VXORPD(zero, zero, zero)
	stop := LabelRef(fmt.Sprint("stop", r))
	if f.Double {
		VMOVSD(at, pivot)
		VUCOMISD(zero, pivot)
		JLS(stop)
		VUCOMISD(inf, pivot)
		JCC(stop)
		VSQRTSD(pivot, pivot, root)
		VDIVSD(root, one, inverse)
		VMOVSD(root, Mem{Base: f.inverse, Disp: (factored + r) * f.Size()})
		VMOVSD(inverse, Mem{Base: f.inverse, Disp: r * f.Size()})
		return f.Broadcast(inverse)
	}
	VMOVSS(at, pivot)
	VUCOMISS(zero, pivot)
	JLS(stop)
	VUCOMISS(inf, pivot)
	JCC(stop)
	VSQRTSS(pivot, pivot, root)
	VDIVSS(root, one, inverse)
	VMOVSS(root, Mem{Base: f.inverse, Disp: (factored + r) * f.Size()})
	VMOVSS(inverse, Mem{Base: f.inverse, Disp: r * f.Size()})
	return f.Broadcast(inverse)
}
