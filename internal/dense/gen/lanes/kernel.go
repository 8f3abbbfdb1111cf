package lanes

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Begin starts a function of the file with a documentation that begins with its name.
func Begin(name, doc, signature string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + " " + doc)
}

// Parameter returns a register that holds a parameter of 64 bits: a pointer, a count or a distance.
func Parameter(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// LowBits returns a number with the n lowest bits set.
func LowBits(n reg.GPVirtual) reg.GPVirtual {
	bits := GP64()
	MOVQ(I32(-1), bits)
	BZHIQ(n, bits, bits)
	return bits
}
