// Package lanes writes vector code once for AVX-512 and AVX2 and for both element types.
package lanes

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Lanes is a vector format. Code written with it performs the same operation on each element in every format, so that results do not
// depend on the instruction set.
type Lanes struct {
	Double bool // float64 elements, else float32
	Wide   bool // 512-bit vectors, else 256-bit
	Widen  bool // float32 in memory, converted to float64 and back; Double must be set
	masked bool // loads and stores concern the last, incomplete vector
	tail   reg.Register
}

// Each calls f for the four formats.
func Each(f func(l *Lanes)) {
	for _, double := range []bool{true, false} {
		for _, wide := range []bool{true, false} {
			f(&Lanes{Double: double, Wide: wide})
		}
	}
}

// EachWidened calls f for the four formats that compute in float64.
func EachWidened(f func(l *Lanes)) {
	for _, widen := range []bool{false, true} {
		for _, wide := range []bool{true, false} {
			f(&Lanes{Double: true, Wide: wide, Widen: widen})
		}
	}
}

// Suffix is the ending of the names of kernels in this format.
func (l *Lanes) Suffix() string {
	s := "F32"
	if l.Double && !l.Widen {
		s = "F64"
	}
	if l.Wide {
		return s + "AVX512"
	}
	return s + "AVX2"
}

// Elem is the Go type of an element.
func (l *Lanes) Elem() string {
	if l.Double {
		return "float64"
	}
	return "float32"
}

// Size is the size of an element in bytes.
func (l *Lanes) Size() int {
	if l.Double {
		return 8
	}
	return 4
}

// Bytes is the size of a vector in bytes.
func (l *Lanes) Bytes() int {
	if l.Wide {
		return 64
	}
	return 32
}

// Count is the number of elements of a vector.
func (l *Lanes) Count() int { return l.Bytes() / l.Size() }

// Text starts a function; args is its parameter list.
func (l *Lanes) Text(name, args string, doc ...string) {
	TEXT(name+l.Suffix(), NOSPLIT, "func("+args+")")
	Pragma("noescape")
	doc[0] = name + l.Suffix() + " " + doc[0]
	Doc(doc...)
}

// New returns a new vector register.
func (l *Lanes) New() reg.VecVirtual {
	if l.Wide {
		return ZMM()
	}
	return YMM()
}

// half returns a register of half the length of a vector.
func (l *Lanes) half() reg.VecVirtual {
	if l.Wide {
		return YMM()
	}
	return XMM()
}

// Zero returns a register of zeros.
func (l *Lanes) Zero() reg.VecVirtual {
	x := l.New()
	if l.Wide {
		VPXORD(x, x, x)
	} else {
		VXORPD(x, x, x)
	}
	return x
}

// Broadcast returns the element at m in every lane.
func (l *Lanes) Broadcast(m Op) reg.VecVirtual {
	x := l.New()
	if l.Double {
		VBROADCASTSD(m, x)
	} else {
		VBROADCASTSS(m, x)
	}
	return x
}

// Ones and zeros from which the masks of the AVX2 tails are read.
var maskTable Mem

// Masks must be called once per file before any kernel that uses Loop.
func Masks() {
	maskTable = GLOBL("laneBits", RODATA|NOPTR)
	for i := range 16 {
		v := U32(0)
		if i < 8 {
			v = U32(0xffffffff)
		}
		DATA(4*i, v)
	}
}

// memory is the number of bytes that a vector takes in memory.
func (l *Lanes) memory() int {
	if l.Widen {
		return l.Bytes() / 2
	}
	return l.Bytes()
}

// Loop writes a loop over n elements (n is consumed) that calls body for full vectors and once for the rest, after which the pointers are
// advanced by a vector.
func (l *Lanes) Loop(label string, n reg.GPVirtual, pointers []reg.Register, body func()) {
	Label(label)
	CMPQ(n, U8(l.Count()))
	JLT(LabelRef(label + "_tail"))
	body()
	for _, p := range pointers {
		ADDQ(U8(l.memory()), p)
	}
	SUBQ(U8(l.Count()), n)
	JMP(LabelRef(label))
	Label(label + "_tail")
	TESTQ(n, n)
	JE(LabelRef(label + "_done"))
	l.startTail(n)
	body()
	l.masked = false
	Label(label + "_done")
}

