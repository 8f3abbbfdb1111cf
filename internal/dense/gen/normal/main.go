// Command normal writes the kernel of the standard normals; see the scalar twin in normal.go for what it computes.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

func main() {
	ConstraintExpr("amd64")
	laneNumbers = GLOBL("laneNumbers", RODATA|NOPTR)
	for i := range 8 {
		DATA(8*i, U64(i))
	}
	lanes.EachWidened(normal)
	Generate()
}

// laneNumbers is the table 0, 1, ..., 7.
var laneNumbers Mem

var rotations = [8]uint8{16, 42, 12, 31, 16, 32, 24, 21}

const parity = 0x1bd11bdaa9fc1a22

func normal(l *lanes.Lanes) {
	l.Text("normal", "groups uintptr, dst *byte, key0, key1, counter uint64", "writes groups of 16 normals from block number counter on.")
	groups, dst := Load(Param("groups"), GP64()).(reg.GPVirtual), Load(Param("dst"), GP64()).(reg.GPVirtual)
	param := func(name string) reg.VecVirtual {
		b, err := Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		return l.Broadcast(b.Addr)
	}
	step := l.Bytes()
	if l.Widen {
		step /= 2
	}
	counter := GP64()
	Load(Param("counter"), counter)
	Label("group")
	for part := range 8 / l.Count() {
		block := l.New()
		start := l.New()
		if l.Wide {
			VPBROADCASTQ(counter, start)
		} else {
			x := XMM()
			VMOVQ(counter, x)
			VPBROADCASTQ(x, start)
		}
		VPADDQ(laneNumbers.Offset(part*32), start, block)
		a, b := threefry(l, block, param("key0"), param("key1"))
		c, s := boxMuller(l, a, b)
		l.Store(c, Mem{Base: dst, Disp: part * step})
		l.Store(s, Mem{Base: dst, Disp: part*step + 8*step/l.Count()})
	}
	ADDQ(U8(8), counter)
	ADDQ(Imm(uint64(16*step/l.Count())), dst)
	DECQ(groups)
	JNE(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// threefry is Threefry-2x64 with 20 rounds of the counter (block, 0).
func threefry(l *lanes.Lanes, block, key0, key1 reg.VecVirtual) (a, b reg.VecVirtual) {
	key := [3]reg.VecVirtual{key0, key1, l.Xor(l.Xor(key0, key1), l.Bits(parity))}
	a, b = l.AddInt(block, key0), key1
	for round := range 20 {
		a = l.AddInt(a, b)
		b = l.Xor(l.Rotate(b, rotations[round%8]), a)
		if (round+1)%4 == 0 {
			j := (round + 1) / 4
			a = l.AddInt(a, key[j%3])
			b = l.AddInt(l.AddInt(b, key[(j+1)%3]), l.Bits(uint64(j)))
		}
	}
	return a, b
}

var (
	logPoly = []float64{0.66666666666666696273, 0.3999999999989944377, 0.28571428626003270157, 0.22222211130259877931, 0.18182889455674947077,
		0.15331710618210772634, 0.14616585424888622891}
	sinPoly = []float64{-0.16666666666666665741, 0.0083333333333309479729, -0.00019841269836756773816, 2.7557316101617873534e-06,
		-2.5051131650235180913e-08, 1.5918115263265973975e-10}
	cosPoly = []float64{0.041666666666666664354, -0.0013888888888887397557, 2.4801587298764560881e-05, -2.7557317271145144455e-07,
		2.0876146146558609915e-09, -1.1382623647474604167e-11}
)

const (
	oneBits  = 0x3ff0000000000000
	rootHalf = 0x3fe6a09e667f3bcd
	mantissa = 0x000fffffffffffff
	signBit  = 0x8000000000000000
	ln2      = 0.6931471805599453
)

// unit returns a number in [1, 2) from the upper 52 bits.
func unit(l *lanes.Lanes, x reg.VecVirtual) reg.VecVirtual {
	return l.Or(l.ShiftRight(x, 12), l.Bits(oneBits))
}

func boxMuller(l *lanes.Lanes, a, b reg.VecVirtual) (x, y reg.VecVirtual) {
	radius := l.Sqrt(l.Mul(l.Float(-2), logOf(l, l.Sub(l.Float(2), unit(l, a)))))
	t := l.Mul(l.Sub(unit(l, b), l.Float(1.5)), l.Float(math.Pi/2))
	z := l.Mul(t, t)
	sin := l.MulAdd(l.Mul(t, z), l.Polynomial(z, sinPoly...), t)
	cos := l.MulAdd(l.Mul(z, z), l.Polynomial(z, cosPoly...), l.NegMulAdd(z, l.Float(0.5), l.Float(1)))
	cos = l.Xor(cos, l.And(l.ShiftLeft(b, 62), l.Bits(signBit)))
	swap := l.SignMask(l.ShiftLeft(b, 63))
	x, y = l.Select(swap, sin, cos), l.Select(swap, cos, sin)
	return l.Mul(radius, x), l.Mul(radius, y)
}

// logOf is the logarithm of a normal number.
func logOf(l *lanes.Lanes, x reg.VecVirtual) reg.VecVirtual {
	low := l.Bits(rootHalf)
	ix := l.AddInt(x, l.SubInt(l.Bits(oneBits), low))
	e := l.Sub(l.Or(l.ShiftRight(ix, 52), l.Float(0x1p52)), l.Float(0x1p52+1023))
	m := l.AddInt(l.And(ix, l.Bits(mantissa)), low)
	f := l.Sub(m, l.Float(1))
	s := l.Div(f, l.Add(f, l.Float(2)))
	z := l.Mul(s, s)
	half := l.Mul(l.Mul(f, f), l.Float(0.5))
	r := l.MulAdd(z, l.Polynomial(z, logPoly...), half)
	r = l.Sub(f, l.NegMulAdd(s, r, half))
	return l.MulAdd(e, l.Float(ln2), r)
}
