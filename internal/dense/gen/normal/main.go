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
	for i := range 16 {
		DATA(8*i, U64(i))
	}
	lanes.EachWidened(normal)
	Generate()
}

// laneNumbers is the table 0, 1, ..., 15.
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
	counter := GP64()
	Load(Param("counter"), counter)
	// Two vectors at a time hide the latency of one behind the other.
	atOnce := 2 * l.Count() / 8
	if atOnce > 1 {
		Label("groups")
		CMPQ(groups, U8(atOnce))
		JLT(LabelRef("group"))
		writeGroups(l, atOnce, counter, dst, param)
		SUBQ(U8(atOnce), groups)
		JMP(LabelRef("groups"))
	}
	Label("group")
	TESTQ(groups, groups)
	JE(LabelRef("done"))
	writeGroups(l, 1, counter, dst, param)
	DECQ(groups)
	JMP(LabelRef("group"))
	Label("done")
	VZEROUPPER()
	RET()
}

// writeGroups writes n groups of 16 numbers and advances counter and dst.
func writeGroups(l *lanes.Lanes, n int, counter, dst reg.GPVirtual, param func(string) reg.VecVirtual) {
	step := l.Bytes()
	if l.Widen {
		step /= 2
	}
	parts := 8 / l.Count() // vectors for the first numbers of a group, and as many for the second ones
	start := l.New()
	if l.Wide {
		VPBROADCASTQ(counter, start)
	} else {
		x := XMM()
		VMOVQ(counter, x)
		VPBROADCASTQ(x, start)
	}
	var blocks []reg.VecVirtual
	for i := range n * parts {
		block := l.New()
		VPADDQ(laneNumbers.Offset(i*l.Bytes()), start, block)
		blocks = append(blocks, block)
	}
	a, b := threefry(l, blocks, param("key0"), param("key1"))
	for i := range blocks {
		x, y := boxMuller(l, a[i], b[i])
		at := (i/parts*2*parts + i%parts) * step
		l.Store(x, Mem{Base: dst, Disp: at})
		l.Store(y, Mem{Base: dst, Disp: at + parts*step})
	}
	ADDQ(U8(8*n), counter)
	ADDQ(U32(2*n*parts*step), dst)
}

// threefry is Threefry-2x64 with 20 rounds of the counters (block, 0).
func threefry(l *lanes.Lanes, blocks []reg.VecVirtual, key0, key1 reg.VecVirtual) (a, b []reg.VecVirtual) {
	key := [3]reg.VecVirtual{key0, key1, l.Xor(l.Xor(key0, key1), l.Bits(parity))}
	for _, block := range blocks {
		a, b = append(a, l.AddInt(block, key0)), append(b, key1)
	}
	for round := range 20 {
		for i := range blocks {
			a[i] = l.AddInt(a[i], b[i])
			b[i] = l.Xor(l.Rotate(b[i], rotations[round%8]), a[i])
		}
		if (round+1)%4 != 0 {
			continue
		}
		j := (round + 1) / 4
		for i := range blocks {
			a[i] = l.AddInt(a[i], key[j%3])
			b[i] = l.AddInt(l.AddInt(b[i], key[(j+1)%3]), l.Bits(uint64(j)))
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
