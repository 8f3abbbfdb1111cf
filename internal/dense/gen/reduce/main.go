// Command reduce writes the kernels that bring bundles of symmetric matrices to tridiagonal form and back: a vector of 32 bytes holds one element of each
// matrix, and 16 vectors are a tile of 4 x 4 elements, row after row.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	side   = 4
	vector = 32
	row    = side * vector
	tile   = side * row
)

func main() {
	ConstraintExpr("amd64")
	rankTwo("AVX512", true)
	rankTwo("AVX2", false)
	dot()
	blend()
	tileRow()
	grow()
	pivots()
	diagonals()
	Generate()
}

func text(name, params, doc string) {
	TEXT(name, NOSPLIT, "func("+params+")")
	Pragma("noescape")
	Doc(name + " " + doc)
}

func pointer(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

func at(p reg.Register, i int) Mem { return Mem{Base: p, Disp: i * vector} }

// operands of one kind: vectors v, w, x and sums y.
type operands [4]reg.GPVirtual

func (o operands) advance(by int) {
	for _, p := range o {
		ADDQ(U32(by), p)
	}
}

// rankTwo takes v w' + w v' from a triangle of tiles and multiplies it with x in one pass.
func rankTwo(suffix string, wide bool) {
	text("bundleRankTwo"+suffix, "a, v, w, x, y *byte, side uintptr",
		"takes v w' + w v' from the triangle a of side rows of tiles, which follow one another, and adds the product of what is left with x to y.")
	a, rows := pointer("a"), pointer("side")
	own := operands{pointer("v"), pointer("w"), pointer("x"), pointer("y")}
	Label("row")
	diagonal(a, own)
	other := operands{GP64(), GP64(), GP64(), GP64()}
	left := GP64()
	if wide {
		beside(a, own, other, rows, left, 0, side, true)
	} else {
		beside(a, own, other, rows, left, 0, side/2, false)
		beside(a, own, other, rows, left, side/2, side/2, false)
	}
	MOVQ(rows, left)
	SHLQ(U8(9), left)
	ADDQ(left, a)
	own.advance(row)
	DECQ(rows)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// diagonal does the tile on the diagonal, of which the upper triangle counts.
func diagonal(a reg.GPVirtual, o operands) {
	v, w, x, y := o[0], o[1], o[2], o[3]
	for i := range side {
		vi, wi, xi, yi := YMM(), YMM(), YMM(), YMM()
		VMOVUPS(at(v, i), vi)
		VMOVUPS(at(w, i), wi)
		VMOVUPS(at(x, i), xi)
		VMOVUPS(at(y, i), yi)
		for j := i; j < side; j++ {
			e := YMM()
			VMOVUPS(at(a, i*side+j), e)
			VFNMADD231PD(at(w, j), vi, e)
			VFNMADD231PD(at(v, j), wi, e)
			VMOVUPS(e, at(a, i*side+j))
			VFMADD231PD(at(x, j), e, yi)
			if j > i {
				yj := YMM()
				VMOVUPS(at(y, j), yj)
				VFMADD231PD(e, xi, yj)
				VMOVUPS(yj, at(y, j))
			}
		}
		VMOVUPS(yi, at(y, i))
	}
}

// beside does some rows of the tiles right of the one on the diagonal. Even and odd columns have sums of their own for either width of vectors, so that both give
// the same bits.
func beside(a reg.GPVirtual, own, other operands, tiles, left reg.GPVirtual, first, rows int, wide bool) {
	name := "half" + string(rune('0'+first))
	vec, bytes := YMM, vector
	if wide {
		vec, bytes = ZMM, 2*vector
	}
	MOVQ(tiles, left)
	DECQ(left)
	JZ(LabelRef(name + "done"))
	at2 := GP64()
	LEAQ(Mem{Base: a, Disp: tile}, at2)
	for k, p := range own {
		LEAQ(Mem{Base: p, Disp: row}, other[k])
	}
	var mine [3][side]reg.VecVirtual
	parity := 2 * vector / bytes // vectors that a pair of columns takes
	var sums [side][2]reg.VecVirtual
	for k := range mine {
		for i := range rows {
			mine[k][i] = vec()
			m := at(own[k], first+i)
			if wide {
				VBROADCASTF64X4(m, mine[k][i])
			} else {
				VMOVUPS(m, mine[k][i])
			}
		}
	}
	for i := range rows {
		for k := range parity {
			s := vec()
			if wide {
				VPXORQ(s, s, s)
			} else {
				VXORPS(s, s, s)
			}
			sums[i][k] = s
		}
	}
	Label(name)
	for c := 0; c < row; c += bytes {
		v, w, x, y := vec(), vec(), vec(), vec()
		for k, r := range []reg.VecVirtual{v, w, x, y} {
			VMOVUPS(Mem{Base: other[k], Disp: c}, r)
		}
		for i := range rows {
			m := Mem{Base: at2, Disp: (first+i)*row + c}
			e := vec()
			VMOVUPS(m, e)
			VFNMADD231PD(w, mine[0][i], e)
			VFNMADD231PD(v, mine[1][i], e)
			VMOVUPS(e, m)
			VFMADD231PD(e, x, sums[i][c/bytes%parity])
			VFMADD231PD(e, mine[2][i], y)
		}
		VMOVUPS(y, Mem{Base: other[3], Disp: c})
	}
	ADDQ(U32(tile), at2)
	other.advance(row)
	DECQ(left)
	JNE(LabelRef(name))
	for i := range rows {
		even, odd := sums[i][0].AsY(), sums[i][1]
		if wide {
			odd = YMM()
			VEXTRACTF64X4(U8(1), sums[i][0], odd)
		}
		VADDPD(odd, even, even)
		VADDPD(at(own[3], first+i), even, even)
		VMOVUPS(even, at(own[3], first+i))
	}
	Label(name + "done")
}

// dot multiplies vectors of lanes.
func dot() {
	text("laneDot", "dst, x, y *byte, count uintptr", "sets the vector dst to the sum of the products of count vectors x and y, a multiple of 4.")
	dst, x, y, count := pointer("dst"), pointer("x"), pointer("y"), pointer("count")
	sums := [4]reg.VecVirtual{YMM(), YMM(), YMM(), YMM()}
	for _, s := range sums {
		VXORPS(s, s, s)
	}
	Label("four")
	for i, s := range sums {
		e := YMM()
		VMOVUPS(at(x, i), e)
		VFMADD231PD(at(y, i), e, s)
	}
	ADDQ(U32(row), x)
	ADDQ(U32(row), y)
	SUBQ(U8(4), count)
	JNE(LabelRef("four"))
	VADDPD(sums[1], sums[0], sums[0])
	VADDPD(sums[3], sums[2], sums[2])
	VADDPD(sums[2], sums[0], sums[0])
	VMOVUPS(sums[0], at(dst, 0))
	VZEROUPPER()
	RET()
}

// blend combines vectors of lanes.
func blend() {
	text("laneBlend", "dst, a, x, b, y *byte, count uintptr", "sets count vectors dst, a multiple of 4, to a x + b y for vectors a and b.")
	dst, x, y, count := pointer("dst"), pointer("x"), pointer("y"), pointer("count")
	a, b := YMM(), YMM()
	VMOVUPS(at(pointer("a"), 0), a)
	VMOVUPS(at(pointer("b"), 0), b)
	Label("four")
	for i := range side {
		e := YMM()
		VMULPD(at(x, i), a, e)
		VFMADD231PD(at(y, i), b, e)
		VMOVUPS(e, at(dst, i))
	}
	ADDQ(U32(row), x)
	ADDQ(U32(row), y)
	ADDQ(U32(row), dst)
	SUBQ(U8(4), count)
	JNE(LabelRef("four"))
	VZEROUPPER()
	RET()
}

// tileRow reads a row that lies in tiles.
func tileRow() {
	text("laneRow", "dst, a, v, w, vi, wi *byte, tiles uintptr", "sets dst to a row of tiles, whose first element is a, less vi w + wi v.")
	dst, a, v, w, tiles := pointer("dst"), pointer("a"), pointer("v"), pointer("w"), pointer("tiles")
	vi, wi := YMM(), YMM()
	VMOVUPS(at(pointer("vi"), 0), vi)
	VMOVUPS(at(pointer("wi"), 0), wi)
	Label("tile")
	for i := range side {
		e := YMM()
		VMOVUPS(at(a, i), e)
		VFNMADD231PD(at(w, i), vi, e)
		VFNMADD231PD(at(v, i), wi, e)
		VMOVUPS(e, at(dst, i))
	}
	ADDQ(U32(tile), a)
	ADDQ(U32(row), v)
	ADDQ(U32(row), w)
	ADDQ(U32(row), dst)
	DECQ(tiles)
	JNE(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// grow makes the next row of a sum of inverses from the one below it.
func grow() {
	text("laneGrow", "row, part, v, next, t, r, h, diagonal, place, own, tau *byte, terms, tiles uintptr",
		"replaces terms vectors part for each column by r (part - t v), adds them up to row, which lies in tiles, and sets h to their products with next. Then it adds terms vectors own to diagonal and to h, copies them to place and sets t = tau h.")
	out, part, v, next, tiles := pointer("row"), pointer("part"), pointer("v"), pointer("next"), pointer("tiles")
	t, r, h, terms := pointer("t"), pointer("r"), pointer("h"), pointer("terms")
	SHLQ(U8(5), terms)
	k := GP64()
	none := YMM()
	VXORPS(none, none, none)
	each := func(label string, do func()) {
		XORQ(k, k)
		Label(label)
		do()
		ADDQ(U8(vector), k)
		CMPQ(k, terms)
		JNE(LabelRef(label))
	}
	of := func(p reg.Register) Mem { return Mem{Base: p, Index: k, Scale: 1} }
	each("zero", func() { VMOVUPS(none, of(h)) })
	Label("tile")
	for i := range side {
		sum, vi, ni := YMM(), YMM(), YMM()
		VXORPS(sum, sum, sum)
		VMOVUPS(at(v, i), vi)
		VMOVUPS(at(next, i), ni)
		each("term"+string(rune('0'+i)), func() {
			e, dots := YMM(), YMM()
			VMOVUPS(Mem{Base: part}, e)
			VMOVUPS(of(h), dots)
			VFNMADD231PD(of(t), vi, e)
			VMULPD(of(r), e, e)
			VMOVUPS(e, Mem{Base: part})
			VADDPD(e, sum, sum)
			VFMADD231PD(e, ni, dots)
			VMOVUPS(dots, of(h))
			ADDQ(U8(vector), part)
		})
		VMOVUPS(sum, at(out, i))
	}
	ADDQ(U32(tile), out)
	ADDQ(U32(row), v)
	ADDQ(U32(row), next)
	DECQ(tiles)
	JNE(LabelRef("tile"))
	diagonal, place, own := pointer("diagonal"), pointer("place"), pointer("own")
	sum, factor := YMM(), YMM()
	VMOVUPS(Mem{Base: diagonal}, sum)
	VMOVUPS(Mem{Base: pointer("tau")}, factor)
	each("own", func() {
		e := YMM()
		VMOVUPS(of(own), e)
		VMOVUPS(e, of(place))
		VADDPD(e, sum, sum)
		VADDPD(of(h), e, e)
		VMOVUPS(e, of(h))
		VMULPD(factor, e, e)
		VMOVUPS(e, of(t))
	})
	VMOVUPS(sum, Mem{Base: diagonal})
	VZEROUPPER()
	RET()
}

// pivots makes the ratios of neighbours in the columns of the inverses of shifted tridiagonal matrices.
func pivots() {
	text("lanePivots", "ratio, inverse, d, e, shift *byte, terms, rows uintptr",
		"sets inverse to the reciprocals of the pivots of tridiagonal matrices with the diagonal d and the off-diagonal e plus the scalars shift, and ratio to -e times them.")
	ratio, inverse, d, e := pointer("ratio"), pointer("inverse"), pointer("d"), pointer("e")
	shift, terms, rows := pointer("shift"), pointer("terms"), pointer("rows")
	before, k, at := GP64(), GP64(), GP64()
	one, x, bits := YMM(), XMM(), GP64()
	MOVQ(U64(0x3ff0000000000000), bits)
	VMOVQ(bits, x)
	VBROADCASTSD(x, one)
	zero, last := YMM(), YMM()
	VXORPS(zero, zero, zero)
	VXORPS(last, last, last)
	MOVQ(ratio, before)
	Label("row")
	own, off := YMM(), YMM()
	VMOVUPS(Mem{Base: d}, own)
	VSUBPD(Mem{Base: e}, zero, off)
	XORQ(k, k)
	Label("term")
	p, q := YMM(), YMM()
	VBROADCASTSD(Mem{Base: shift, Index: k, Scale: 8}, p)
	VADDPD(own, p, p)
	VMOVUPS(Mem{Base: before}, q)
	VFMADD231PD(q, last, p)
	VDIVPD(p, one, p)
	VMOVUPS(p, Mem{Base: inverse})
	VMULPD(p, off, p)
	VMOVUPS(p, Mem{Base: ratio})
	ADDQ(U8(vector), before)
	ADDQ(U8(vector), ratio)
	ADDQ(U8(vector), inverse)
	INCQ(k)
	CMPQ(k, terms)
	JNE(LabelRef("term"))
	VMOVUPS(Mem{Base: e}, last)
	MOVQ(terms, at)
	SHLQ(U8(5), at)
	MOVQ(ratio, before)
	SUBQ(at, before)
	ADDQ(U8(vector), d)
	ADDQ(U8(vector), e)
	DECQ(rows)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// diagonals makes the diagonals of the inverses from the last row up.
func diagonals() {
	text("laneDiagonals", "x, ratio, weight *byte, terms, count uintptr",
		"replaces count vectors x, from the last one on, which x and ratio point at, by weight x + ratio^2 times what is terms vectors behind; weight has terms scalars.")
	x, ratio, weight, terms, count := pointer("x"), pointer("ratio"), pointer("weight"), pointer("terms"), pointer("count")
	below, k := GP64(), GP64()
	MOVQ(terms, below)
	SHLQ(U8(5), below)
	ADDQ(x, below)
	MOVQ(terms, k)
	Label("vector")
	w, q, v := YMM(), YMM(), YMM()
	VMOVUPS(Mem{Base: ratio}, q)
	VBROADCASTSD(Mem{Base: weight, Index: k, Scale: 8, Disp: -8}, w)
	VMULPD(Mem{Base: x}, w, v)
	VMULPD(q, q, q)
	VFMADD231PD(Mem{Base: below}, q, v)
	VMOVUPS(v, Mem{Base: x})
	SUBQ(U8(vector), x)
	SUBQ(U8(vector), below)
	SUBQ(U8(vector), ratio)
	DECQ(k)
	CMOVQEQ(terms, k)
	DECQ(count)
	JNE(LabelRef("vector"))
	VZEROUPPER()
	RET()
}
