//go:build !amd64 && !arm64

package dense

func symv4(a []float64, stride int, x []float64, xr *[4]float64, y []float64, sums *[4]float64) {
	symv4Portable(a, stride, x, xr, y, sums)
}

func poleSums(d, z2 []float64, origin, tau float64) PoleTotals {
	return poleSumsPortable(d, z2, origin, tau)
}

func poleQuotients(z, x []float64) float64 { return poleQuotientsPortable(z, x) }

func poleWeights(zh, d, rows []float64, stride int, dj *[4]float64) {
	poleWeightsPortable(zh, d, rows, stride, dj)
}

func rotateRows(a Matrix[float64], c, s []float64) { rotateRowsPortable(a, c, s) }

func rankTwoSymv4(a []float64, stride int, v, w, x, y []float64, sums *[4]float64) {
	rankTwoSymv4Portable(a, stride, v, w, x, y, sums)
}

// VectorTrailing says whether RankTwoTrailing has vector instructions.
func VectorTrailing() bool { return false }

// rankTwoTrailing works on rows whose elements of v and w come after skip others.
func rankTwoTrailing(a Matrix[float64], v, w, x, y []float64, skip int) {
	rankTwoTrailingPortable(a, v, w, x, y, skip)
}
