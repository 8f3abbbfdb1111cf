package main

import "fmt"

// The kernels on vectors and rows. Partial sums fill blocks of 128 bytes, here eight vectors, that are added in the order of the kernels for amd64.

const dotParts = 8

// scalar loads a parameter of the element type into the first lane.
func (e elements) scalar(from string, v vec) { ins(e.one(), from, v) }

// everywhere loads a parameter of the element type into every lane.
func (e elements) everywhere(from string, v vec) {
	e.scalar(from, v)
	if e.double {
		ins("VDUP", fmt.Sprintf("V%d.D[0]", int(v)), v.all())
	} else {
		ins("VDUP", fmt.Sprintf("V%d.S[0]", int(v)), v.lanes("S4"))
	}
}

// constant sets every lane to the bits given for float64 or float32.
func (e elements) constant(double uint64, single uint32, v vec) {
	if e.double {
		ins("MOVD", fmt.Sprintf("$0x%x", double), scratch)
		ins("VDUP", scratch, v.all())
		return
	}
	ins("MOVD", fmt.Sprintf("$0x%x", single), scratch)
	ins("VDUP", scratch, v.lanes("S4"))
}

func (e elements) number() string {
	if e.double {
		return "float64"
	}
	return "float32"
}

// vectorText starts a kernel with n first, a number of the element type for each of the scalars, and pointers; it loads n and the pointers.
func (e elements) vectorText(name, doc string, scalars, names []string) (p map[string]string, n gp, r []gp) {
	params := append(parameters("uintptr", "n"), parameters(e.number(), scalars...)...)
	p = text(name+e.suffix(), doc, append(params, pointers(names...)...))
	n = gp(1)
	ins("MOVD", p["n"], n)
	for i, name := range names {
		r = append(r, gp(2+i))
		ins("MOVD", p[name], r[i])
	}
	return p, n, r
}

func (e elements) scale() {
	p, n, r := e.vectorText("scale", "sets y = alpha x.", []string{"alpha"}, []string{"x", "y"})
	e.scalar(p["alpha"], 31)
	e.blocks("loop", n, 4, r, func(part, n int) {
		v := vec(part)
		e.load(r[0], part, n, v)
		e.by(fmulBy, v, v, 31)
		e.store(v, r[1], part, n)
	})
	ret()
}

// blend rounds both products, as the loop that it replaces does.
func (e elements) blend() {
	p := text("blend"+e.suffix(), "sets y = a x + b z.", []parameter{{"n", "uintptr"}, {"a", e.number()}, {"x", "*byte"}, {"b", e.number()}, {"z", "*byte"}, {"y", "*byte"}})
	n, x, z, y := gp(1), gp(2), gp(3), gp(4)
	ins("MOVD", p["n"], n)
	ins("MOVD", p["x"], x)
	ins("MOVD", p["z"], z)
	ins("MOVD", p["y"], y)
	e.scalar(p["a"], 30)
	e.scalar(p["b"], 31)
	e.blocks("loop", n, 4, []gp{x, z, y}, func(part, n int) {
		v, w := vec(part), vec(8+part)
		e.load(x, part, n, v)
		e.load(z, part, n, w)
		e.by(fmulBy, v, v, 30)
		e.by(fmulBy, w, w, 31)
		e.three(fadd, v, v, w)
		e.store(v, y, part, n)
	})
	ret()
}

func (e elements) multiply() {
	_, n, r := e.vectorText("multiply", "sets y to the elementwise product of x and z.", nil, []string{"x", "z", "y"})
	e.blocks("loop", n, 4, r, func(part, n int) {
		v, w := vec(part), vec(8+part)
		e.load(r[0], part, n, v)
		e.load(r[1], part, n, w)
		e.three(fmul, v, v, w)
		e.store(v, r[2], part, n)
	})
	ret()
}

func (e elements) sqrt() {
	_, n, r := e.vectorText("sqrt", "sets y = sqrt(x).", nil, []string{"x", "y"})
	e.blocks("loop", n, 2, r, func(part, n int) {
		v := vec(part)
		e.load(r[0], part, n, v)
		e.two(fsqrt, v, v)
		e.store(v, r[1], part, n)
	})
	ret()
}

// rowGroups writes a loop over rows: many at a time while there are as many, then one at a time.
func rowGroups(rows gp, many int, group func(name string, k int)) {
	for i, k := range []int{many, 1} {
		name := []string{"many", "one"}[i]
		label(name)
		ins("CMP", k, rows)
		ins("BLT", name+"_end")
		group(name+"_loop", k)
		ins("SUB", k, rows)
		ins("B", name)
		label(name + "_end")
	}
}

