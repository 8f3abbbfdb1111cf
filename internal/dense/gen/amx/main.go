// Command amx writes products of bytes and of bfloat16 numbers by AMX, whose registers are tiles of 16 rows of 64 bytes. The assembler has no names for its instructions.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

// Offsets of the fields of the Go type tileProduct.
const (
	offA = 8 * iota
	offARow
	offB
	offBRow
	offC
	offCRow
	offBlocks
	offWhole
	offRest
	offFirst
	offTiles
	offConfig
)

// The tiles beside the sums: of A and B for whole steps, of B in turns, and for the last step.
const wholeA, wholeB, restA, restB = 3, 4, 6, 7

var (
	args  = reg.RDI
	a     = reg.RSI
	aRow  = reg.R8
	b     = reg.RDX
	bRow  = reg.R9
	c     = reg.RBX
	cRow  = reg.R12
	left  = reg.R10 // blocks of rows
	aPtr  = reg.RAX
	bPtr  = reg.RCX
	aStep = reg.R13 // from one block of rows to the next
	bStep = reg.R14 // from one step of the inner dimension to the next
	cStep = reg.R15 // as aStep
	count = reg.R11
)

func field(off int) Mem { return Mem{Base: args, Disp: off} }

func code(bytes ...byte) {
	for _, v := range bytes {
		Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(v)}})
	}
}

// Prefixes of the VEX encoding.
const (
	noPrefix = iota
	prefix66
	prefixF3
	prefixF2
)

// vex writes the encoding of an instruction of the map 0F38 up to its opcode. second is the register in VEX.vvvv, 0 if there is none, and x and b tell that index and base are beyond the first eight.
func vex(prefix, second byte, x, b bool, opcode byte) {
	escape := byte(0xe2)
	if x {
		escape &^= 0x40
	}
	if b {
		escape &^= 0x20
	}
	code(0xc4, escape, (^second&15)<<3|prefix, opcode)
}

func configure() {
	Comment("LDTILECFG (AX)")
	vex(noPrefix, 0, false, false, 0x49)
	code(0)
}

func releaseTiles() {
	Comment("TILERELEASE")
	vex(noPrefix, 0, false, false, 0x49)
	code(0xc0)
}

func zeroTile(t int) {
	Commentf("TILEZERO t%d", t)
	vex(prefixF2, 0, false, false, 0x49)
	code(0xc0 | byte(t)<<3)
}

// moveTile writes a load or a store of a tile at base + disp whose rows are index apart.
func moveTile(prefix byte, t int, base, index reg.Physical, disp int) {
	x, b := byte(index.PhysicalIndex()), byte(base.PhysicalIndex())
	vex(prefix, 0, x > 7, b > 7, 0x4b)
	code(0x84|byte(t)<<3, x&7<<3|b&7, byte(disp), byte(disp>>8), byte(disp>>16), byte(disp>>24))
}

func loadTile(t int, base, index reg.Physical, disp int) {
	Commentf("TILELOADD %d(%s)(%s*1), t%d", disp, base.Asm(), index.Asm(), t)
	moveTile(prefixF2, t, base, index, disp)
}

func storeTile(t int, base, index reg.Physical, disp int) {
	Commentf("TILESTORED t%d, %d(%s)(%s*1)", t, disp, base.Asm(), index.Asm())
	moveTile(prefixF3, t, base, index, disp)
}

// numbers says what products are of: bytes, those of A unsigned, or pairs of bfloat16 numbers.
type numbers struct {
	kernel, mnemonic string
	prefix, opcode   byte
}

// multiply adds the product of tiles of A and B to a tile of sums.
func (n numbers) multiply(sums, a, b int) {
	Commentf("%s t%d, t%d, t%d", n.mnemonic, b, a, sums)
	vex(n.prefix, byte(b), false, false, n.opcode)
	code(0xc0 | byte(sums)<<3 | byte(a))
}

// step adds what 16 words of the inner dimension, or the rest of them, give to the sums of so many tiles of columns.
func (n numbers) step(tiles, ofA int, ofB func(v int) int) {
	loadTile(ofA, aPtr, aRow, 0)
	for v := range tiles {
		loadTile(ofB(v), bPtr, bRow, 64*v)
		n.multiply(v, ofA, ofB(v))
	}
}

