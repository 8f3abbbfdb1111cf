// Command vector writes the kernels on vectors and rows.
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
	lanes.Masks()
	lanes.Each(scale)
	lanes.Each(blend)
	lanes.Each(multiply)
	lanes.Each(axpyRows)
	lanes.Each(dotRows)
	lanes.Each(rowDots)
	lanes.Each(scaleRows)
	lanes.Each(roots)
	lanes.Each(angles)
	lanes.Each(firstOrder)
	lanes.Each(norms)
	lanes.Each(weightedSquares)
	lanes.Each(rayleigh)
	Generate()
}

func pointer(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

func at(p reg.Register) Mem { return Mem{Base: p} }

// scalar returns a parameter of the element type in every lane.
func scalar(l *lanes.Lanes, name string) reg.VecVirtual {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return l.Broadcast(p.Addr)
}

func end() {
	VZEROUPPER()
	RET()
}

func scale(l *lanes.Lanes) {
	l.Text("scale", "n uintptr, alpha "+l.Elem()+", x, y *byte", "sets y = alpha x.")
	n, x, y, alpha := pointer("n"), pointer("x"), pointer("y"), scalar(l, "alpha")
	l.Loop("loop", n, []reg.Register{x, y}, func() {
		l.Store(l.Mul(alpha, l.Load(at(x))), at(y))
	})
	end()
}

// blend rounds both products, as the loop that it replaces does.
func blend(l *lanes.Lanes) {
	l.Text("blend", "n uintptr, a "+l.Elem()+", x *byte, b "+l.Elem()+", z, y *byte", "sets y = a x + b z.")
	n, x, z, y, a, b := pointer("n"), pointer("x"), pointer("z"), pointer("y"), scalar(l, "a"), scalar(l, "b")
	l.Loop("loop", n, []reg.Register{x, z, y}, func() {
		l.Store(l.Add(l.Mul(a, l.Load(at(x))), l.Mul(b, l.Load(at(z)))), at(y))
	})
	end()
}

func multiply(l *lanes.Lanes) {
	l.Text("multiply", "n uintptr, x, z, y *byte", "sets y to the elementwise product of x and z.")
	n, x, z, y := pointer("n"), pointer("x"), pointer("z"), pointer("y")
	l.Loop("loop", n, []reg.Register{x, z, y}, func() {
		l.Store(l.Mul(l.Load(at(x)), l.Load(at(z))), at(y))
	})
	end()
}

// axpyRows adds rows to y, four at a time and then one at a time; the order of the additions to an element is always that of the rows.
func axpyRows(l *lanes.Lanes) {
	l.Text("axpyRows", "n, rows uintptr, coef, a *byte, step uintptr, y *byte",
		"adds coef[l] times row l of a to y, one row after the other. Rows are step bytes apart.")
	n, rows, coef, a, step, y := pointer("n"), pointer("rows"), pointer("coef"), pointer("a"), pointer("step"), pointer("y")
	three, count, to, from := GP64(), GP64(), GP64(), GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, three)
	group := func(label string, k int) {
		var c [4]reg.VecVirtual
		for i := range k {
			c[i] = l.Broadcast(Mem{Base: coef, Disp: i * l.Size()})
		}
		MOVQ(n, count)
		MOVQ(y, to)
		MOVQ(a, from)
		rowAt := []Mem{at(from), {Base: from, Index: step, Scale: 1}, {Base: from, Index: step, Scale: 2}, {Base: from, Index: three, Scale: 1}}
		l.Loop(label, count, []reg.Register{from, to}, func() {
			sum := l.Load(at(to))
			for i := range k {
				l.FMA(c[i], l.Load(rowAt[i]), sum)
			}
			l.Store(sum, at(to))
		})
		ADDQ(U8(k*l.Size()), coef)
		for range k / 4 {
			LEAQ(Mem{Base: a, Index: step, Scale: 4}, a)
		}
		if k == 1 {
			ADDQ(step, a)
		}
		SUBQ(U8(k), rows)
	}
	Label("four")
	CMPQ(rows, U8(4))
	JLT(LabelRef("one"))
	group("loop4", 4)
	JMP(LabelRef("four"))
	Label("one")
	TESTQ(rows, rows)
	JE(LabelRef("done"))
	group("loop1", 1)
	JMP(LabelRef("one"))
	Label("done")
	end()
}