// Rest calls body(s) for the vectors s = 0, 1, ... < most that the last n < most*Count() elements fill, the last one masked. n is consumed.
func (l *Lanes) Rest(label string, n reg.GPVirtual, most int, body func(s int)) {
	for s := range most - 1 {
		CMPQ(n, U8(l.Count()))
		JLT(LabelRef(fmt.Sprintf("%s_last%d", label, s)))
		body(s)
		SUBQ(U8(l.Count()), n)
	}
	JMP(LabelRef(fmt.Sprintf("%s_last%d", label, most-1)))
	for s := range most {
		Label(fmt.Sprintf("%s_last%d", label, s))
		TESTQ(n, n)
		JE(LabelRef(label + "_summed"))
		l.startTail(n)
		body(s)
		l.masked = false
		if s < most-1 {
			JMP(LabelRef(label + "_summed"))
		}
	}
	Label(label + "_summed")
}

func (l *Lanes) startTail(n reg.GPVirtual) {
	l.masked = true
	if l.Wide {
		one, k := GP64(), K()
		MOVQ(U64(1), one)
		SHLXQ(n, one, one)
		DECQ(one)
		KMOVW(one.As32(), k)
		l.tail = k
		return
	}
	table, x := GP64(), YMM()
	LEAQ(maskTable, table)
	NEGQ(n)
	if l.Widen {
		// Four lanes of 32 bits: the last of the set ones, followed by clear ones.
		VMOVUPD(Mem{Base: table, Index: n, Scale: 4, Disp: 32}, x.AsX())
		NEGQ(n)
		l.tail = x.AsX()
		return
	}
	VMOVUPD(Mem{Base: table, Index: n, Scale: uint8(l.Size()), Disp: l.Bytes()}, x)
	NEGQ(n)
	l.tail = x
}

// Load returns the vector at m, with zeros beyond the end of the data.
func (l *Lanes) Load(m Mem) reg.VecVirtual {
	x := l.New()
	if l.Widen {
		y := l.half()
		switch {
		case l.masked && l.Wide:
			VMOVUPS_Z(m, l.tail, y)
		case l.masked:
			VMASKMOVPS(m, l.tail, y)
		default:
			VMOVUPS(m, y)
		}
		VCVTPS2PD(y, x)
		return x
	}
	switch {
	case l.masked && l.Wide && l.Double:
		VMOVUPD_Z(m, l.tail, x)
	case l.masked && l.Wide:
		VMOVUPS_Z(m, l.tail, x)
	case l.masked && l.Double:
		VMASKMOVPD(m, l.tail, x)
	case l.masked:
		VMASKMOVPS(m, l.tail, x)
	default:
		VMOVUPD(m, x)
	}
	return x
}

// Store writes x to m, but nothing beyond the end of the data.
func (l *Lanes) Store(x reg.VecVirtual, m Mem) {
	if l.Widen {
		y := l.half()
		if l.Wide {
			VCVTPD2PS(x, y)
		} else {
			VCVTPD2PSY(x, y)
		}
		switch {
		case l.masked && l.Wide:
			VMOVUPS(y, l.tail, m)
		case l.masked:
			VMASKMOVPS(y, l.tail, m)
		default:
			VMOVUPS(y, m)
		}
		return
	}
	switch {
	case l.masked && l.Wide && l.Double:
		VMOVUPD(x, l.tail, m)
	case l.masked && l.Wide:
		VMOVUPS(x, l.tail, m)
	case l.masked && l.Double:
		VMASKMOVPD(x, l.tail, m)
	case l.masked:
		VMASKMOVPS(x, l.tail, m)
	default:
		VMOVUPD(x, m)
	}
}

// MaskTail clears the lanes beyond the end of the data.
func (l *Lanes) MaskTail(x reg.VecVirtual) reg.VecVirtual {
	if !l.masked {
		return x
	}
	y := l.New()
	switch {
	case l.Wide && l.Double:
		VMOVAPD_Z(x, l.tail, y)
	case l.Wide:
		VMOVAPS_Z(x, l.tail, y)
	default:
		VANDPD(x, l.tail, y)
	}
	return y
}

// pick writes the instruction for the element type.
func (l *Lanes) pick(double, single func(...Op), ops ...Op) {
	if l.Double {
		double(ops...)
	} else {
		single(ops...)
	}
}

// Add returns a + b.
func (l *Lanes) Add(a, b Op) reg.VecVirtual { return l.binary(VADDPD, VADDPS, b, a) }

