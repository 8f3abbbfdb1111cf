package lanes

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Relation is a comparison as the instructions number it.
type Relation uint8

// The relations in use. Equal and Less are false where an operand is not a number, NotEqual is true.
const (
	Equal     Relation = 0
	Less      Relation = 1
	Unordered Relation = 3 // an operand is not a number
	NotEqual  Relation = 4
)

// Mask selects lanes.
type Mask struct{ r reg.Register }

// Compare returns the lanes in which "a is b" is true.
func (l *Lanes) Compare(a Op, is Relation, b Op) Mask {
	var m reg.Register = l.New()
	if l.Wide {
		m = K()
	}
	l.pick(VCMPPD, VCMPPS, U8(is), b, a, m)
	return Mask{m}
}

// SignMask returns the lanes whose sign bit is set.
func (l *Lanes) SignMask(x reg.VecVirtual) Mask {
	if !l.Wide {
		return Mask{x}
	}
	k := K()
	VPMOVQ2M(x, k)
	return Mask{k}
}

// Select returns yes in the lanes of m and no in the others.
func (l *Lanes) Select(m Mask, yes, no reg.VecVirtual) reg.VecVirtual {
	x := l.New()
	switch {
	case l.Wide && l.Double:
		VBLENDMPD(yes, no, m.r, x)
	case l.Wide:
		VBLENDMPS(yes, no, m.r, x)
	case l.Double:
		VBLENDVPD(m.r, yes, no, x)
	default:
		VBLENDVPS(m.r, yes, no, x)
	}
	return x
}

// Constant returns a register with the same bits in every lane, read from a table of the file.
func (l *Lanes) Constant(name string, double uint64, single uint32) reg.VecVirtual {
	return l.Broadcast(l.constant(name, double, single))
}

// Float returns a register with a float64 in every lane.
func (l *Lanes) Float(v float64) reg.VecVirtual { return l.Broadcast(l.floatAddr(v)) }

// Bits returns a register with 64 bits in every 64-bit lane.
func (l *Lanes) Bits(v uint64) reg.VecVirtual {
	return l.Broadcast(l.constant(fmt.Sprintf("bits%016x", v), v, 0))
}

func (l *Lanes) floatAddr(v float64) Mem {
	return l.constant(fmt.Sprintf("bits%016x", math.Float64bits(v)), math.Float64bits(v), 0)
}

func (l *Lanes) constant(name string, double uint64, single uint32) Mem {
	if !l.Double {
		name += "F32"
	}
	m, ok := constants[name]
	if !ok {
		m = GLOBL(name, RODATA|NOPTR)
		if l.Double {
			DATA(0, U64(double))
		} else {
			DATA(0, U32(single))
		}
		constants[name] = m
	}
	return m
}

var constants = map[string]Mem{}

// Horner sets p to p z + c.
func (l *Lanes) Horner(p, z reg.VecVirtual, c float64) {
	if l.Wide {
		VFMADD213PD_BCST(l.floatAddr(c), z, p)
	} else {
		VFMADD213PD(l.Float(c), z, p)
	}
}

// Polynomial returns c[0] + c[1] z + ... by Horner's rule.
func (l *Lanes) Polynomial(z reg.VecVirtual, c ...float64) reg.VecVirtual {
	p := l.Float(c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		l.Horner(p, z, c[i])
	}
	return p
}

// MulAdd returns a b + c in one rounding.
func (l *Lanes) MulAdd(a, b, c reg.VecVirtual) reg.VecVirtual {
	x := l.copy(a)
	l.pick(VFMADD213PD, VFMADD213PS, c, b, x)
	return x
}

// MulSub returns a b - c in one rounding.
func (l *Lanes) MulSub(a, b, c reg.VecVirtual) reg.VecVirtual {
	x := l.copy(a)
	l.pick(VFMSUB213PD, VFMSUB213PS, c, b, x)
	return x
}

// NegMulAdd returns c - a b in one rounding.
func (l *Lanes) NegMulAdd(a, b, c reg.VecVirtual) reg.VecVirtual {
	x := l.copy(a)
	l.pick(VFNMADD213PD, VFNMADD213PS, c, b, x)
	return x
}

func (l *Lanes) copy(a reg.VecVirtual) reg.VecVirtual {
	x := l.New()
	VMOVAPD(a, x)
	return x
}

// AddInt returns a + b in 64-bit lanes.
func (l *Lanes) AddInt(a, b Op) reg.VecVirtual { return l.integer(VPADDQ, b, a) }

// SubInt returns a - b in 64-bit lanes.
func (l *Lanes) SubInt(a, b Op) reg.VecVirtual { return l.integer(VPSUBQ, b, a) }

// ShiftLeft returns x shifted by n bits in 64-bit lanes.
func (l *Lanes) ShiftLeft(x Op, n uint8) reg.VecVirtual { return l.integer(VPSLLQ, U8(n), x) }

// ShiftRight returns x shifted by n bits in 64-bit lanes, with zeros coming in.
func (l *Lanes) ShiftRight(x Op, n uint8) reg.VecVirtual { return l.integer(VPSRLQ, U8(n), x) }

// Rotate returns x rotated to the left by n bits in 64-bit lanes.
func (l *Lanes) Rotate(x Op, n uint8) reg.VecVirtual {
	if l.Wide {
		return l.integer(VPROLQ, U8(n), x)
	}
	return l.Or(l.ShiftLeft(x, n), l.ShiftRight(x, 64-n))
}

func (l *Lanes) integer(op func(...Op), b, a Op) reg.VecVirtual {
	x := l.New()
	op(b, a, x)
	return x
}