// axpyRows adds rows to y, four at a time and then one at a time; the order of the additions to an element is always that of the rows.
func (e elements) axpyRows() {
	p := text("axpyRows"+e.suffix(), "adds coef[l] times row l of a to y, one row after the other. Rows are step bytes apart.",
		append(parameters("uintptr", "n", "rows"), parameter{"coef", "*byte"}, parameter{"a", "*byte"}, parameter{"step", "uintptr"}, parameter{"y", "*byte"}))
	from := []gp{1, 2, 3, 4}
	n, rows, coef, a, step, y, to := gp(5), gp(6), gp(7), gp(8), gp(9), gp(10), gp(11)
	count := gp(12)
	ins("MOVD", p["n"], n)
	ins("MOVD", p["rows"], rows)
	ins("MOVD", p["coef"], coef)
	ins("MOVD", p["a"], a)
	ins("MOVD", p["step"], step)
	ins("MOVD", p["y"], y)
	rowGroups(rows, 4, func(name string, k int) {
		for i := range k {
			ins("MOVD", a, from[i])
			ins("ADD", step, a)
			ins(e.one(), coef.at(i*e.size()), vec(28+i))
		}
		ins("ADD", k*e.size(), coef)
		ins("MOVD", y, to)
		ins("MOVD", n, count)
		e.blocks(name, count, 4, append(from[:k:k], to), func(part, n int) {
			sum := vec(part)
			e.load(to, part, n, sum)
			for i := range k {
				v := vec(4 + part + 4*i)
				e.load(from[i], part, n, v)
				e.by(fmlaBy, sum, v, vec(28+i))
			}
			e.store(sum, to, part, n)
		})
	})
	ret()
}

// dotRows keeps, for each row, the partial sums of one block.
func (e elements) dotRows() {
	p := text("dotRows"+e.suffix(), "sets dst[i] to the inner product of row i of a and x. Rows are step bytes apart.",
		append(parameters("uintptr", "n", "rows"), parameter{"a", "*byte"}, parameter{"step", "uintptr"}, parameter{"x", "*byte"}, parameter{"dst", "*byte"}))
	from := []gp{1, 2}
	n, rows, a, step, x, dst := gp(5), gp(6), gp(7), gp(8), gp(9), gp(10)
	px, count := gp(11), gp(12)
	ins("MOVD", p["n"], n)
	ins("MOVD", p["rows"], rows)
	ins("MOVD", p["a"], a)
	ins("MOVD", p["step"], step)
	ins("MOVD", p["x"], x)
	ins("MOVD", p["dst"], dst)
	rowGroups(rows, 2, func(name string, k int) {
		for i := range k {
			ins("MOVD", a, from[i])
			ins("ADD", step, a)
		}
		for i := range k * dotParts {
			clearVec(vec(i))
		}
		ins("MOVD", x, px)
		ins("MOVD", n, count)
		e.blocks(name, count, dotParts, append(from[:k:k], px), func(part, n int) {
			v := vec(16 + part%4)
			e.load(px, part, n, v)
			for i := range k {
				w := vec(20 + 4*i + part%4)
				e.load(from[i], part, n, w)
				e.three(fmla, vec(i*dotParts+part), w, v)
			}
		})
		for i := range k {
			e.sum(vec(i * dotParts))
			ins(e.one(), vec(i*dotParts), dst.at(i*e.size()))
		}
		ins("ADD", k*e.size(), dst)
	})
	ret()
}

// sum adds the lanes of the eight vectors from v on and leaves the result in the first lane of v. It destroys the vectors and register 31.
func (e elements) sum(v vec) {
	for half := vec(dotParts / 2); half > 0; half /= 2 {
		for i := range half {
			e.three(fadd, v+i, v+i, v+half+i)
		}
	}
	if !e.double {
		ins("VEXT", 8, v.bytes(), v.bytes(), vec(31).bytes())
		e.three(fadd, v, v, 31)
	}
	e.three(faddp, v, v, v)
}