// AddTo adds a to sum.
func (l *Lanes) AddTo(a Op, sum reg.Register) { l.pick(VADDPD, VADDPS, a, sum, sum) }

// Sub returns a - b.
func (l *Lanes) Sub(a, b Op) reg.VecVirtual { return l.binary(VSUBPD, VSUBPS, b, a) }

// Mul returns a b.
func (l *Lanes) Mul(a, b Op) reg.VecVirtual { return l.binary(VMULPD, VMULPS, b, a) }

// Div returns a / b.
func (l *Lanes) Div(a, b Op) reg.VecVirtual { return l.binary(VDIVPD, VDIVPS, b, a) }

// Min returns the smaller of limit and x, and x where it is not a number.
func (l *Lanes) Min(limit, x Op) reg.VecVirtual { return l.binary(VMINPD, VMINPS, x, limit) }

// Max returns the larger of limit and x, and x where it is not a number.
func (l *Lanes) Max(limit, x Op) reg.VecVirtual { return l.binary(VMAXPD, VMAXPS, x, limit) }

// And returns the bits common to a and b.
func (l *Lanes) And(a, b Op) reg.VecVirtual { return l.binary(VANDPD, VANDPS, b, a) }

// AndNot returns the bits of b that a has not.
func (l *Lanes) AndNot(a, b Op) reg.VecVirtual { return l.binary(VANDNPD, VANDNPS, b, a) }

// Or returns the bits of a or b.
func (l *Lanes) Or(a, b Op) reg.VecVirtual { return l.binary(VORPD, VORPS, b, a) }

// Xor returns the bits in which a and b differ.
func (l *Lanes) Xor(a, b Op) reg.VecVirtual { return l.binary(VXORPD, VXORPS, b, a) }

func (l *Lanes) binary(double, single func(...Op), b, a Op) reg.VecVirtual {
	x := l.New()
	l.pick(double, single, b, a, x)
	return x
}

// Sqrt returns the square root of x.
func (l *Lanes) Sqrt(x Op) reg.VecVirtual {
	y := l.New()
	l.pick(VSQRTPD, VSQRTPS, x, y)
	return y
}

// FMA sets sum to a b + sum in one rounding.
func (l *Lanes) FMA(a, b Op, sum reg.Register) { l.pick(VFMADD231PD, VFMADD231PS, a, b, sum) }

// FNMA sets sum to sum - a b in one rounding.
func (l *Lanes) FNMA(a, b Op, sum reg.Register) { l.pick(VFNMADD231PD, VFNMADD231PS, a, b, sum) }

// ClearWhereZero keeps the lanes of x where y is not zero and clears the others. A NaN is not zero.
func (l *Lanes) ClearWhereZero(x, y reg.VecVirtual) reg.VecVirtual {
	return l.Select(l.Compare(y, NotEqual, l.Zero()), x, l.Zero())
}

// SumLanes returns the sum of the lanes of the given vectors (of a full register of 512 bits, or of as many half registers that stand for them
// in order) in the low lane of a register. Vector i of n is first added to vector i + n/2, and so on; then the halves of what is left are
// added until one element remains, the same for both widths.
func (l *Lanes) SumLanes(v []reg.VecVirtual) reg.VecVirtual {
	width := 1 // registers for 512 bits
	if !l.Wide {
		width = 2
	}
	for len(v) > width {
		h := len(v) / 2
		for i := range h {
			v[i] = l.Add(v[i], v[h+i])
		}
		v = v[:h]
	}
	y := YMM()
	if l.Wide {
		hi := YMM()
		VEXTRACTF64X4(U8(1), v[0], hi)
		l.pick(VADDPD, VADDPS, hi, v[0].AsY(), y)
	} else {
		l.pick(VADDPD, VADDPS, v[1], v[0], y)
	}
	x := XMM()
	VEXTRACTF128(U8(1), y, x)
	l.pick(VADDPD, VADDPS, x, y.AsX(), x)
	z := XMM()
	VPERMILPD(U8(1), x, z)
	l.pick(VADDPD, VADDPS, z, x, x)
	if !l.Double {
		VMOVSHDUP(x, z)
		VADDPS(z, x, x)
	}
	return x
}

// StoreLow writes the low lane of x.
func (l *Lanes) StoreLow(x reg.VecVirtual, m Mem) {
	if l.Double {
		VMOVSD(x, m)
	} else {
		VMOVSS(x, m)
	}
}