// dotRows keeps, for each row, the partial sums of one 128-byte block.
func dotRows(l *lanes.Lanes) {
	l.Text("dotRows", "n, rows uintptr, a *byte, step uintptr, x, dst *byte",
		"sets dst[i] to the inner product of row i of a and x. Rows are step bytes apart.")
	n, rows, a, step, x, dst := pointer("n"), pointer("rows"), pointer("a"), pointer("step"), pointer("x"), pointer("dst")
	count, px, pa, three := GP64(), GP64(), GP64(), GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, three)
	sums := 128 / l.Bytes()
	group := func(label string, k int) {
		rowAt := func(i, s int) Mem {
			m := Mem{Base: pa, Disp: s * l.Bytes()}
			switch i {
			case 1, 2:
				m.Index, m.Scale = step, uint8(i)
			case 3:
				m.Index, m.Scale = three, 1
			}
			return m
		}
		var acc [4][]reg.VecVirtual
		for i := range k {
			for range sums {
				acc[i] = append(acc[i], l.Zero())
			}
		}
		MOVQ(n, count)
		MOVQ(x, px)
		MOVQ(a, pa)
		blocks(l, label, count, sums, func(s int, whole bool) {
			v := l.Load(Mem{Base: px, Disp: s * l.Bytes()})
			for i := range k {
				var x Op = rowAt(i, s)
				if !whole { // only whole vectors may be read by the instruction itself
					x = l.Load(rowAt(i, s))
				}
				l.FMA(x, v, acc[i][s])
			}
		}, px, pa)
		for i := range k {
			l.StoreLow(l.SumLanes(acc[i]), Mem{Base: dst, Disp: i * l.Size()})
		}
		ADDQ(U8(k*l.Size()), dst)
		for range k {
			ADDQ(step, a)
		}
		SUBQ(U8(k), rows)
	}
	many := 2
	if l.Wide {
		many = 4
	}
	Label("many")
	CMPQ(rows, U8(many))
	JLT(LabelRef("one"))
	group("loops", many)
	JMP(LabelRef("many"))
	Label("one")
	TESTQ(rows, rows)
	JE(LabelRef("done"))
	group("loop1", 1)
	JMP(LabelRef("one"))
	Label("done")
	end()
}

// rowDots keeps the partial sums of one 128-byte block, as dotRows does.
func rowDots(l *lanes.Lanes) {
	l.Text("rowDots", "n, rows uintptr, a *byte, aStep uintptr, b *byte, bStep uintptr, dst *byte",
		"sets dst[i] to the inner product of the rows i of a and b, which are aStep and bStep bytes apart.")
	n, rows, dst := pointer("n"), pointer("rows"), pointer("dst")
	a, aStep, b, bStep := pointer("a"), pointer("aStep"), pointer("b"), pointer("bStep")
	count, pa, pb := GP64(), GP64(), GP64()
	Label("row")
	TESTQ(rows, rows)
	JE(LabelRef("done"))
	var sums []reg.VecVirtual
	for range 128 / l.Bytes() {
		sums = append(sums, l.Zero())
	}
	MOVQ(n, count)
	MOVQ(a, pa)
	MOVQ(b, pb)
	blocks(l, "sum", count, len(sums), func(s int, _ bool) {
		l.FMA(l.Load(Mem{Base: pa, Disp: s * l.Bytes()}), l.Load(Mem{Base: pb, Disp: s * l.Bytes()}), sums[s])
	}, pa, pb)
	l.StoreLow(l.SumLanes(sums), at(dst))
	ADDQ(U8(l.Size()), dst)
	ADDQ(aStep, a)
	ADDQ(bStep, b)
	DECQ(rows)
	JMP(LabelRef("row"))
	Label("done")
	end()
}

func scaleRows(l *lanes.Lanes) {
	l.Text("scaleRows", "n, rows uintptr, c, x *byte, xStep uintptr, y *byte, yStep uintptr",
		"sets row i of y to c[i] times row i of x; rows are yStep and xStep bytes apart.")
	n, rows, c := pointer("n"), pointer("rows"), pointer("c")
	x, xStep, y, yStep := pointer("x"), pointer("xStep"), pointer("y"), pointer("yStep")
	count, px, py := GP64(), GP64(), GP64()
	Label("row")
	TESTQ(rows, rows)
	JE(LabelRef("done"))
	factor := l.Broadcast(at(c))
	MOVQ(n, count)
	MOVQ(x, px)
	MOVQ(y, py)
	Label("loop")
	CMPQ(count, U8(l.Count()))
	JLT(LabelRef("rest"))
	l.Store(l.Mul(factor, l.Load(at(px))), at(py))
	ADDQ(U8(l.Bytes()), px)
	ADDQ(U8(l.Bytes()), py)
	SUBQ(U8(l.Count()), count)
	JMP(LabelRef("loop"))
	Label("rest")
	TESTQ(count, count)
	JE(LabelRef("next"))
	for part := l.Count() / 2; part > 0; part /= 2 {
		next := fmt.Sprintf("below%d", part)
		TESTQ(U32(part), count)
		JE(LabelRef(next))
		scalePart(l, factor, part, at(px), at(py))
		ADDQ(U8(part*l.Size()), px)
		ADDQ(U8(part*l.Size()), py)
		Label(next)
	}
	Label("next")
	ADDQ(U8(l.Size()), c)
	ADDQ(xStep, x)
	ADDQ(yStep, y)
	DECQ(rows)
	JMP(LabelRef("row"))
	Label("done")
	end()
}

