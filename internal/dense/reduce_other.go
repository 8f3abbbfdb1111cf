//go:build !amd64

package dense

func bundleRankTwo(a, v, w, x, y []float64, rows int) { portableBundleRankTwo(a, v, w, x, y, rows) }

func laneRowKernel(dst, a, v, w []float64, vi, wi *[4]float64, tiles int) {
	portableLaneRow(dst, a, v, w, vi, wi, tiles)
}

func laneGrowKernel(row, diagonal []float64, g *Growth, i int, v, next, ratio, own []float64, tau *[4]float64, terms, tiles int) {
	portableLaneGrow(row, diagonal, g, i, v, next, ratio, own, tau, terms, tiles)
}

func laneDotKernel(dst *[4]float64, x, y []float64) { portableLaneDot(dst, x, y) }

func laneBlendKernel(dst []float64, a *[4]float64, x []float64, b *[4]float64, y []float64) {
	portableLaneBlend(dst, a, x, b, y)
}

func laneInverses(ratio, diagonal, d, e, shift, weight []float64) {
	portableLaneInverses(ratio, diagonal, d, e, shift, weight)
}