func (e elements) angles() {
	p, n, r := e.vectorText("angles", "writes one row of the generator of BoundedAngle.", []string{"si", "ri", "xi"}, []string{"s", "r", "x", "t", "out"})
	si, ri, xi, sign, limit, tiny, most, zero := vec(31), vec(30), vec(29), vec(28), vec(27), vec(26), vec(25), vec(24)
	e.scalar(p["si"], si)
	e.scalar(p["ri"], ri)
	e.everywhere(p["xi"], xi)
	e.constant(0x8000000000000000, 0x80000000, sign)
	e.constant(0x5f138d352e5096af, 0x5d5e0b6b, limit) // 1e150, 1e18
	e.constant(0x0010000000000000, 0x00800000, tiny)  // smallest normal number
	e.constant(0x3fda827999fcef32, 0x3ed413cd, most)  // tan(pi/8)
	clearVec(zero)
	e.blocks("loop", n, 2, r, func(part, n int) {
		rj, phi, t, v, a, w, rho := vec(0), vec(1), vec(2), vec(3), vec(4), vec(5), vec(6)
		e.load(r[1], part, n, rj)
		e.load(r[0], part, n, phi)
		e.by(fmulBy, phi, phi, ri)
		e.by(fmulBy, t, rj, si)
		e.three(fsub, phi, phi, t)
		e.load(r[2], part, n, t)
		e.three(fsub, t, t, xi)
		e.three(fadd, phi, phi, t)
		e.three(fadd, phi, phi, zero)
		e.load(r[3], part, n, v)
		e.by(fmulBy, t, rj, ri)
		e.three(fmul, v, v, t)
		e.three(fadd, v, v, v)
		e.two(fabs, a, phi)
		e.two(fabs, w, v)
		e.three(fmin, a, a, limit)
		e.three(fmin, w, w, limit)
		e.three(fmul, rho, a, a)
		e.three(fmla, rho, w, w)
		e.two(fsqrt, rho, rho)
		e.three(fadd, a, a, rho)
		e.three(fadd, rho, rho, rho)
		e.three(fmul, rho, rho, a)
		e.two(fsqrt, rho, rho)
		e.three(fadd, a, a, rho)
		e.three(fmax, a, a, tiny)
		e.three(fdiv, w, w, a)
		e.three(fmin, w, w, most)
		ins("VEOR", phi.bytes(), v.bytes(), v.bytes())
		ins("VAND", sign.bytes(), v.bytes(), v.bytes())
		ins("VORR", w.bytes(), v.bytes(), v.bytes())
		e.store(v, r[4], part, n)
	})
	ret()
}

func (e elements) firstOrder() {
	p, n, r := e.vectorText("firstOrder", "writes one row of the generator of FirstOrderAngle.", []string{"si", "ri"}, []string{"s", "r", "t", "out"})
	si, ri := vec(31), vec(30)
	e.scalar(p["si"], si)
	e.scalar(p["ri"], ri)
	e.blocks("loop", n, 2, r, func(part, n int) {
		rj, gap, t, v := vec(0), vec(1), vec(2), vec(3)
		e.load(r[1], part, n, rj)
		e.load(r[0], part, n, gap)
		e.by(fmulBy, gap, gap, ri)
		e.by(fmulBy, t, rj, si)
		e.three(fsub, gap, gap, t)
		e.load(r[2], part, n, v)
		e.by(fmulBy, t, rj, ri)
		e.three(fmul, v, v, t)
		e.three(fadd, t, gap, gap)
		e.three(fdiv, v, v, t)
		e.two(fcmeq, t, gap)
		ins("VEOR", rj.bytes(), rj.bytes(), rj.bytes())
		ins("VBIT", t.bytes(), rj.bytes(), v.bytes())
		e.store(v, r[3], part, n)
	})
	ret()
}

func (e elements) norms() {
	_, n, r := e.vectorText("norms", "sets dst[0] to the sum of |x| and dst[1] to the sum of the squares.", nil, []string{"x", "dst"})
	e.twoSums(n, r[:1], r[1], func(part, n int, abs, squares vec) {
		v := vec(16 + part)
		e.load(r[0], part, n, v)
		e.three(fmla, squares, v, v)
		e.two(fabs, v, v)
		e.three(fadd, abs, abs, v)
	})
}

func (e elements) weightedSquares() {
	_, n, r := e.vectorText("weightedSquares", "sets dst[0] to the sum of x^2 and dst[1] to the sum of (x w)^2.", nil, []string{"x", "w", "dst"})
	e.twoSums(n, r[:2], r[2], func(part, n int, plain, weighted vec) {
		v, w := vec(16+part), vec(24+part%4)
		e.load(r[0], part, n, v)
		e.three(fmla, plain, v, v)
		e.load(r[1], part, n, w)
		e.three(fmul, v, v, w)
		e.three(fmla, weighted, v, v)
	})
}

// twoSums writes a loop that adds to two sums, and their end.
func (e elements) twoSums(n gp, pointers []gp, dst gp, add func(part, n int, first, second vec)) {
	for i := range 2 * dotParts {
		clearVec(vec(i))
	}
	e.blocks("sums", n, dotParts, pointers, func(part, n int) { add(part, n, vec(part), vec(dotParts+part)) })
	for i := range 2 {
		e.sum(vec(i * dotParts))
		ins(e.one(), vec(i*dotParts), dst.at(i*e.size()))
	}
	ret()
}

func (e elements) rayleigh() {
	p, n, r := e.vectorText("rayleigh", "adds q (2 w - m q) to d.", []string{"m"}, []string{"q", "w", "d"})
	e.scalar(p["m"], 31)
	e.blocks("loop", n, 4, r, func(part, n int) {
		v, x, sum := vec(part), vec(8+part), vec(16+part)
		e.load(r[0], part, n, v)
		e.load(r[1], part, n, x)
		e.load(r[2], part, n, sum)
		e.three(fadd, x, x, x)
		e.by(fmlsBy, x, v, 31)
		e.three(fmla, sum, v, x)
		e.store(sum, r[2], part, n)
	})
	ret()
}
