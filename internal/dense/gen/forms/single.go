package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

// Vectors of points in a tile of forms, and rows and columns of a tile of the moment, without AVX-512.
const formVectorsAVX2, momentRowsAVX2 = 3, 3

// multiples returns the addresses of neighbouring rows, of which there may be five.
func multiples(stride reg.GPVirtual) func(base reg.Register, i int) Mem {
	three := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	return func(base reg.Register, i int) Mem {
		return [5]Mem{{Base: base}, {Base: base, Index: stride, Scale: 1}, {Base: base, Index: stride, Scale: 2}, {Base: base, Index: three, Scale: 1},
			{Base: base, Index: stride, Scale: 4}}[i]
	}
}

// singleForms sums z_i w_i over the rows of z = H w, for a few vectors of points after the other.
func singleForms(l *lanes.Lanes) {
	const rows = formRows
	vectors := formVectorsAVX2
	if l.Wide {
		vectors = formVectors
	}
	l.Text("singleForms", "h, w *byte, stride, skip, tiles, groups uintptr, q *byte",
		"adds w'Hw to q for groups of a few vectors of points w. The rows of the lower triangular H come in tiles of 4: of each, column",
		"after column up to the diagonal, its rows. w has the rows of every tile, a row every stride bytes; H has none of the first skip columns.")
	h, w, stride, skip, groups, q := lanes.Parameter("h"), lanes.Parameter("w"), lanes.Parameter("stride"), lanes.Parameter("skip"), lanes.Parameter("groups"), lanes.Parameter("q")
	row := multiples(stride)
	first, length := GP64(), GP64()
	MOVQ(skip, first)
	IMULQ(stride, first)
	ADDQ(w, first) // first row that is no padding
	MOVQ(U32(rows), length)
	SUBQ(skip, length)

	Label("group")
	a, own, k, tiles := GP64(), GP64(), GP64(), GP64()
	MOVQ(h, a)
	MOVQ(w, own)
	MOVQ(length, k)
	Load(Param("tiles"), tiles)

	Label("tile")
	sums := make([]reg.VecVirtual, rows*vectors)
	for i := range sums {
		sums[i] = l.Zero()
	}
	b, count := GP64(), GP64()
	MOVQ(first, b)
	MOVQ(k, count)
	Label("column")
	points := make([]reg.VecVirtual, vectors)
	for v := range points {
		points[v] = l.Load(Mem{Base: b, Disp: l.Bytes() * v})
	}
	for i := range rows {
		x := l.Broadcast(Mem{Base: a, Disp: l.Size() * i})
		for v, p := range points {
			l.FMA(x, p, sums[i*vectors+v])
		}
	}
	ADDQ(U8(l.Size()*rows), a)
	ADDQ(stride, b)
	DECQ(count)
	JNE(LabelRef("column"))
	for v := range vectors {
		total := l.Load(Mem{Base: q, Disp: l.Bytes() * v})
		for r := range rows {
			m := row(own, r)
			m.Disp = l.Bytes() * v
			l.FMA(m, sums[r*vectors+v], total)
		}
		l.Store(total, Mem{Base: q, Disp: l.Bytes() * v})
	}
	LEAQ(Mem{Base: own, Index: stride, Scale: rows}, own)
	ADDQ(U8(rows), k)
	DECQ(tiles)
	JNE(LabelRef("tile"))

	for _, p := range []reg.Register{q, w, first} {
		ADDQ(U32(l.Bytes()*vectors), p)
	}
	DECQ(groups)
	JNE(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// singleWeigh multiplies rows of points by the forms.
func singleWeigh(l *lanes.Lanes) {
	l.Text("singleWeigh", "w *byte, stride uintptr, q *byte, steps, rows uintptr, s *byte",
		"sets s to the rows of points w, multiplied by q: steps of a vector. A row of w and s has stride bytes.")
	w, s, stride, rows := lanes.Parameter("w"), lanes.Parameter("s"), lanes.Parameter("stride"), lanes.Parameter("rows")
	Label("row")
	q, steps, from, to := lanes.Parameter("q"), lanes.Parameter("steps"), GP64(), GP64()
	MOVQ(w, from)
	MOVQ(s, to)
	Label("step")
	l.Store(l.Mul(l.Load(Mem{Base: q}), Mem{Base: from}), Mem{Base: to})
	for _, p := range []reg.Register{q, from, to} {
		ADDQ(U8(l.Bytes()), p)
	}
	DECQ(steps)
	JNE(LabelRef("step"))
	ADDQ(stride, w)
	ADDQ(stride, s)
	DECQ(rows)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// singleMoment adds inner products of rows as numbers, as moment does with AVX-512.
func singleMoment() {
	const side = momentRowsAVX2
	l := &lanes.Lanes{}
	l.Text("singleMoment", "s, w *byte, stride, steps, tiles uintptr, sums *byte",
		"adds to the sums the inner products of rows of s and w for each tile on and above the diagonal, row after row of tiles, 9",
		"numbers a tile. A row of s and w has steps of a vector and stride bytes.")
	s, w, stride, tiles, sums := lanes.Parameter("s"), lanes.Parameter("w"), lanes.Parameter("stride"), lanes.Parameter("tiles"), lanes.Parameter("sums")
	row := multiples(stride)
	all := GP64()
	MOVQ(stride, all)
	IMUL3Q(U8(side), all, all)
	Label("row")
	column, rest := GP64(), GP64()
	MOVQ(w, column)
	MOVQ(tiles, rest)
	Label("tile")
	sum := make([]reg.VecVirtual, side*side)
	for i := range sum {
		sum[i] = l.Zero()
	}
	a, b, steps := GP64(), GP64(), GP64()
	MOVQ(s, a)
	MOVQ(column, b)
	Load(Param("steps"), steps)
	Label("step")
	left := make([]reg.VecVirtual, side)
	for i := range left {
		left[i] = l.Load(row(a, i))
	}
	for j := range side {
		x := l.Load(row(b, j))
		for i, y := range left {
			l.FMA(y, x, sum[i*side+j])
		}
	}
	ADDQ(U8(l.Bytes()), a)
	ADDQ(U8(l.Bytes()), b)
	DECQ(steps)
	JNE(LabelRef("step"))
	addNumbersAVX2(sum, sums)
	ADDQ(U8(l.Size()*side*side), sums)
	ADDQ(all, column)
	DECQ(rest)
	JNE(LabelRef("tile"))
	ADDQ(all, s)
	ADDQ(all, w)
	DECQ(tiles)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// addNumbersAVX2 adds the sums of the lanes of 9 registers to as many numbers.
func addNumbersAVX2(sum []reg.VecVirtual, sums reg.Register) {
	for step, ops := range [3][2]func(...Op){{VUNPCKLPS, VUNPCKHPS}, {VUNPCKLPD, VUNPCKHPD}} {
		for i := 0; i < 8; i += 2 << step {
			a, b, x, y := sum[i], sum[i+(1<<step)], YMM(), YMM()
			if step < 2 {
				ops[0](b, a, x)
				ops[1](b, a, y)
			} else {
				VPERM2F128(U8(0x20), b, a, x)
				VPERM2F128(U8(0x31), b, a, y)
			}
			VADDPS(x, y, a)
		}
	}
	VADDPS(Mem{Base: sums}, sum[0], sum[0])
	VMOVUPS(sum[0], Mem{Base: sums})
	last, x := sum[8].AsX(), XMM()
	VEXTRACTF128(U8(1), sum[8], x)
	VADDPS(x, last, last)
	VUNPCKHPD(last, last, x)
	VADDPS(x, last, last)
	VMOVSHDUP(last, x)
	VADDPS(x, last, last)
	m := Mem{Base: sums, Disp: 32}
	VADDSS(m, last, last)
	VMOVSS(last, m)
}