// scalePart scales a part of a vector of 1, 2, 4, ... elements without a mask: a masked store reaches into the next row, and where rows are scaled in place the load
// there would have to wait for it.
func scalePart(l *lanes.Lanes, factor reg.VecVirtual, part int, from, to Mem) {
	switch part * l.Size() {
	case 32:
		y := YMM()
		if l.Double {
			VMULPD(from, factor.AsY(), y)
			VMOVUPD(y, to)
		} else {
			VMULPS(from, factor.AsY(), y)
			VMOVUPS(y, to)
		}
	case 16:
		x := XMM()
		if l.Double {
			VMULPD(from, factor.AsX(), x)
			VMOVUPD(x, to)
		} else {
			VMULPS(from, factor.AsX(), x)
			VMOVUPS(x, to)
		}
	case 8:
		x := XMM()
		if l.Double {
			VMULSD(from, factor.AsX(), x)
			VMOVSD(x, to)
		} else {
			VMOVSD(from, x)
			VMULPS(x, factor.AsX(), x)
			VMOVSD(x, to)
		}
	case 4:
		x := XMM()
		VMULSS(from, factor.AsX(), x)
		VMOVSS(x, to)
	}
}

func roots(l *lanes.Lanes) {
	l.Text("sqrt", "n uintptr, x, y *byte", "sets y = sqrt(x).")
	n, x, y := pointer("n"), pointer("x"), pointer("y")
	l.Loop("loop", n, []reg.Register{x, y}, func() {
		l.Store(l.Sqrt(l.Load(at(x))), at(y))
	})
	end()
}

const signF64, signF32 = 0x8000000000000000, 0x80000000

// angles works with w = |2 X|, a = |phi|, rho = hypot(a, w) and S = a + rho: tan(theta/2) = w / (S + sqrt(2 rho S)). a and w are limited so
// that no square overflows, and where squares underflow the result is still limited to tan(pi/8).
func angles(l *lanes.Lanes) {
	e := l.Elem()
	l.Text("angles", "n uintptr, si, ri, xi "+e+", s, r, x, t, out *byte", "writes one row of the generator of BoundedAngle.")
	n, s, r, x, t, out := pointer("n"), pointer("s"), pointer("r"), pointer("x"), pointer("t"), pointer("out")
	si, ri, xi := scalar(l, "si"), scalar(l, "ri"), scalar(l, "xi")
	sign := l.Constant("sign", signF64, signF32)
	limit := l.Constant("limit", 0x5f138d352e5096af, 0x5d5e0b6b) // 1e150, 1e18
	tiny := l.Constant("tiny", 0x0010000000000000, 0x00800000)   // smallest normal number
	most := l.Constant("most", 0x3fda827999fcef32, 0x3ed413cd)   // tan(pi/8)
	zero := l.Zero()
	l.Loop("loop", n, []reg.Register{s, r, x, t, out}, func() {
		rj := l.Load(at(r))
		phi := l.Sub(l.Mul(l.Load(at(s)), ri), l.Mul(si, rj))
		phi = l.Add(l.Add(phi, l.Sub(l.Load(at(x)), xi)), zero)
		v := l.Mul(l.Load(at(t)), l.Mul(ri, rj))
		v = l.Add(v, v)
		a, w := l.Min(limit, l.AndNot(sign, phi)), l.Min(limit, l.AndNot(sign, v))
		square := l.Mul(a, a)
		l.FMA(w, w, square)
		rho := l.Sqrt(square)
		sum := l.Add(a, rho)
		den := l.Add(sum, l.Sqrt(l.Mul(l.Add(rho, rho), sum)))
		size := l.Min(most, l.Div(w, l.Max(tiny, den)))
		l.Store(l.Or(size, l.And(sign, l.Xor(v, phi))), at(out))
	})
	end()
}

