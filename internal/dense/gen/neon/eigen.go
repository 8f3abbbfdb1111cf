package main

import "fmt"

// The kernels of the symmetric eigenvalue solver. Every sum runs over eight lanes, here four vectors, that are added in the order of the kernels for amd64, so that
// both give the same bits.

const sumParts = 4

var doubles = elements{double: true}

// fold adds the eight lanes of count sums of four vectors each and leaves sum i in lane i%2 of register i/2*8.
func fold(count int) {
	for i := range count {
		v := vec(sumParts * i)
		doubles.three(fadd, v, v, v+2)
		doubles.three(fadd, v+1, v+1, v+3)
		doubles.three(faddp, v, v, v+1)
	}
	for i := 0; i < count; i += 2 {
		v := vec(sumParts * i)
		doubles.three(faddp, v, v, v+sumParts)
	}
}

func clearSums(count int) {
	for i := range count * sumParts {
		clearVec(vec(i))
	}
}

// fourRows sets r to rows of a matrix, step bytes apart.
func fourRows(first string, step gp, r []gp) {
	ins("MOVD", first, r[0])
	for i := 1; i < len(r); i++ {
		ins("ADD", step, r[i-1], r[i])
	}
}

// symv adds a^T xr to y and stores a x in sums, for four rows a of n columns.
func symv() {
	p := text("symv4NEON", "adds a^T xr to y and stores a x in sums, for the four rows at a, stride bytes apart, of n columns.",
		[]parameter{{"a", "*float64"}, {"stride", "int"}, {"n", "int"}, {"x", "*float64"}, {"xr", "*float64"}, {"y", "*float64"}, {"sums", "*float64"}})
	rows := []gp{1, 2, 3, 4}
	stride, n, x, y, at := gp(5), gp(6), gp(7), gp(8), gp(9)
	ins("MOVD", p["stride"], stride)
	fourRows(p["a"], stride, rows)
	ins("MOVD", p["n"], n)
	ins("MOVD", p["x"], x)
	ins("MOVD", p["y"], y)
	ins("MOVD", p["xr"], at)
	clearSums(4)
	xr, vx, vy := vec(16), vec(18), vec(19)
	ins("FLDPQ", at.at(0), pair(xr, xr+1))
	doubles.blocks("columns", n, sumParts, append(rows, x, y), func(part, n int) {
		doubles.load(x, part, n, vx)
		doubles.load(y, part, n, vy)
		for i, row := range rows {
			va := vec(20 + i)
			doubles.load(row, part, n, va)
			doubles.three(fmla, vec(sumParts*i+part), va, vx)
			doubles.lane(fmlaBy, vy, va, xr+vec(i/2), uint32(i%2))
		}
		doubles.store(vy, y, part, n)
	})
	storeSums(p["sums"], at)
}

// storeSums writes four sums and returns.
func storeSums(to string, at gp) {
	fold(4)
	ins("MOVD", to, at)
	ins("FMOVQ", vec(0), at.at(0))
	ins("FMOVQ", vec(2*sumParts), at.at(16))
	ret()
}

// rankTwoSymv updates four rows of a symmetric matrix and multiplies the result on both sides of the diagonal, in one pass.
func rankTwoSymv() {
	p := text("rankTwoSymv4NEON", "subtracts vr w + wr v from the 4 rows at a, stride bytes apart, of n columns, adds a^T xr to y and stores a x in sums.",
		append([]parameter{{"a", "*float64"}, {"stride", "int"}, {"n", "int"}}, parameters("*float64", "v", "w", "x", "y", "vr", "wr", "xr", "sums")...))
	rows := []gp{1, 2, 3, 4}
	stride, n, at := gp(5), gp(6), gp(7)
	v, w, x, y := gp(8), gp(9), gp(10), gp(11)
	ins("MOVD", p["stride"], stride)
	fourRows(p["a"], stride, rows)
	ins("MOVD", p["n"], n)
	for i, name := range []string{"v", "w", "x", "y"} {
		ins("MOVD", p[name], v+gp(i))
	}
	vr, wr, xr := vec(16), vec(18), vec(20)
	for i, name := range []string{"vr", "wr", "xr"} {
		ins("MOVD", p[name], at)
		ins("FLDPQ", at.at(0), pair(vr+vec(2*i), vr+vec(2*i+1)))
	}
	clearSums(4)
	vv, vw, vx, vy, va := vec(22), vec(23), vec(24), vec(25), vec(26)
	doubles.blocks("columns", n, sumParts, append(rows, v, w, x, y), func(part, n int) {
		doubles.load(v, part, n, vv)
		doubles.load(w, part, n, vw)
		doubles.load(x, part, n, vx)
		doubles.load(y, part, n, vy)
		for i, row := range rows {
			half, index, a := vec(i/2), uint32(i%2), va+vec(i)
			doubles.load(row, part, n, a)
			doubles.lane(fmlsBy, a, vw, vr+half, index)
			doubles.lane(fmlsBy, a, vv, wr+half, index)
			doubles.store(a, row, part, n)
			doubles.three(fmla, vec(sumParts*i+part), a, vx)
			doubles.lane(fmlaBy, vy, a, xr+half, index)
		}
		doubles.store(vy, y, part, n)
	})
	storeSums(p["sums"], at)
}

