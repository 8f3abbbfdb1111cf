// Command forms writes the kernels of sums of quadratic forms, on points in bytes and in bfloat16, which need AVX-512 with VPDPBUSD and VDPBF16PS, and in single precision.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

func main() {
	ConstraintExpr("amd64")
	forms()
	weigh()
	byteMost()
	byteForms()
	byteWeigh()
	multiplyAdd := func(x, y, sum reg.Register) { VFMADD231PS(x, y, sum) }
	moment("byteMomentAVX512", "points", 64, func(x, y, sum reg.Register) { VPDPBUSD(y, x, sum) }, integers, nil)
	moment("roundedMomentAVX512", "points", 32, lanes.DotPairs, numbers, nil)
	moment("singleMomentF32AVX512", "elements", 16, multiplyAdd, numbers, nil)
	moment("momentAVX512", "points", 32, lanes.DotPairs, vectors, nil)
	moment("momentF32AVX512", "elements", 16, multiplyAdd, vectors, func(m Mem, mask, x reg.Register) { VMOVUPS_Z(m, mask, x) })
	moment("momentF64AVX512", "elements", 8, func(x, y, sum reg.Register) { VFMADD231PD(x, y, sum) }, vectors, func(m Mem, mask, x reg.Register) { VMOVUPD_Z(m, mask, x) })
	for _, l := range []*lanes.Lanes{{Wide: true}, {}} {
		singleForms(l)
		singleWeigh(l)
	}
	singleMoment()
	Generate()
}

func zmm(i int) reg.Register {
	return [32]reg.Register{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}[i]
}

// The shape of a tile of forms: rows of the triangle times vectors of points.
const formRows, formVectors = 4, 6

// groupRow is the number of bytes of a row of pairs in a group of points.
const groupRow = 64 * formVectors

