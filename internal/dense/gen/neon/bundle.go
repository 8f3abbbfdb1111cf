package main

import "fmt"

const (
	bundleSide   = 4
	bundleVector = 32 // bytes: one element of each matrix
	bundleRow    = bundleSide * bundleVector
	bundleTile   = bundleSide * bundleRow
)

// bundleUpdate subtracts products of tiles from a run of tiles, first for the lanes in the first half of every vector, then for the others: the sums of a tile
// fill 16 registers.
func (e elements) bundleUpdate() {
	p := text("bundleUpdate"+e.suffix(),
		"takes sum_t U_t' V_t of terms tiles, next bytes apart, from each of count tiles C; those of C and of V follow one another. If fresh is not 0, C is not read.",
		append(pointers("c", "u", "v"), parameters("uintptr", "count", "terms", "next", "fresh")...))
	c, u, v, count, terms, next, fresh, left, pu, pv := gp(1), gp(2), gp(3), gp(4), gp(5), gp(6), gp(7), gp(8), gp(9), gp(10)
	for i, name := range []string{"c", "u", "v", "count", "terms", "next", "fresh"} {
		ins("MOVD", p[name], c+gp(i))
	}
	sum := func(i, j int) vec { return vec(bundleSide*i + j) }
	vectors := func(op string, base gp, at int, first vec) { // the halves of four vectors
		for j := range bundleSide {
			if x, m := first+vec(j), base.at(at+j*bundleVector); op == "load" {
				ins("FMOVQ", m, x)
			} else {
				ins("FMOVQ", x, m)
			}
		}
	}
	label("tile")
	for half := range 2 {
		name, at := fmt.Sprintf("half%d", half), half*bundleVector/2
		for i := range bundleSide * bundleSide {
			clearVec(vec(i))
		}
		ins("CBNZ", fresh, name)
		for i := range bundleSide {
			vectors("load", c, at+i*bundleRow, sum(i, 0))
		}
		label(name)
		ins("MOVD", u, pu)
		ins("MOVD", v, pv)
		ins("MOVD", terms, left)
		label(name + "_term")
		for l := range bundleSide {
			vectors("load", pu, at+l*bundleRow, 16)
			vectors("load", pv, at+l*bundleRow, 20)
			for i := range bundleSide {
				for j := range bundleSide {
					e.three(fmls, sum(i, j), vec(16+i), vec(20+j))
				}
			}
		}
		ins("ADD", next, pu)
		ins("ADD", next, pv)
		ins("SUBS", 1, left)
		ins("BNE", name+"_term")
		for i := range bundleSide {
			vectors("store", c, at+i*bundleRow, sum(i, 0))
		}
	}
	ins("ADD", bundleTile, c)
	ins("ADD", bundleTile, v)
	ins("SUBS", 1, count)
	ins("BNE", "tile")
	ret()
}
