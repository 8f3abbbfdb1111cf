package main

import "fmt"

// transpose copies blocks of four rows, contiguous in memory, that lie beside each other to columns.
func (e elements) transpose() {
	cols := 2 * e.lanes() // of a block; float64 takes two squares on top of each other, float32 two beside each other
	if e.double {
		cols = e.lanes()
	}
	p := text("transpose"+e.suffix(), fmt.Sprintf("transposes blocks of 4 rows and %d columns that lie beside each other in src.", cols),
		append(pointers("dst", "src"), parameters("uintptr", "dstStep", "srcStep", "blocks")...))
	from := []gp{1, 2, 3, 4}
	dst, dstStep, srcStep, blocks := gp(5), gp(6), gp(7), gp(8)
	ins("MOVD", p["srcStep"], srcStep)
	fourRows(p["src"], srcStep, from)
	ins("MOVD", p["dst"], dst)
	ins("MOVD", p["dstStep"], dstStep)
	ins("MOVD", p["blocks"], blocks)
	label("block")
	if e.double {
		e.transposeDoubles(from, dst, dstStep)
	} else {
		e.transposeSingles(from, dst, dstStep)
	}
	for _, r := range from {
		ins("ADD", cols*e.size(), r)
	}
	ins("SUBS", 1, blocks)
	ins("BNE", "block")
	ret()
}

func (e elements) transposeDoubles(from []gp, dst, dstStep gp) {
	for i, r := range from {
		e.load(r, 0, e.lanes(), vec(i))
	}
	for c, trn := range []string{"VTRN1", "VTRN2"} {
		for h := range 2 {
			ins(trn, vec(2*h+1).all(), vec(2*h).all(), vec(8+2*c+h).all())
		}
	}
	for c := range 2 {
		ins("FSTPQ", pair(vec(8+2*c), vec(9+2*c)), dst.at(0))
		ins("ADD", dstStep, dst)
	}
}

func (e elements) transposeSingles(from []gp, dst, dstStep gp) {
	for i, r := range from {
		e.move(true, r, 0, 2*e.lanes(), vec(2*i), scratch)
	}
	for h := range 2 {
		row := func(i int) vec { return vec(2*i + h) }
		pairs := func(c, i int) vec { return vec(8 + 2*c + i) }
		for c, trn := range []string{"VTRN1", "VTRN2"} {
			for i := range 2 {
				ins(trn, row(2*i+1).lanes("S4"), row(2*i).lanes("S4"), pairs(c, i).lanes("S4"))
			}
		}
		for c := range 4 {
			ins([]string{"VTRN1", "VTRN2"}[c/2], pairs(c%2, 1).all(), pairs(c%2, 0).all(), vec(16+c).all())
			ins("FMOVQ", vec(16+c), dst.at(0))
			ins("ADD", dstStep, dst)
		}
	}
}
