package main

import "fmt"

// Offsets of the fields of the Go type panel.
const (
	offA = 8 * iota
	offARow
	offAStep
	offATile
	offB
	offBStep
	offC
	offCRow
	offRows
	offK
	offVectors
	offColumns
	offAlpha
	offBeta
	offUse
)

// What a kernel does with its sums, the field use of panel.
const (
	storeScaled = iota
	addScaled
	storePlain
	addPlain
)

const (
	args    = gp(0)
	offset  = gp(5) // of the column of A in its rows
	use     = gp(6)
	bFirst  = gp(7)
	k       = gp(8)
	bStep   = gp(9)
	aStep   = gp(10)
	aRow    = gp(11)
	cRow    = gp(12)
	c       = gp(13)
	a       = gp(14)
	rows    = gp(15)
	b       = gp(16)
	count   = gp(17)
	scratch = gp(23)
	aTile   = gp(24)
)

// rowPointer holds the address of row i of A or C.
func rowPointer(i int) gp { return [...]gp{1, 2, 3, 4, 19, 20, 21, 22}[i] }

const (
	tileRows     = 4 // of the packed tiles of A
	tileVectors  = 6
	firstB       = vec(24) // registers below hold the sums
	firstA       = vec(30)
	alpha, beta  = vec(30), vec(31)
	widestDouble = 3 // vectors of a panel that is narrow enough for two tiles of rows at a time
)

// gemm is the micro-kernel of the product. A tile of 4 rows and 6 vectors, or of 8 rows and up to 3 vectors, has its sums in 24 registers. There is code for every
// number of columns and rows, so that nothing beyond a matrix is read or written and no element is computed twice. The loop of a full tile has 35 instructions for
// 48 products of float64 or 96 of float32: 24 multiply-adds, 7 loads and 4 for addresses and the count.
func (e elements) gemm() {
	name := "panel" + e.suffix()
	p := text(name, "computes one column panel of a product; see panel.", pointers("p"))
	ins("MOVD", p["p"], args)
	for _, f := range []struct {
		off int
		to  gp
	}{{offA, a}, {offARow, aRow}, {offAStep, aStep}, {offATile, aTile}, {offB, bFirst}, {offBStep, bStep}, {offC, c}, {offCRow, cRow}, {offRows, rows}, {offK, k}, {offUse, use},
		{offColumns, count}} {
		ins("MOVD", args.at(f.off), f.to)
	}
	most := tileVectors * e.lanes()
	e.choose(1, most)
	for n := 1; n <= most; n++ {
		e.columns(n)
	}
}

// choose jumps to the code for the number of columns in count, which lies in [low, high].
func (e elements) choose(low, high int) {
	if low == high {
		ins("B", columnsLabel(low))
		return
	}
	middle := (low + high) / 2
	upper := fmt.Sprintf("above%d", middle)
	ins("CMP", middle, count)
	ins("BGT", upper)
	e.choose(low, middle)
	label(upper)
	e.choose(middle+1, high)
}

func columnsLabel(n int) string { return fmt.Sprintf("columns%d", n) }

// columns writes the loop over the rows of a panel of n columns.
func (e elements) columns(n int) {
	name := columnsLabel(n)
	label(name)
	step := func(height int, next string) {
		label(fmt.Sprintf("%s_rows%d", name, height))
		ins("CMP", height, rows)
		ins("BLT", next)
		e.tile(height, n)
		for range height / tileRows {
			ins("ADD", aTile, a)
		}
		ins("ADD", cRow, rowPointer(height-1), c)
		ins("SUB", height, rows)
		ins("B", fmt.Sprintf("%s_rows%d", name, height))
	}
	rest := name + "_rest"
	if e.registers(n) <= widestDouble {
		step(2*tileRows, fmt.Sprintf("%s_rows%d", name, tileRows))
	}
	step(tileRows, rest)
	label(rest)
	for m := tileRows - 1; m > 0; m-- {
		next := fmt.Sprintf("%s_not%d", name, m)
		ins("CMP", m, rows)
		ins("BNE", next)
		e.tile(m, n)
		ret()
		label(next)
	}
	ret()
}

// rowPointers sets the row pointers to height rows from base on, step apart.
func rowPointers(base, step gp, height int) {
	ins("MOVD", base, rowPointer(0))
	for i := 1; i < height; i++ {
		ins("ADD", step, rowPointer(i-1), rowPointer(i))
	}
}

// tile computes height rows of n columns; afterwards the row pointers are those of C.
func (e elements) tile(height, n int) {
	vectors := e.registers(n)
	sum := func(i, v int) vec { return vec(i*vectors + v) }
	for i := range height * vectors {
		clearVec(vec(i))
	}
	rowPointers(a, aRow, min(height, tileRows))
	if height > tileRows {
		ins("ADD", aTile, a, rowPointer(tileRows))
		for i := tileRows + 1; i < height; i++ {
			ins("ADD", aRow, rowPointer(i-1), rowPointer(i))
		}
	}
	ins("MOVD", bFirst, b)
	ins("MOVD", k, count)
	ins("MOVD", 0, offset)
	loop := fmt.Sprintf("k%dx%d", height, n)
	label(loop)
	e.move(true, b, 0, n, firstB, scratch)
	for i := range height {
		x := firstA + vec(i%2)
		ins(e.one(), rowPointer(i).plus(offset), x)
		for v := range vectors {
			e.by(fmlaBy, sum(i, v), firstB+vec(v), x)
		}
	}
	ins("ADD", aStep, offset)
	ins("ADD", bStep, b)
	ins("SUBS", 1, count)
	ins("BNE", loop)
	rowPointers(c, cRow, height)
	e.finish(loop, height, n)
}

// finish uses the sums of a tile in one of four ways, chosen at run time.
func (e elements) finish(loop string, height, n int) {
	vectors := e.registers(n)
	each := func(f func(p gp, sums vec)) {
		for i := range height {
			f(rowPointer(i), vec(i*vectors))
		}
	}
	for _, how := range []int{addPlain, addScaled, storePlain} {
		ins("CMP", how, use)
		ins("BEQ", fmt.Sprintf("%s_use%d", loop, how))
	}
	ins(e.one(), args.at(offAlpha), alpha)
	for i := range height * vectors {
		e.by(fmulBy, vec(i), vec(i), alpha)
	}
	label(fmt.Sprintf("%s_use%d", loop, storePlain))
	each(func(p gp, sums vec) { e.move(false, p, 0, n, sums, scratch) })
	ins("B", loop+"_done")
	label(fmt.Sprintf("%s_use%d", loop, addScaled))
	ins(e.one(), args.at(offAlpha), alpha)
	ins(e.one(), args.at(offBeta), beta)
	each(func(p gp, sums vec) {
		e.move(true, p, 0, n, firstB, scratch)
		for v := range vec(vectors) {
			e.by(fmulBy, firstB+v, firstB+v, beta)
			e.by(fmlaBy, firstB+v, sums+v, alpha)
		}
		e.move(false, p, 0, n, firstB, scratch)
	})
	ins("B", loop+"_done")
	label(fmt.Sprintf("%s_use%d", loop, addPlain))
	each(func(p gp, sums vec) {
		e.move(true, p, 0, n, firstB, scratch)
		for v := range vec(vectors) {
			e.three(fadd, firstB+v, firstB+v, sums+v)
		}
		e.move(false, p, 0, n, firstB, scratch)
	})
	label(loop + "_done")
}