// rotateRows applies a chain of plane rotations to neighbouring rows, the last first. A few vectors of a row go up the rows together, so that their chains of
// dependent operations overlap.
func rotateRows() {
	p := text("rotateRowsNEON", "applies k > 0 rotations to rows of n > 0 columns, stride bytes apart; rotation i mixes the rows i and i+1 counted from k rows before last.",
		[]parameter{{"last", "*float64"}, {"stride", "int"}, {"n", "int"}, {"k", "int"}, {"c", "*float64"}, {"s", "*float64"}})
	last, stride, n, k, c, s := gp(1), gp(2), gp(3), gp(4), gp(5), gp(6)
	row, up, left, at := gp(7), gp(8), gp(9), gp(10)
	ins("MOVD", p["last"], last)
	ins("MOVD", p["stride"], stride)
	ins("MOVD", p["n"], n)
	ins("MOVD", p["k"], k)
	ins("MOVD", p["c"], c)
	ins("MOVD", p["s"], s)
	carry, x, below, vc, vs := vec(0), vec(8), vec(16), vec(24), vec(25)
	for _, columns := range []int{16, 4, 1} {
		name := fmt.Sprintf("columns%d", columns)
		vectors := vec(doubles.registers(columns))
		label(name)
		ins("CMP", columns, n)
		ins("BLT", name+"_done")
		ins("MOVD", last, row)
		ins("MOVD", k, left)
		doubles.move(true, row, 0, columns, carry, scratch)
		label(name + "_row")
		ins("SUB", 1, left)
		ins("LSL", 3, left, at)
		ins("FMOVD", c.plus(at), vc)
		ins("FMOVD", s.plus(at), vs)
		ins("SUB", stride, row, up)
		doubles.move(true, up, 0, columns, x, scratch)
		for v := range vectors {
			doubles.by(fmulBy, below+v, carry+v, vc)
			doubles.by(fmlaBy, below+v, x+v, vs)
			doubles.by(fmulBy, x+v, x+v, vc)
			doubles.by(fmlsBy, x+v, carry+v, vs)
			ins("VMOV", (x + v).bytes(), (carry + v).bytes())
		}
		doubles.move(false, row, 0, columns, below, scratch)
		ins("MOVD", up, row)
		ins("CBNZ", left, name+"_row")
		doubles.move(false, row, 0, columns, carry, scratch)
		ins("ADD", 8*columns, last)
		ins("SUB", columns, n)
		ins("B", name)
		label(name + "_done")
	}
	ret()
}

