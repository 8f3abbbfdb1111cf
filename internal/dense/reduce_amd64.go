package dense

func bundleRankTwo(a, v, w, x, y []float64, rows int) {
	pa, pv, pw, px, py, n := pointerTo(a), pointerTo(v), pointerTo(w), pointerTo(x), pointerTo(y), uintptr(rows)
	switch formatOf[float64]() {
	case f64AVX512:
		bundleRankTwoAVX512(pa, pv, pw, px, py, n)
	case f64AVX2:
		bundleRankTwoAVX2(pa, pv, pw, px, py, n)
	default:
		portableBundleRankTwo(a, v, w, x, y, rows)
	}
}

func laneRowKernel(dst, a, v, w []float64, vi, wi *[4]float64, tiles int) {
	if active == portable {
		portableLaneRow(dst, a, v, w, vi, wi, tiles)
		return
	}
	laneRow(pointerTo(dst), pointerTo(a), pointerTo(v), pointerTo(w), pointerTo(vi[:]), pointerTo(wi[:]), uintptr(tiles))
}

func laneGrowKernel(row, diagonal []float64, g *Growth, i int, v, next, ratio, own []float64, tau *[4]float64, terms, tiles int) {
	if active == portable {
		portableLaneGrow(row, diagonal, g, i, v, next, ratio, own, tau, terms, tiles)
		return
	}
	first := g.First[i/tileSide*tileSide*len(own):]
	laneGrow(pointerTo(row), pointerTo(first), pointerTo(v), pointerTo(next), pointerTo(g.T), pointerTo(ratio), pointerTo(g.H), pointerTo(diagonal),
		pointerTo(first[i%tileSide*len(own):]), pointerTo(own), pointerTo(tau[:]), uintptr(terms), uintptr(tiles))
}

func laneDotKernel(dst *[4]float64, x, y []float64) {
	if active == portable {
		portableLaneDot(dst, x, y)
		return
	}
	laneDot(pointerTo(dst[:]), pointerTo(x), pointerTo(y), uintptr(len(x)/4))
}

func laneBlendKernel(dst []float64, a *[4]float64, x []float64, b *[4]float64, y []float64) {
	if active == portable {
		portableLaneBlend(dst, a, x, b, y)
		return
	}
	laneBlend(pointerTo(dst), pointerTo(a[:]), pointerTo(x), pointerTo(b[:]), pointerTo(y), uintptr(len(x)/4))
}

func laneInverses(ratio, diagonal, d, e, shift, weight []float64) {
	if active == portable {
		portableLaneInverses(ratio, diagonal, d, e, shift, weight)
		return
	}
	terms, rows := uintptr(len(shift)), uintptr(len(d)/4)
	lanePivots(pointerTo(ratio), pointerTo(diagonal), pointerTo(d), pointerTo(e), pointerTo(shift), terms, rows)
	last := len(ratio) - 4
	laneDiagonals(pointerTo(diagonal[last:]), pointerTo(ratio[last:]), pointerTo(weight), terms, terms*rows)
}
