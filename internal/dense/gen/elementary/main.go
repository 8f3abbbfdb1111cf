// Command elementary writes the exponential, the logarithm and powers. All compute in float64, also for float32 slices. The polynomials
// come from coefficients.py.
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
	lanes.Masks()
	lanes.EachWidened(exp)
	lanes.EachWidened(log)
	lanes.EachWidened(pow)
	Generate()
}

var (
	expPoly = []float64{0.50000000000000011102, 0.16666666666666668517, 0.041666666666624128934, 0.0083333333333300615292, 0.0013888888917213716712,
		0.0001984126986305361775, 2.4801521295954376061e-05, 2.7557268459997064112e-06, 2.7620088445409746215e-07, 2.5100385495510320289e-08}
	logPoly = []float64{0.66666666666666696273, 0.3999999999989944377, 0.28571428626003270157, 0.22222211130259877931, 0.18182889455674947077,
		0.15331710618210772634, 0.14616585424888622891}
	powPoly = []float64{0.4000000000000000222, 0.28571428571429363652, 0.22222222221655885122, 0.18181818335392802011,
		0.15384594962518430283, 0.13334804693847310264, 0.117062363394912064, 0.11723178623876517879}
)

const (
	ln2Hi      = 0.6931471803691238 // 32 bits, so that multiples by exponents are exact
	ln2Lo      = 1.9082149292705877e-10
	twoThirdLo = 0x3c85555555555555 // bits of 2/3 - float64(2/3)
	shifter    = 0x1.8p52           // adding it leaves the nearest integer in the low bits
	oneBits    = 0x3ff0000000000000
	rootHalf   = 0x3fe6a09e667f3bcd // bits of sqrt(1/2)
	mantissa   = 0x000fffffffffffff
)