func firstOrder(l *lanes.Lanes) {
	e := l.Elem()
	l.Text("firstOrder", "n uintptr, si, ri "+e+", s, r, t, out *byte", "writes one row of the generator of FirstOrderAngle.")
	n, s, r, t, out := pointer("n"), pointer("s"), pointer("r"), pointer("t"), pointer("out")
	si, ri := scalar(l, "si"), scalar(l, "ri")
	l.Loop("loop", n, []reg.Register{s, r, t, out}, func() {
		rj := l.Load(at(r))
		gap := l.Sub(l.Mul(l.Load(at(s)), ri), l.Mul(si, rj))
		q := l.Div(l.Mul(l.Load(at(t)), l.Mul(ri, rj)), l.Add(gap, gap))
		l.Store(l.ClearWhereZero(q, gap), at(out))
	})
	end()
}

func norms(l *lanes.Lanes) {
	l.Text("norms", "n uintptr, x, dst *byte", "sets dst[0] to the sum of |x| and dst[1] to the sum of the squares.")
	n, x, dst := pointer("n"), pointer("x"), pointer("dst")
	sign := l.Constant("sign", signF64, signF32)
	sums := 128 / l.Bytes()
	var abs, squares []reg.VecVirtual
	for range sums {
		abs, squares = append(abs, l.Zero()), append(squares, l.Zero())
	}
	add := func(s int, _ bool) {
		v := l.Load(Mem{Base: x, Disp: s * l.Bytes()})
		l.FMA(v, v, squares[s])
		l.AddTo(l.AndNot(sign, v), abs[s])
	}
	blocks(l, "sums", n, sums, add, x)
	l.StoreLow(l.SumLanes(abs), at(dst))
	l.StoreLow(l.SumLanes(squares), Mem{Base: dst, Disp: l.Size()})
	end()
}

// blocks calls add for sums vectors at a time, which are 128 bytes from every pointer and whole, and then for the rest. n is consumed.
func blocks(l *lanes.Lanes, label string, n reg.GPVirtual, sums int, add func(s int, whole bool), pointers ...reg.GPVirtual) {
	Label(label + "_block")
	CMPQ(n, U8(sums*l.Count()))
	JLT(LabelRef(label + "_rest"))
	for s := range sums {
		add(s, true)
	}
	SUBQ(U8(sums*l.Count()), n)
	for _, p := range pointers {
		ADDQ(Imm(128), p)
	}
	JMP(LabelRef(label + "_block"))
	Label(label + "_rest")
	l.Rest(label, n, sums, func(s int) { add(s, false) })
}

func weightedSquares(l *lanes.Lanes) {
	l.Text("weightedSquares", "n uintptr, x, w, dst *byte", "sets dst[0] to the sum of x^2 and dst[1] to the sum of (x w)^2.")
	n, x, w, dst := pointer("n"), pointer("x"), pointer("w"), pointer("dst")
	sums := 128 / l.Bytes()
	var plain, weighted []reg.VecVirtual
	for range sums {
		plain, weighted = append(plain, l.Zero()), append(weighted, l.Zero())
	}
	add := func(s int, _ bool) {
		v := l.Load(Mem{Base: x, Disp: s * l.Bytes()})
		l.FMA(v, v, plain[s])
		u := l.Mul(v, l.Load(Mem{Base: w, Disp: s * l.Bytes()}))
		l.FMA(u, u, weighted[s])
	}
	blocks(l, "sums", n, sums, add, x, w)
	l.StoreLow(l.SumLanes(plain), at(dst))
	l.StoreLow(l.SumLanes(weighted), Mem{Base: dst, Disp: l.Size()})
	end()
}

func rayleigh(l *lanes.Lanes) {
	l.Text("rayleigh", "n uintptr, m "+l.Elem()+", q, w, d *byte", "adds q (2 w - m q) to d.")
	n, q, w, d, m := pointer("n"), pointer("q"), pointer("w"), pointer("d"), scalar(l, "m")
	l.Loop("loop", n, []reg.Register{q, w, d}, func() {
		v, x, sum := l.Load(at(q)), l.Load(at(w)), l.Load(at(d))
		x = l.Add(x, x)
		l.FNMA(m, v, x)
		l.FMA(v, x, sum)
		l.Store(sum, at(d))
	})
	end()
}
