// Command gemm writes the micro-kernels of the matrix product.
//
// A kernel multiplies m rows of A with one column panel of B, at most three vectors wide, and stores or accumulates the result in C. Rows
// are taken in tiles of the kernel's height and one last shorter tile; each tile keeps all its sums in registers over the whole k loop,
// so that every element of C is one chain of fused multiply-adds in the order of k.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of the Go type panel.
const (
	offA = 8 * iota
	offARow
	offAStep
	offATile
	offB
	offBStep
	offC
	offCRow
	offRows
	offK
	offVectors
	offMask
	offAlpha
	offBeta
	offUse
	offStart
	offRowScales
	offColScales
)

var (
	args  = reg.RDI
	aPtr  = reg.RSI
	row1  = reg.R8
	row3  = reg.R9
	row5  = reg.R10
	row7  = reg.R11
	aStep = reg.R12
	bStep = reg.R13
	bPtr  = reg.RDX
	count = reg.RCX
	aTile = reg.RAX
	cPtr  = reg.RBX
	// The AVX2 kernels keep the address of the lane mask in the register that only tiles of more than four rows need.
	maskPtr = reg.R11
)

const cacheLine = 64

func field(off int) Mem { return Mem{Base: args, Disp: off} }

// rowAddr returns the address of row i at the given base, for i < 8, when row1, row3, row5, row7 hold multiples of the row stride.
func rowAddr(base reg.Register, i, disp int) Mem {
	m := Mem{Base: base, Disp: disp, Scale: 1}
	switch i {
	case 1:
		m.Index = row1
	case 2:
		m.Index, m.Scale = row1, 2
	case 3:
		m.Index = row3
	case 4:
		m.Index, m.Scale = row1, 4
	case 5:
		m.Index = row5
	case 6:
		m.Index, m.Scale = row3, 2
	case 7:
		m.Index = row7
	}
	if i == 0 {
		m.Scale = 0
	}
	return m
}

func loadRowMultiples(stride Mem, rows int) {
	MOVQ(stride, row1)
	if rows > 3 {
		LEAQ(Mem{Base: row1, Index: row1, Scale: 2}, row3)
	}
	if rows > 5 {
		LEAQ(Mem{Base: row1, Index: row1, Scale: 4}, row5)
	}
	if rows > 7 {
		LEAQ(Mem{Base: row3, Index: row1, Scale: 4}, row7)
	}
}

// isa is what differs between the instruction sets and the element types.
type isa interface {
	name() string
	height() int // rows of a full tile
	masked() []bool
	prepare()
	half() bool // there are tiles of one vector of half the length
	tile(rows, vectors int, masked bool, k string)
}

// halfVector is the number of vectors that stands for one of half the length.
const halfVector = 0

// What a kernel does with its sums, the field use of panel.
const (
	storeScaled = iota // C = alpha*sum
	addScaled          // C = fma(alpha, sum, beta*C)
	store              // C = sum
	add                // C = C + sum
)

// finish writes the end of a tile: the four ways to use the sums, chosen at run time. write is called for three of them; scaled sums are
// plain sums after they have been scaled.
func finish(loop string, scale func(), write func(how int)) {
	CMPQ(field(offUse), U8(add))
	JEQ(LabelRef(loop + "_add"))
	CMPQ(field(offUse), U8(addScaled))
	JEQ(LabelRef(loop + "_addscaled"))
	CMPQ(field(offUse), U8(store))
	JEQ(LabelRef(loop + "_store"))
	scale()
	Label(loop + "_store")
	write(store)
	JMP(LabelRef(loop + "_next"))
	Label(loop + "_addscaled")
	write(addScaled)
	JMP(LabelRef(loop + "_next"))
	Label(loop + "_add")
	write(add)
	Label(loop + "_next")
}

func kernel(s isa) {
	TEXT(s.name(), NOSPLIT, "func(p *byte)")
	Pragma("noescape")
	Doc(s.name() + " computes one column panel of a product; see panel.")
	Load(Param("p"), args)
	MOVQ(field(offA), aTile)
	MOVQ(field(offC), cPtr)
	MOVQ(field(offAStep), aStep)
	MOVQ(field(offBStep), bStep)
	s.prepare()
	for _, masked := range s.masked() {
		if len(s.masked()) > 1 && !masked {
			CMPQ(field(offMask), U8(0))
			JNE(LabelRef("masked"))
		}
		if len(s.masked()) > 1 && masked {
			Label("masked")
		}
		id := func(v int, what any) string {
			if masked {
				return fmt.Sprintf("m%d_%v", v, what)
			}
			return fmt.Sprintf("f%d_%v", v, what)
		}
		CMPQ(field(offVectors), U8(2))
		JEQ(LabelRef(id(2, "full")))
		JHI(LabelRef(id(3, "full")))
		first := 1
		if s.half() {
			first = halfVector
			CMPQ(field(offVectors), U8(1))
			JEQ(LabelRef(id(1, "full")))
		}
		for v := first; v <= 3; v++ {
			Label(id(v, "full"))
			CMPQ(field(offRows), U8(s.height()))
			JLT(LabelRef(id(v, "rest")))
			s.tile(s.height(), v, masked, id(v, "k"))
			ADDQ(field(offATile), aTile)
			SUBQ(U8(s.height()), field(offRows))
			JMP(LabelRef(id(v, "full")))
			Label(id(v, "rest"))
			MOVQ(field(offRows), count)
			for r := 1; r < s.height(); r++ {
				CMPQ(count, U8(r))
				JEQ(LabelRef(id(v, r)))
			}
			JMP(LabelRef("done"))
			for r := 1; r < s.height(); r++ {
				Label(id(v, r))
				s.tile(r, v, masked, id(v, fmt.Sprint("k", r)))
				JMP(LabelRef("done"))
			}
		}
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// prefetchFrom is the length of the k loop from which on the tile of C, needed only at the end of it, is asked for at the start.
const prefetchFrom = 160

// startTile sets up the loop over k, whose label is given.
func startTile(rows, vectors, bytes int, loop string) {
	MOVQ(field(offK), count)
	CMPQ(count, U32(prefetchFrom))
	JLT(LabelRef(loop + "_start"))
	loadRowMultiples(field(offCRow), rows)
	for i := range rows {
		for d := 0; d < vectors*bytes; d += cacheLine {
			PREFETCHT0(rowAddr(cPtr, i, d))
		}
	}
	Label(loop + "_start")
	loadRowMultiples(field(offARow), rows)
	MOVQ(aTile, aPtr)
	MOVQ(field(offB), bPtr)
}

func nextK(label string) {
	ADDQ(aStep, aPtr)
	ADDQ(bStep, bPtr)
	DECQ(count)
	JNE(LabelRef(label))
}

func main() {
	ConstraintExpr("amd64")
	for _, double := range []bool{true, false} {
		kernel(avx512{double: double})
		kernel(avx2{double})
	}
	kernel(avx512{pairs: true})
	kernel(quads{})
	Generate()
}