func pointer(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

func at(p reg.Register) Mem { return Mem{Base: p} }

func end() {
	VZEROUPPER()
	RET()
}

func exp(l *lanes.Lanes) {
	l.Text("exp", "n uintptr, x, y *byte", "sets y = exp(x).")
	n, x, y := pointer("n"), pointer("x"), pointer("y")
	l.Loop("loop", n, []reg.Register{x, y}, func() {
		l.Store(expOf(l, l.Load(at(x)), nil), at(y))
	})
	end()
}

// expOf returns exp(x + low), where low is nil or tiny. With k the integer nearest to x/ln 2 and r = x - k ln 2 it is
// 2^k (1 + (r + r^2 q(r))); the power of two is applied in two halves, so that results beyond the normal range come out right.
func expOf(l *lanes.Lanes, x, low reg.VecVirtual) reg.VecVirtual {
	x = l.Max(l.Float(-746), l.Min(l.Float(710), x))
	magic := l.Float(shifter)
	k := l.Sub(l.MulAdd(x, l.Float(math.Log2E), magic), magic)
	r := l.NegMulAdd(k, l.Float(ln2Hi), x)
	if low == nil {
		r = l.NegMulAdd(k, l.Float(ln2Lo), r)
	} else {
		r = l.Add(r, l.NegMulAdd(k, l.Float(ln2Lo), low))
	}
	p := l.MulAdd(l.Mul(r, r), l.Polynomial(r, expPoly...), r)
	p = l.Add(p, l.Float(1))
	half := l.MulAdd(k, l.Float(0.5), magic)
	rest := l.Add(l.Sub(k, l.Sub(half, magic)), magic)
	one := l.Bits(oneBits)
	p = l.Mul(p, l.AddInt(l.ShiftLeft(half, 52), one))
	return l.Mul(p, l.AddInt(l.ShiftLeft(rest, 52), one))
}

// split returns e and m with x = 2^e m and sqrt(1/2) <= m < sqrt(2), for finite x > 0.
func split(l *lanes.Lanes, x reg.VecVirtual) (e, m reg.VecVirtual) {
	subnormal := l.Compare(x, lanes.Less, l.Float(0x1p-1022))
	x = l.Select(subnormal, l.Mul(x, l.Float(0x1p54)), x)
	bias := l.Select(subnormal, l.Float(0x1p52+1023+54), l.Float(0x1p52+1023))
	low := l.Bits(rootHalf)
	ix := l.AddInt(x, l.SubInt(l.Bits(oneBits), low))
	e = l.Sub(l.Or(l.ShiftRight(ix, 52), l.Float(0x1p52)), bias)
	m = l.AddInt(l.And(ix, l.Bits(mantissa)), low)
	return e, m
}

// special returns y where x is positive and finite, and the given values at zero and infinity; where x is negative or not a number, it is not a
// number.
func special(l *lanes.Lanes, x, y, atZero, atInfinity reg.VecVirtual) reg.VecVirtual {
	inf := l.Float(math.Inf(1))
	y = l.Select(l.Compare(x, lanes.Equal, inf), atInfinity, y)
	zero := l.Zero()
	y = l.Select(l.Compare(x, lanes.Less, zero), l.Float(math.NaN()), y)
	y = l.Select(l.Compare(x, lanes.Equal, zero), atZero, y)
	return l.Select(l.Compare(x, lanes.Unordered, x), x, y)
}

// log follows fdlibm: with f = m - 1 and s = f/(2+f), log(1+f) = f - (f^2/2 - s (f^2/2 + R(s^2))).
func log(l *lanes.Lanes) {
	l.Text("log", "n uintptr, x, y *byte", "sets y = log(x).")
	n, x, y := pointer("n"), pointer("x"), pointer("y")
	l.Loop("loop", n, []reg.Register{x, y}, func() {
		v := l.Load(at(x))
		e, m := split(l, v)
		f := l.Sub(m, l.Float(1))
		s := l.Div(f, l.Add(f, l.Float(2)))
		z := l.Mul(s, s)
		half := l.Mul(l.Mul(f, f), l.Float(0.5))
		r := l.MulAdd(z, l.Polynomial(z, logPoly...), half)
		r = l.MulAdd(s, r, l.Mul(e, l.Float(ln2Lo)))
		r = l.Sub(f, l.Sub(half, r))
		r = l.MulAdd(e, l.Float(ln2Hi), r)
		l.Store(special(l, v, r, l.Float(math.Inf(-1)), l.Float(math.Inf(1))), at(y))
	})
	end()
}

// pow is exp(p log x) with the logarithm as a sum of two numbers. With s = (m-1)/(m+1), log m = 2 s + 2/3 s^3 + s^5 P(s^2).
func pow(l *lanes.Lanes) {
	l.Text("pow", "n uintptr, p, atZero, atInfinity float64, x, y *byte", "sets y = x^p for x >= 0, with the given values at zero and infinity.")
	n, x, y := pointer("n"), pointer("x"), pointer("y")
	param := func(name string) reg.VecVirtual {
		b, err := Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		return l.Broadcast(b.Addr)
	}
	l.Loop("loop", n, []reg.Register{x, y}, func() {
		v := l.Load(at(x))
		hi, lo := logParts(l, v)
		p := param("p")
		yh := l.Mul(p, hi)
		yl := l.MulAdd(p, lo, l.MulSub(p, hi, yh))
		// Beyond the range of the exponential the low part may not be finite and does not matter.
		size := l.AndNot(l.Float(math.Copysign(0, -1)), yh)
		yl = l.Select(l.Compare(size, lanes.Less, l.Float(800)), yl, l.Zero())
		l.Store(special(l, v, expOf(l, yh, yl), param("atZero"), param("atInfinity")), at(y))
	})
	end()
}

// logParts returns the logarithm as a sum, to about 2^-64 of its size.
func logParts(l *lanes.Lanes, x reg.VecVirtual) (hi, lo reg.VecVirtual) {
	e, m := split(l, x)
	one := l.Float(1)
	d := l.Add(m, one)
	dl := l.Sub(m, l.Sub(d, one))
	f := l.Sub(m, one)
	rd := l.Div(one, d)
	s := l.Mul(f, rd)
	sl := l.Mul(l.NegMulAdd(s, dl, l.NegMulAdd(s, d, f)), rd)

	z := l.Mul(s, s)
	zl := l.MulAdd(l.Add(s, s), sl, l.MulSub(s, s, z))
	c := l.Mul(z, s) // s^3
	cl := l.MulAdd(zl, s, l.MulAdd(z, sl, l.MulSub(z, s, c)))
	third := l.Float(2.0 / 3)
	t := l.Mul(third, c)
	tl := l.MulAdd(l.Bits(twoThirdLo), c, l.MulAdd(third, cl, l.MulSub(third, c, t)))
	tl = l.MulAdd(l.Mul(c, z), l.Polynomial(z, powPoly...), tl)
	tl = l.Add(tl, l.Add(sl, sl))

	a := l.Add(s, s)
	h := l.Add(a, t)
	low := l.Add(l.Sub(t, l.Sub(h, a)), tl)
	eh := l.Mul(e, l.Float(ln2Hi))
	hi = l.Add(eh, h)
	low = l.Add(l.Sub(h, l.Sub(hi, eh)), l.MulAdd(e, l.Float(ln2Lo), low))
	return hi, low
}
