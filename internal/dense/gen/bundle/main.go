// Command bundle writes the kernels for bundles of matrices: a vector of 32 bytes holds one element of each matrix, and 16 vectors are a tile of
// 4 x 4 elements, row after row.
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

// format is what differs between the element types and the instruction sets.
type format struct {
	suffix                                   string
	double                                   bool
	wide                                     bool // vectors of 64 bytes hold two elements of each matrix
	add, mul, sub, div, nfma, fma, broadcast func(ops ...Op)
	hadd                                     func(a, b, sum Op)
}

func main() {
	ConstraintExpr("amd64")
	for _, f := range []format{
		{"F64AVX512", true, true, VADDPD, VMULPD, VSUBPD, VDIVPD, VFNMADD231PD, VFMADD231PD, VBROADCASTSD, VHADDPD},
		{"F32AVX512", false, true, VADDPS, VMULPS, VSUBPS, VDIVPS, VFNMADD231PS, VFMADD231PS, VBROADCASTSS, VHADDPS},
		{"F64AVX2", true, false, VADDPD, VMULPD, VSUBPD, VDIVPD, VFNMADD231PD, VFMADD231PD, VBROADCASTSD, VHADDPD},
		{"F32AVX2", false, false, VADDPS, VMULPS, VSUBPS, VDIVPS, VFNMADD231PS, VFMADD231PS, VBROADCASTSS, VHADDPS},
	} {
		update(f)
		if !f.wide { // longer vectors would not help the others
			f.suffix = f.suffix[:3]
			invertTile(f)
			transpose(f)
			shift(f)
			addScaled(f)
			addSum(f)
			inner(f)
			squares(f)
		}
	}
	Generate()
}

func (f format) text(name, params, doc string) {
	TEXT(name+f.suffix, NOSPLIT, "func("+params+")")
	Pragma("noescape")
	Doc(name + f.suffix + " " + doc)
}