// forms sums z_i w_i over the rows of z = H w, for 96 points.
func forms() {
	lanes.Begin("formsAVX512", `sets q to w'Hw for a group of 96 points w. The rows of the lower triangular H come in tiles of 4: of each, column pair after column pair up to
// the diagonal, the 4 pairs. w holds the pairs of 2 rows for each tile, one row after the other; there are none for the first skip pairs of columns. What follows w is
// read into the cache, for the next call.`,
		"func(h, w *byte, skip, tiles uintptr, q *byte)")
	h, own, skip, tiles, q := lanes.Parameter("h"), lanes.Parameter("w"), lanes.Parameter("skip"), lanes.Parameter("tiles"), lanes.Parameter("q")
	const sums, points, other = 0, formRows * formVectors, formRows*formVectors + formVectors
	mask := GP32()
	high := AllocLocal(64)
	MOVL(U32(0xffff0000), mask)
	VPBROADCASTD(mask, zmm(other))
	VMOVDQU32(zmm(other), high)
	VPXORD(zmm(0), zmm(0), zmm(0))
	for v := range formVectors {
		VMOVUPS(zmm(0), Mem{Base: q, Disp: 64 * v})
	}
	first, length := GP64(), GP64()
	IMUL3Q(U32(groupRow), skip, first)
	ADDQ(own, first) // first pairs of rows that are no padding
	MOVQ(U32(formRows/2), length)
	SUBQ(skip, length)
	ahead := GP64()
	IMUL3Q(U32(groupRow*formRows/2), tiles, ahead)

	Label("tile")
	for line := range formRows / 2 * formVectors {
		PREFETCHT1(Mem{Base: own, Index: ahead, Scale: 1, Disp: 64 * line}) // of the next group
	}
	for i := range formRows * formVectors {
		VPXORD(zmm(sums+i), zmm(sums+i), zmm(sums+i))
	}
	b, count := GP64(), GP64()
	MOVQ(first, b)
	MOVQ(length, count)
	Label("pairs")
	for v := range formVectors {
		VMOVDQU32(Mem{Base: b, Disp: 64 * v}, zmm(points+v))
	}
	for i := range formRows {
		x := zmm(other + i%2)
		VPBROADCASTD(Mem{Base: h, Disp: 4 * i}, x)
		for v := range formVectors {
			lanes.DotPairs(x, zmm(points+v), zmm(sums+i*formVectors+v))
		}
	}
	ADDQ(U8(4*formRows), h)
	ADDQ(U32(groupRow), b)
	DECQ(count)
	JNE(LabelRef("pairs"))
	for v := range formVectors {
		total, x, y := zmm(points+v%3), zmm(points+3+v%3), zmm(other+v%2)
		VMOVUPS(Mem{Base: q, Disp: 64 * v}, total)
		for i := 0; i < formRows; i += 2 {
			VMOVDQU32(Mem{Base: own, Disp: 64*v + groupRow*i/2}, x)
			VPSLLD(U8(16), x, y)
			VPANDD(high, x, x)
			VFMADD231PS(zmm(sums+i*formVectors+v), y, total)
			VFMADD231PS(zmm(sums+(i+1)*formVectors+v), x, total)
		}
		VMOVUPS(total, Mem{Base: q, Disp: 64 * v})
	}
	ADDQ(U32(groupRow*formRows/2), own)
	ADDQ(U8(formRows/2), length)
	DECQ(tiles)
	JNE(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// weigh multiplies rows of points by the forms.
func weigh() {
	lanes.Begin("weighAVX512", `writes rows of 96 points w and the same multiplied by q, a row every stride bytes, two for each pair. Both have the points in the same order.`,
		"func(w, q *byte, pairs, stride uintptr, rows, weighted *byte)")
	w, q, pairs, stride, rows, weighted := lanes.Parameter("w"), lanes.Parameter("q"), lanes.Parameter("pairs"), lanes.Parameter("stride"), lanes.Parameter("rows"), lanes.Parameter("weighted")
	mask := GP32()
	high := zmm(31)
	MOVL(U32(0xffff0000), mask)
	VPBROADCASTD(mask, high)
	forms := [formVectors]reg.Register{}
	for v := range forms {
		forms[v] = zmm(16 + v)
		VMOVUPS(Mem{Base: q, Disp: 64 * v}, forms[v])
	}
	Label("pair")
	for v := 0; v < formVectors; v += 2 {
		for i := range 2 { // of the numbers of a pair
			for k := range 2 {
				x := zmm(2*i + k)
				if i == 0 {
					VPSLLD(U8(16), Mem{Base: w, Disp: 64 * (v + k)}, x)
				} else {
					VPANDD(Mem{Base: w, Disp: 64 * (v + k)}, high, x)
				}
				VMULPS(forms[v+k], x, zmm(4+2*i+k))
			}
			to := Mem{Disp: 32 * v}
			if i > 0 {
				to.Index, to.Scale = stride, 1
			}
			for part, base := range []reg.Register{rows, weighted} {
				to.Base = base
				x := zmm(8 + 2*i + part)
				lanes.NarrowTwo(zmm(4*part+2*i), zmm(4*part+2*i+1), x)
				VMOVDQU32(x, to)
			}
		}
	}
	ADDQ(U32(groupRow), w)
	LEAQ(Mem{Base: rows, Index: stride, Scale: 2}, rows)
	LEAQ(Mem{Base: weighted, Index: stride, Scale: 2}, weighted)
	DECQ(pairs)
	JNE(LabelRef("pair"))
	VZEROUPPER()
	RET()
}

// momentRows is the number of rows and columns of a tile of the moment.
const momentRows = 5

// momentSums is what a kernel for moments does with its sums.
type momentSums int

const (
	vectors  momentSums = iota // they are kept lane by lane
	numbers                    // all lanes are added
	integers                   // all lanes are added, as integers from one of each column on, and scaled
)

// signature returns the documentation of the sums and the parameters.
func (m momentSums) signature() (sum, parameters string) {
	const before, after = "func(s, w *byte, stride, steps, ", "tiles uintptr, sums *byte)"
	switch m {
	case numbers:
		return "25\n// numbers a tile", before + after
	case integers:
		return "25\n// numbers a tile. They are scaled, and start with a number for each row of w. s has unsigned bytes, w signed ones", before + "tiles uintptr, start *byte, scale float32, sums *byte)"
	}
	return "lane by lane:\n// 25 vectors a tile", before + after
}

// moment adds inner products of rows to sums. With loadPart rows end with the lanes of a mask, if it is not zero.
func moment(name, what string, inStep int, fma func(x, y, sum reg.Register), kind momentSums, loadPart func(m Mem, mask, x reg.Register)) {
	sum, signature := kind.signature()
	doc := ""
	if loadPart != nil {
		doc, signature = ", after which come those of the mask if it is not zero", "func(s, w *byte, stride, steps, mask, tiles uintptr, sums *byte)"
	}
	lanes.Begin(name, fmt.Sprintf(`adds to the sums the inner products of 5 rows of s and 5 of w for each tile on and above the diagonal, row after row of tiles, %s. A row of s and w has steps of %d %s%s, and stride bytes.`, sum, inStep, what, doc), signature)
	s, w, stride, tiles, sums := lanes.Parameter("s"), lanes.Parameter("w"), lanes.Parameter("stride"), lanes.Parameter("tiles"), lanes.Parameter("sums")
	if kind != vectors {
		mask := GP32()
		MOVL(U32(1<<(momentRows*momentRows-16)-1), mask)
		KMOVW(mask, reg.K1)
	}
	var start, columnStart reg.GPVirtual
	if kind == integers {
		start, columnStart = lanes.Parameter("start"), GP64()
	}
	three, five := GP64(), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	LEAQ(Mem{Base: stride, Index: stride, Scale: 4}, five)
	row := func(base reg.Register, i int) Mem {
		m := Mem{Base: base}
		if i > 0 {
			m.Index, m.Scale = stride, 1
		}
		switch i {
		case 2:
			m.Scale = 2
		case 3:
			m.Index = three
		case 4:
			m.Scale = 4
		}
		return m
	}
	const left, right = momentRows * momentRows, momentRows*momentRows + momentRows
	Label("row")
	column, rest := GP64(), GP64()
	MOVQ(w, column)
	MOVQ(tiles, rest)
	if kind == integers {
		MOVQ(start, columnStart)
	}
	Label("tile")
	for i := range momentRows * momentRows {
		switch kind {
		case vectors:
			VMOVUPS(Mem{Base: sums, Disp: 64 * i}, zmm(i))
		case numbers:
			VPXORD(zmm(i), zmm(i), zmm(i))
		case integers:
			if i < momentRows {
				VMOVD(Mem{Base: columnStart, Disp: 4 * i}, zmm(i).(reg.VecPhysical).AsX())
			} else {
				VMOVDQA32(zmm(i%momentRows), zmm(i))
			}
		}
	}
	a, b, steps := GP64(), GP64(), GP64()
	MOVQ(s, a)
	MOVQ(column, b)
	Load(Param("steps"), steps)
	step := func(load func(m Mem, x reg.Register)) {
		for i := range momentRows {
			load(row(a, i), zmm(left+i))
		}
		for j := range momentRows {
			x := zmm(right + j%2)
			load(row(b, j), x)
			for i := range momentRows {
				fma(zmm(left+i), x, zmm(i*momentRows+j))
			}
		}
	}
	if loadPart != nil {
		TESTQ(steps, steps)
		JE(LabelRef("part"))
	}
	Label("step")
	step(func(m Mem, x reg.Register) { VMOVDQU32(m, x) })
	ADDQ(U8(64), a)
	ADDQ(U8(64), b)
	DECQ(steps)
	JNE(LabelRef("step"))
	if loadPart != nil {
		Label("part")
		Load(Param("mask"), steps)
		TESTQ(steps, steps)
		JE(LabelRef("store"))
		KMOVW(steps.As32(), reg.K1)
		step(func(m Mem, x reg.Register) { loadPart(m, reg.K1, x) })
		Label("store")
	}
	switch kind {
	case vectors:
		for i := range momentRows * momentRows {
			VMOVUPS(zmm(i), Mem{Base: sums, Disp: 64 * i})
		}
		ADDQ(U32(64*momentRows*momentRows), sums)
	case numbers:
		addNumbers(sums)
		ADDQ(U8(4*momentRows*momentRows), sums)
	case integers:
		addIntegers(sums)
		ADDQ(U8(4*momentRows*momentRows), sums)
		ADDQ(U8(4*momentRows), columnStart)
	}
	ADDQ(five, column)
	DECQ(rest)
	JNE(LabelRef("tile"))
	ADDQ(five, s)
	ADDQ(five, w)
	if kind == integers {
		ADDQ(U8(4*momentRows), start)
	}
	DECQ(tiles)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// addNumbers adds the sums of the 16 lanes of the first 25 registers to as many numbers, of which K1 has the bits of those after the first 16.
func addNumbers(sums reg.Register) {
	first, second := addLanes(func(x, y, z reg.Register) { VADDPS(x, y, z) })
	VADDPS(Mem{Base: sums}, first, first)
	VMOVUPS(first, Mem{Base: sums})
	rest := Mem{Base: sums, Disp: 64}
	VMOVUPS_Z(rest, reg.K1, zmm(31))
	VADDPS(zmm(31), second, second)
	VMOVUPS(second, reg.K1, rest)
}

// addIntegers is addNumbers for integers, times the parameter scale.
func addIntegers(sums reg.Register) {
	first, second := addLanes(func(x, y, z reg.Register) { VPADDD(x, y, z) })
	scale, err := Param("scale").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(scale.Addr, zmm(31))
	for _, x := range []reg.Register{first, second} {
		VCVTDQ2PS(x, x)
	}
	VFMADD213PS(Mem{Base: sums}, zmm(31), first)
	VMOVUPS(first, Mem{Base: sums})
	rest := Mem{Base: sums, Disp: 64}
	VMOVUPS_Z(rest, reg.K1, zmm(30))
	VFMADD213PS(zmm(30), zmm(31), second)
	VMOVUPS(second, reg.K1, rest)
}

// addLanes adds the 16 lanes of each of the first 25 registers and returns two with the sums. In each step two registers become one that holds half as many lanes of both.
func addLanes(add func(x, y, z reg.Register)) (first, second reg.Register) {
	left := make([]int, momentRows*momentRows)
	for i := range left {
		left[i] = i
	}
	pair := func(low, high func(x, y, z reg.Register)) {
		half := left[:0]
		for i := 0; i < len(left); i += 2 {
			a, b := left[i], left[min(i+1, len(left)-1)]
			x, y := zmm(26+i/2%3*2), zmm(27+i/2%3*2)
			low(zmm(a), zmm(b), x)
			high(zmm(a), zmm(b), y)
			add(x, y, zmm(a))
			half = append(half, a)
		}
		left = half
	}
	groups := func(code uint8) func(x, y, z reg.Register) {
		return func(x, y, z reg.Register) { VSHUFF32X4(U8(code), y, x, z) }
	}
	pair(func(x, y, z reg.Register) { VUNPCKLPS(y, x, z) }, func(x, y, z reg.Register) { VUNPCKHPS(y, x, z) })
	pair(func(x, y, z reg.Register) { VUNPCKLPD(y, x, z) }, func(x, y, z reg.Register) { VUNPCKHPD(y, x, z) })
	for range 2 {
		pair(groups(0x88), groups(0xdd))
	}
	return zmm(left[0]), zmm(left[1])
}