// sums writes the loop over blocks of rows for so many tiles of columns.
func (n numbers) sums(tiles int) {
	suffix := fmt.Sprint(tiles)
	label := func(name string) LabelRef { return LabelRef(name + suffix) }
	Label("block" + suffix)
	CMPQ(field(offFirst), U8(0))
	JNE(label("zero"))
	for v := range tiles {
		loadTile(v, c, cRow, 64*v)
	}
	JMP(label("start"))
	Label("zero" + suffix)
	for v := range tiles {
		zeroTile(v)
	}
	Label("start" + suffix)
	MOVQ(a, aPtr)
	MOVQ(b, bPtr)
	MOVQ(field(offWhole), count)
	TESTQ(count, count)
	JEQ(label("rest"))
	Label("whole" + suffix)
	n.step(tiles, wholeA, func(v int) int { return wholeB + v%2 })
	ADDQ(U8(64), aPtr)
	ADDQ(bStep, bPtr)
	DECQ(count)
	JNE(label("whole"))
	Label("rest" + suffix)
	CMPQ(field(offRest), U8(0))
	JEQ(label("store"))
	n.step(tiles, restA, func(int) int { return restB })
	Label("store" + suffix)
	for v := range tiles {
		storeTile(v, c, cRow, 64*v)
	}
	ADDQ(aStep, a)
	ADDQ(cStep, c)
	DECQ(left)
	JNE(label("block"))
	JMP(LabelRef("done"))
}

func (n numbers) write() {
	TEXT(n.kernel, NOSPLIT, "func(p *byte)")
	Pragma("noescape")
	Doc(n.kernel + " computes sums of products; see tileProduct.")
	Load(Param("p"), args)
	LEAQ(field(offConfig), aPtr)
	configure()
	MOVQ(field(offA), a)
	MOVQ(field(offARow), aRow)
	MOVQ(field(offB), b)
	MOVQ(field(offBRow), bRow)
	MOVQ(field(offC), c)
	MOVQ(field(offCRow), cRow)
	MOVQ(field(offBlocks), left)
	for _, s := range [][2]reg.GPPhysical{{aRow, aStep}, {bRow, bStep}, {cRow, cStep}} {
		MOVQ(s[0], s[1])
		SHLQ(U8(4), s[1])
	}
	CMPQ(field(offTiles), U8(2))
	JEQ(LabelRef("block2"))
	JLT(LabelRef("block1"))
	for tiles := 3; tiles > 0; tiles-- {
		n.sums(tiles)
	}
	Label("done")
	releaseTiles()
	RET()
}

// scale makes float32 numbers of rows of sums.
func scale() {
	lanes.Begin("scaleSumsAVX512", `stores rows of scaled sums of up to 48 columns, or adds them to c if add is not 0: the int32 sums, 48 a row, and that of the column at the start, times the scales of
// row and column. Rows of c are so many bytes apart.`,
		"func(sums *byte, rows, cols uintptr, start, rowScales, colScales, c *byte, cRow, add uintptr)")
	sums, rows, cols := lanes.Parameter("sums"), lanes.Parameter("rows"), lanes.Parameter("cols")
	start, rowScales, colScales := lanes.Parameter("start"), lanes.Parameter("rowScales"), lanes.Parameter("colScales")
	c, cRow, add := lanes.Parameter("c"), lanes.Parameter("cRow"), lanes.Parameter("add")
	bits, part := lanes.LowBits(cols), [3]reg.Register{}
	var starts, scales [3]reg.VecVirtual
	for v := range part {
		part[v], starts[v], scales[v] = K(), ZMM(), ZMM()
		KMOVW(bits.As32(), part[v])
		SHRQ(U8(16), bits)
		VMOVDQU32_Z(Mem{Base: start, Disp: 64 * v}, part[v], starts[v])
		VMOVUPS_Z(Mem{Base: colScales, Disp: 64 * v}, part[v], scales[v])
	}
	Label("row")
	scale := ZMM()
	VBROADCASTSS(Mem{Base: rowScales}, scale)
	for v := range part {
		label := fmt.Sprint("store", v)
		x := ZMM()
		VPADDD(Mem{Base: sums, Disp: 64 * v}, starts[v], x)
		VCVTDQ2PS(x, x)
		VMULPS(scale, x, x)
		VMULPS(scales[v], x, x)
		TESTQ(add, add)
		JEQ(LabelRef(label))
		VADDPS_Z(Mem{Base: c, Disp: 64 * v}, x, part[v], x)
		Label(label)
		VMOVUPS(x, part[v], Mem{Base: c, Disp: 64 * v})
	}
	ADDQ(U32(192), sums)
	ADDQ(U8(4), rowScales)
	ADDQ(cRow, c)
	DECQ(rows)
	JNE(LabelRef("row"))
	VZEROUPPER()
	RET()
}

func main() {
	ConstraintExpr("amd64")
	numbers{"tileBytesAMX", "TDPBUSD", prefix66, 0x5e}.write()
	numbers{"tilePairsAMX", "TDPBF16PS", prefixF3, 0x5c}.write()
	scale()
	Generate()
}