func poleSums() {
	p := text("poleSumsNEON", "stores the sums of t = z2/x, |t|, t/x and t/x^2, x = (d - origin) - tau, over n > 0 poles, n a multiple of 8.",
		[]parameter{{"d", "*float64"}, {"z2", "*float64"}, {"n", "int"}, {"origin", "float64"}, {"tau", "float64"}, {"sums", "*float64"}})
	d, z, n, at := gp(1), gp(2), gp(3), gp(4)
	ins("MOVD", p["d"], d)
	ins("MOVD", p["z2"], z)
	ins("MOVD", p["n"], n)
	clearSums(4)
	ones, origin, tau := vec(16), vec(17), vec(18)
	doubles.constant(0x3ff0000000000000, 0x3f800000, ones)
	doubles.everywhere(p["origin"], origin)
	doubles.everywhere(p["tau"], tau)
	doubles.blocks("poles", n, sumParts, []gp{d, z}, func(part, n int) {
		x, t, m := vec(20), vec(21), vec(22)
		doubles.load(d, part, n, x)
		doubles.three(fsub, x, x, origin)
		doubles.three(fsub, x, x, tau)
		doubles.three(fdiv, x, ones, x)
		doubles.load(z, part, n, t)
		doubles.three(fmul, t, t, x)
		sum := func(i int) vec { return vec(sumParts*i + part) }
		doubles.three(fadd, sum(0), sum(0), t)
		doubles.two(fabs, m, t)
		doubles.three(fadd, sum(1), sum(1), m)
		doubles.three(fmul, t, t, x)
		doubles.three(fadd, sum(2), sum(2), t)
		doubles.three(fmla, sum(3), t, x)
	})
	storeSums(p["sums"], at)
}

func poleQuotients() {
	p := text("poleQuotientsNEON", "replaces x by z/x and stores the sum of its squares over n > 0 poles, n a multiple of 8.",
		[]parameter{{"z", "*float64"}, {"x", "*float64"}, {"n", "int"}, {"sum", "*float64"}})
	z, x, n, at := gp(1), gp(2), gp(3), gp(4)
	ins("MOVD", p["z"], z)
	ins("MOVD", p["x"], x)
	ins("MOVD", p["n"], n)
	clearSums(2)
	doubles.blocks("poles", n, sumParts, []gp{z, x}, func(part, n int) {
		q, y := vec(16+part), vec(20+part)
		doubles.load(z, part, n, q)
		doubles.load(x, part, n, y)
		doubles.three(fdiv, q, q, y)
		doubles.store(q, x, part, n)
		doubles.three(fmla, vec(part), q, q)
	})
	fold(2)
	ins("MOVD", p["sum"], at)
	ins("FMOVD", vec(0), at.at(0))
	ret()
}

func poleWeights() {
	p := text("poleWeightsNEON",
		"multiplies zh by r0 r1 r2 r3 / ((d - dj0) (d - dj1) (d - dj2) (d - dj3)), the rows of r stride bytes apart, over n > 0 poles, n a multiple of 8.",
		[]parameter{{"zh", "*float64"}, {"d", "*float64"}, {"r", "*float64"}, {"stride", "int"}, {"n", "int"}, {"dj", "*float64"}})
	rows := []gp{1, 2, 3, 4}
	stride, n, zh, d, dj := gp(5), gp(6), gp(7), gp(8), gp(9)
	ins("MOVD", p["stride"], stride)
	fourRows(p["r"], stride, rows)
	ins("MOVD", p["n"], n)
	ins("MOVD", p["zh"], zh)
	ins("MOVD", p["d"], d)
	ins("MOVD", p["dj"], dj)
	for i := range 4 {
		doubles.everywhere(dj.at(8*i), vec(i))
	}
	doubles.blocks("poles", n, sumParts, append(rows, zh, d), func(part, n int) {
		num, num2, pole, den, den2, t := vec(4), vec(5), vec(6), vec(7), vec(16), vec(17)
		product := func(a, b gp, to vec) {
			doubles.load(a, part, n, to)
			doubles.load(b, part, n, t)
			doubles.three(fmul, to, to, t)
		}
		gaps := func(a, b vec, to vec) {
			doubles.three(fsub, to, pole, a)
			doubles.three(fsub, t, pole, b)
			doubles.three(fmul, to, to, t)
		}
		product(rows[0], rows[1], num)
		product(rows[2], rows[3], num2)
		doubles.three(fmul, num, num, num2)
		doubles.load(d, part, n, pole)
		gaps(0, 1, den)
		gaps(2, 3, den2)
		doubles.three(fmul, den, den, den2)
		doubles.three(fdiv, num, num, den)
		doubles.load(zh, part, n, t)
		doubles.three(fmul, num, num, t)
		doubles.store(num, zh, part, n)
	})
	ret()
}

func eigen() {
	symv()
	rankTwoSymv()
	rotateRows()
	poleSums()
	poleQuotients()
	poleWeights()
}
