package eigen

// semiseparable describes the upper triangles of weight_j (T + shift_j I)^-1 for a symmetric tridiagonal matrix T, as dense.LaneInverses does for several (Vandebril, Van Barel and
// Mastronardi, Matrix Computations and Semiseparable Matrices, 2008): element (i, j), i < j, is ratio_i times element (i+1, j).
type semiseparable struct{ ratio, diagonal []float64 } // [row][shift]

// generate takes the diagonal d and the off-diagonal e.
func (g *semiseparable) generate(d, e, shift, weight []float64) {
	n, m := len(d), len(shift)
	g.ratio, g.diagonal = grow(g.ratio, n*m), grow(g.diagonal, n*m)
	for i, v := range d {
		inverse, ratio := g.diagonal[i*m:][:m], g.ratio[i*m:][:m]
		for k, s := range shift {
			pivot := v + s
			if i > 0 {
				pivot += e[i-1] * g.ratio[(i-1)*m+k]
			}
			inverse[k] = 1 / pivot
			if ratio[k] = 0; i+1 < n {
				ratio[k] = -e[i] * inverse[k]
			}
		}
	}
	for i := n*m - 1; i >= 0; i-- {
		x := weight[i%m] * g.diagonal[i]
		if i+m < n*m {
			x += g.ratio[i] * g.ratio[i] * g.diagonal[i+m]
		}
		g.diagonal[i] = x
	}
}

// within tells whether the eigenvalues of all the tridiagonal matrices lie between low and high: T - low and high - T have positive pivots.
func within(d, e []float64, lanes int, low, high float64) bool {
	for l := range lanes {
		below, above := d[l]-low, high-d[l]
		for i := lanes + l; i < len(d) && below > 0 && above > 0; i += lanes {
			square := e[i-lanes] * e[i-lanes]
			below, above = d[i]-low-square/below, high-d[i]-square/above
		}
		if !(below > 0 && above > 0) {
			return false
		}
	}
	return true
}
