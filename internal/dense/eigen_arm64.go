package dense

func symv4(a []float64, stride int, x []float64, xr *[4]float64, y []float64, sums *[4]float64) {
	_, _ = a[3*stride+len(x)-1], y[len(x)-1]
	if active != neon {
		symv4Portable(a, stride, x, xr, y, sums)
		return
	}
	symv4NEON(&a[0], 8*stride, len(x), &x[0], &xr[0], &y[0], &sums[0])
}

func poleSums(d, z2 []float64, origin, tau float64) PoleTotals {
	if active != neon {
		return poleSumsPortable(d, z2, origin, tau)
	}
	var s [4]float64
	poleSumsNEON(&d[0], &z2[0], len(d), origin, tau, &s[0])
	return PoleTotals{s[0], s[1], s[2], s[3]}
}

func poleQuotients(z, x []float64) float64 {
	if active != neon {
		return poleQuotientsPortable(z, x)
	}
	var sum float64
	poleQuotientsNEON(&z[0], &x[0], len(x), &sum)
	return sum
}

func poleWeights(zh, d, rows []float64, stride int, dj *[4]float64) {
	if active != neon {
		poleWeightsPortable(zh, d, rows, stride, dj)
		return
	}
	poleWeightsNEON(&zh[0], &d[0], &rows[0], 8*stride, len(zh), &dj[0])
}

func rotateRows(a Matrix[float64], c, s []float64) {
	if active != neon {
		rotateRowsPortable(a, c, s)
		return
	}
	rotateRowsNEON(&a.Row(len(c))[0], 8*a.Stride, a.Cols, len(c), &c[0], &s[0])
}

// rankTwoSymv4 works on four rows of len(y) columns; the first four elements of v, w and x belong to the rows, the others to the columns.
func rankTwoSymv4(a []float64, stride int, v, w, x, y []float64, sums *[4]float64) {
	if active != neon {
		rankTwoSymv4Portable(a, stride, v, w, x, y, sums)
		return
	}
	n := len(y)
	_, _, _, _ = a[3*stride+n-1], v[3+n], w[3+n], x[3+n]
	rankTwoSymv4NEON(&a[0], 8*stride, n, &v[4], &w[4], &x[4], &y[0], &v[0], &w[0], &x[0], &sums[0])
}

// VectorTrailing says whether RankTwoTrailing has vector instructions.
func VectorTrailing() bool { return false }

// rankTwoTrailing works on rows whose elements of v and w come after skip others.
func rankTwoTrailing(a Matrix[float64], v, w, x, y []float64, skip int) {
	rankTwoTrailingPortable(a, v, w, x, y, skip)
}