func pointer(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

func at(p reg.Register, i int) Mem { return Mem{Base: p, Disp: i * vector} }

// update subtracts products of tiles from a run of tiles.
func update(f format) {
	f.text("bundleUpdate", "c, u, v *byte, count, terms, next uintptr, fresh bool",
		"takes sum_t U_t' V_t of terms tiles, next bytes apart, from each of count tiles C; those of C and of V follow one another. If fresh, C is not read.")
	r := run{c: pointer("c"), u: pointer("u"), v: pointer("v"), count: pointer("count"), terms: pointer("terms"), next: pointer("next"), fresh: GP8()}
	Load(Param("fresh"), r.fresh)
	if f.wide {
		SUBQ(U8(2), r.count)
		JLT(LabelRef("one"))
		Label("pair")
		r.tiles(f, "pair", side, 2)
		SUBQ(U8(2), r.count)
		JGE(LabelRef("pair"))
		Label("one")
		ADDQ(U8(2), r.count)
		JZ(LabelRef("done"))
		r.tiles(f, "single", side, 1)
		Label("done")
	} else {
		Label("tile")
		r.tiles(f, "half", side/2, 1)
		DECQ(r.count)
		JNE(LabelRef("tile"))
	}
	VZEROUPPER()
	RET()
}

type run struct {
	c, u, v, count, terms, next reg.GPVirtual
	fresh                       reg.GPVirtual
}

// tiles writes the update of one or more tiles beside each other, the given number of rows at a time.
func (r run) tiles(f format, name string, rows, tiles int) {
	vec, bytes := YMM, vector
	if f.wide {
		vec, bytes = ZMM, 2*vector
	}
	width := row / bytes // vectors of a row of a tile
	acc := make([]reg.VecVirtual, rows*tiles*width)
	for i := range acc {
		acc[i] = vec()
	}
	place := func(i, k int) int { return i*row + k/width*tile + k%width*bytes } // of vector k of row i
	each := func(first int, do func(m Mem, a reg.VecVirtual)) {
		for i := range rows {
			for k := range tiles * width {
				do(Mem{Base: r.c, Disp: place(first+i, k)}, acc[i*tiles*width+k])
			}
		}
	}
	us, vs := [2]reg.VecVirtual{vec(), vec()}, make([]reg.VecVirtual, tiles*width)
	for k := range vs {
		vs[k] = vec()
	}
	left, pu, pv := GP64(), GP64(), GP64()
	for first := 0; first < side; first += rows {
		label := func(s string) string { return name + s + string(rune('0'+first)) }
		TESTB(r.fresh, r.fresh)
		JNE(LabelRef(label("fresh")))
		each(first, func(m Mem, a reg.VecVirtual) { VMOVUPS(m, a) })
		JMP(LabelRef(label("start")))
		Label(label("fresh"))
		each(first, func(_ Mem, a reg.VecVirtual) { VXORPS(a, a, a) })
		Label(label("start"))
		MOVQ(r.u, pu)
		MOVQ(r.v, pv)
		MOVQ(r.terms, left)
		Label(label("term"))
		for l := range side {
			for k := range vs {
				VMOVUPS(Mem{Base: pv, Disp: place(l, k)}, vs[k])
			}
			for i := range rows {
				u := us[i%2]
				if f.wide {
					VBROADCASTF64X4(at(pu, l*side+first+i), u)
				} else {
					VMOVUPS(at(pu, l*side+first+i), u)
				}
				for k := range vs {
					f.nfma(u, vs[k], acc[i*tiles*width+k])
				}
			}
		}
		ADDQ(r.next, pu)
		ADDQ(r.next, pv)
		DECQ(left)
		JNE(LabelRef(label("term")))
		each(first, func(m Mem, a reg.VecVirtual) { VMOVUPS(a, m) })
	}
	ADDQ(U32(tiles*tile), r.c)
	ADDQ(U32(tiles*tile), r.v)
}

// invertTile writes the sweeps of the four rows of a symmetric tile, of which it reads the upper triangle.
func invertTile(f format) {
	f.text("bundleInvertTile", "p, q, pivots *byte", "sets q to -p^-1 by sweeps in the order of the rows, and writes the pivots.")
	p, q, pivots := pointer("p"), pointer("q"), pointer("pivots")
	var a [side][side]reg.VecVirtual
	for i := range side {
		for j := i; j < side; j++ {
			a[i][j] = YMM()
			a[j][i] = a[i][j]
			VMOVUPS(at(p, i*side+j), a[i][j])
		}
	}
	bits := GP64()
	one, inverse, zero, t := YMM(), YMM(), YMM(), YMM()
	x := XMM()
	if f.double {
		MOVQ(U64(0x3ff0000000000000), bits)
		VMOVQ(bits, x)
	} else {
		MOVQ(U64(0x3f800000), bits)
		VMOVD(bits.As32(), x)
	}
	f.broadcast(x, one)
	VXORPS(zero, zero, zero)
	for k := range side {
		VMOVUPS(a[k][k], at(pivots, k))
		f.div(a[k][k], one, inverse)
		for j := range side { // column j of the upper triangle, and then what row k has there
			if j == k {
				continue
			}
			f.mul(inverse, a[k][j], t)
			for i := range j + 1 {
				if i != k {
					f.nfma(a[k][i], t, a[i][j])
				}
			}
			VMOVUPS(t, at(q, j))
		}
		for j := range side {
			if j != k {
				VMOVUPS(at(q, j), a[k][j])
			}
		}
		f.sub(inverse, zero, a[k][k])
	}
	for i := range side {
		for j := range side {
			VMOVUPS(a[i][j], at(q, i*side+j))
		}
	}
	VZEROUPPER()
	RET()
}

// transpose copies tiles, each transposed.
func transpose(f format) {
	if f.double { // the same for both
		return
	}
	f.suffix = ""
	f.text("bundleTranspose", "dst *byte, dstStep, dstChange uintptr, src *byte, srcStep, srcChange, count uintptr",
		"sets count tiles dst to the transposes of tiles src. After each tile the steps to the next ones grow by the changes.")
	dst, src, count := pointer("dst"), pointer("src"), pointer("count")
	ds, dc, ss, sc := pointer("dstStep"), pointer("dstChange"), pointer("srcStep"), pointer("srcChange")
	x := [side]reg.VecVirtual{YMM(), YMM(), YMM(), YMM()}
	Label("tile")
	for i := range side {
		for j := range side {
			VMOVUPS(at(src, i*side+j), x[j])
			VMOVUPS(x[j], at(dst, j*side+i))
		}
	}
	ADDQ(ds, dst)
	ADDQ(ss, src)
	ADDQ(dc, ds)
	ADDQ(sc, ss)
	DECQ(count)
	JNE(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

func shift(f format) {
	f.text("bundleShift", "dst, a, t, x *byte, tiles uintptr", "sets dst = a + t x for tiles of vectors a, one vector t and as many elements x.")
	dst, a, t, x, count := pointer("dst"), pointer("a"), pointer("t"), pointer("x"), pointer("tiles")
	size := 4
	if f.double {
		size = 8
	}
	factor := YMM()
	VMOVUPS(Mem{Base: t}, factor)
	Label("tile")
	for i := range side * side {
		v, y := YMM(), YMM()
		VMOVUPS(at(a, i), y)
		f.broadcast(Mem{Base: x, Disp: i * size}, v)
		f.fma(factor, v, y)
		VMOVUPS(y, at(dst, i))
	}
	ADDQ(U32(tile), dst)
	ADDQ(U32(tile), a)
	ADDQ(U32(side*side*size), x)
	DECQ(count)
	JNE(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

func addScaled(f format) {
	f.text("bundleAdd", "acc, m, w *byte, tiles uintptr", "adds w m to acc for tiles of vectors m and one vector w.")
	acc, m, w, count := pointer("acc"), pointer("m"), pointer("w"), pointer("tiles")
	factor := YMM()
	VMOVUPS(Mem{Base: w}, factor)
	Label("tile")
	for i := range side * side {
		y := YMM()
		VMOVUPS(at(acc, i), y)
		f.fma(at(m, i), factor, y)
		VMOVUPS(y, at(acc, i))
	}
	ADDQ(U32(tile), acc)
	ADDQ(U32(tile), m)
	DECQ(count)
	JNE(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// addSum adds the weighted sums over the lanes of each vector.
func addSum(f format) {
	f.text("bundleAddSum", "dst, m, w *byte, tiles uintptr", "adds the sums over the lanes of each vector of tiles m, times one vector w, to dst.")
	dst, m, w, count := pointer("dst"), pointer("m"), pointer("w"), pointer("tiles")
	factor := YMM()
	VMOVUPS(Mem{Base: w}, factor)
	size := 4
	if f.double {
		size = 8
	}
	Label("tile")
	for i := 0; i < side*side; i += 4 {
		var v [4]reg.VecVirtual
		for k := range v {
			v[k] = YMM()
			f.mul(at(m, i+k), factor, v[k])
		}
		f.hadd(v[1], v[0], v[0]) // in double precision a0+a1 b0+b1 | a2+a3 b2+b3
		f.hadd(v[3], v[2], v[2])
		to := Mem{Base: dst, Disp: i * size}
		if f.double {
			x, y := YMM(), YMM()
			VPERM2F128(U8(0x21), v[2], v[0], x) // a2+a3 b2+b3 | c0+c1 d0+d1
			VBLENDPD(U8(0xc), v[2], v[0], y)    // a0+a1 b0+b1 | c2+c3 d2+d3
			f.add(x, y, y)
			f.add(to, y, y)
			VMOVUPD(y, to)
		} else {
			x := XMM()
			f.hadd(v[2], v[0], v[0])
			VEXTRACTF128(U8(1), v[0], x)
			f.add(x, v[0].AsX(), x)
			f.add(to, x, x)
			VMOVUPS(x, to)
		}
	}
	ADDQ(U32(side*side*size), dst)
	ADDQ(U32(tile), m)
	DECQ(count)
	JNE(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// inner writes inner products of all lanes with one matrix.
func inner(f format) {
	f.text("bundleInner", "dst, m, x *byte, tiles uintptr", "sets dst to the sum of vectors m times as many elements x.")
	dst, m, x, count := pointer("dst"), pointer("m"), pointer("x"), pointer("tiles")
	size := 4
	if f.double {
		size = 8
	}
	var acc [8]reg.VecVirtual
	for k := range acc {
		acc[k] = YMM()
		VXORPS(acc[k], acc[k], acc[k])
	}
	Label("tile")
	for i := range side * side {
		v := YMM()
		f.broadcast(Mem{Base: x, Disp: i * size}, v)
		f.fma(at(m, i), v, acc[i%len(acc)])
	}
	ADDQ(U32(tile), m)
	ADDQ(U32(side*side*size), x)
	DECQ(count)
	JNE(LabelRef("tile"))
	f.fold(acc[:], dst)
}

// squares writes the sums of squares of all lanes.
func squares(f format) {
	f.text("bundleSquares", "dst, m *byte, tiles uintptr", "sets dst to the sum of the squares of vectors m.")
	dst, m, count := pointer("dst"), pointer("m"), pointer("tiles")
	var acc [8]reg.VecVirtual
	for k := range acc {
		acc[k] = YMM()
		VXORPS(acc[k], acc[k], acc[k])
	}
	Label("tile")
	for i := range side * side {
		v := YMM()
		VMOVUPS(at(m, i), v)
		f.fma(v, v, acc[i%len(acc)])
	}
	ADDQ(U32(tile), m)
	DECQ(count)
	JNE(LabelRef("tile"))
	f.fold(acc[:], dst)
}

// fold writes the sum of the vectors to dst and returns.
func (f format) fold(acc []reg.VecVirtual, dst reg.Register) {
	for step := len(acc) / 2; step > 0; step /= 2 {
		for k := range step {
			f.add(acc[k+step], acc[k], acc[k])
		}
	}
	VMOVUPS(acc[0], Mem{Base: dst})
	VZEROUPPER()
	RET()
}
