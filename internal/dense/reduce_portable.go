package dense

// portableBundleRankTwo takes v w' + w v' from a triangle of rows of tiles, which follow one another, and adds the product of what is left with x to y.
func portableBundleRankTwo(a, v, w, x, y []float64, rows int) {
	const lanes = 4
	for i := range rows * tileSide {
		tile := i / tileSide
		tiles := a[(tileIndex(rows, tile, tile)*tileVectors+i%tileSide*tileSide)*lanes:]
		for j := i; j < rows*tileSide; j++ {
			at := (j/tileSide-tile)*tileVectors + j%tileSide
			e := tiles[at*lanes:][:lanes]
			for l := range e {
				p, q := i*lanes+l, j*lanes+l
				e[l] -= v[p]*w[q] + w[p]*v[q]
				y[p] += e[l] * x[q]
				if j > i {
					y[q] += e[l] * x[p]
				}
			}
		}
	}
}

// portableLaneRow sets dst to a row of tiles, whose first element is a, less vi w + wi v.
func portableLaneRow(dst, a, v, w []float64, vi, wi *[4]float64, tiles int) {
	const lanes = 4
	for c := range tiles * tileSide {
		e := a[(c/tileSide*tileVectors+c%tileSide)*lanes:][:lanes]
		for l, s := range e {
			p := c*lanes + l
			dst[p] = s - (vi[l]*w[p] + wi[l]*v[p])
		}
	}
}

// portableLaneGrow is BundleGrow given the row of tiles and the element on the diagonal.
func portableLaneGrow(row, diagonal []float64, g *Growth, i int, v, next, ratio, own []float64, tau *[4]float64, terms, tiles int) {
	const lanes = 4
	width := terms * lanes
	first := g.First[i/tileSide*tileSide*width:]
	clear(g.H)
	for c := range tiles * tileSide {
		out := row[(c/tileSide*tileVectors+c%tileSide)*lanes:][:lanes]
		clear(out)
		for k := range width {
			p := c*lanes + k%lanes
			e := ratio[k] * (first[c*width+k] - g.T[k]*v[p])
			first[c*width+k] = e
			out[k%lanes] += e
			g.H[k] += e * next[p]
		}
	}
	copy(first[i%tileSide*width:], own)
	for k, e := range own {
		diagonal[k%lanes] += e
		g.H[k] += e
		g.T[k] = tau[k%lanes] * g.H[k]
	}
}

// portableLaneDot sets dst to the products of x and y.
func portableLaneDot(dst *[4]float64, x, y []float64) {
	*dst = [4]float64{}
	for i, v := range x {
		dst[i%4] += v * y[i]
	}
}

// portableLaneBlend sets dst = a x + b y.
func portableLaneBlend(dst []float64, a *[4]float64, x []float64, b *[4]float64, y []float64) {
	for i := range dst {
		dst[i] = a[i%4]*x[i] + b[i%4]*y[i]
	}
}

func portableLaneInverses(ratio, diagonal, d, e, shift, weight []float64) {
	const lanes = 4
	terms := len(shift) * lanes
	for i := range ratio {
		row, l := i/terms*lanes, i%lanes
		pivot := d[row+l] + shift[i%terms/lanes]
		if row > 0 {
			pivot += e[row-lanes+l] * ratio[i-terms]
		}
		diagonal[i] = 1 / pivot
		ratio[i] = -e[row+l] * diagonal[i]
	}
	for i := len(ratio) - 1; i >= 0; i-- {
		diagonal[i] = weight[i%terms/lanes]*diagonal[i] + ratio[i]*ratio[i]*diagonal[i+terms]
	}
}
