package lanes

import (
	"encoding/binary"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// DotPairs writes VDPBF16PS a, b, sum, on pairs of bfloat16 numbers: sum += a1 b1, then sum += a0 b0, in every lane of 32 bits.
func DotPairs(a, b, sum reg.Register) { bfloat16(2, 0x52, a, b, sum) }

// NarrowTwo writes VCVTNE2PS2BF16 low, high, to: the float32 numbers of low and then those of high, rounded to bfloat16.
func NarrowTwo(low, high, to reg.Register) { bfloat16(3, 0x72, low, high, to) }

// bfloat16 writes an instruction that the assembler does not know byte by byte, from its prefix number, its opcode and its registers.
func bfloat16(prefix, opcode byte, a, b, to reg.Register) {
	x, y, z := reg.ToPhysical(a).PhysicalIndex(), reg.ToPhysical(b).PhysicalIndex(), reg.ToPhysical(to).PhysicalIndex()
	inverted := func(index reg.Index, bit int) byte { return byte(^index >> bit & 1) }
	length := byte(0x40)
	if to.Size() == 32 {
		length = 0x20
	}
	code := [6]byte{
		0x62, // EVEX: the high bits of the three registers are inverted and spread over the prefix
		inverted(z, 3)<<7 | inverted(x, 4)<<6 | inverted(x, 3)<<5 | inverted(z, 4)<<4 | 2,
		byte(^y&15)<<3 | 1<<2 | prefix,
		length | inverted(y, 4)<<3,
		opcode,
		0xc0 | byte(z&7)<<3 | byte(x&7),
	}
	Instruction(&ir.Instruction{Opcode: "LONG", Operands: []Op{U32(binary.LittleEndian.Uint32(code[:4]))}})
	Instruction(&ir.Instruction{Opcode: "WORD", Operands: []Op{U16(binary.LittleEndian.Uint16(code[4:]))}})
}
