package dense

func symv4(a []float64, stride int, x []float64, xr *[4]float64, y []float64, sums *[4]float64) {
	_, _ = a[3*stride+len(x)-1], y[len(x)-1]
	switch active {
	case avx512:
		symv4AVX512(&a[0], 8*stride, len(x), &x[0], &xr[0], &y[0], &sums[0])
	case avx2:
		symv4AVX2(&a[0], 8*stride, len(x), &x[0], &xr[0], &y[0], &sums[0])
	default:
		symv4Portable(a, stride, x, xr, y, sums)
	}
}

func poleSums(d, z2 []float64, origin, tau float64) PoleTotals {
	var s [4]float64
	switch active {
	case avx512:
		poleSumsAVX512(&d[0], &z2[0], len(d), origin, tau, &s[0])
	case avx2:
		poleSumsAVX2(&d[0], &z2[0], len(d), origin, tau, &s[0])
	default:
		return poleSumsPortable(d, z2, origin, tau)
	}
	return PoleTotals{s[0], s[1], s[2], s[3]}
}

func poleQuotients(z, x []float64) float64 {
	var s [4]float64
	switch active {
	case avx512:
		poleQuotientsAVX512(&z[0], &x[0], len(x), &s[0])
	case avx2:
		poleQuotientsAVX2(&z[0], &x[0], len(x), &s[0])
	default:
		return poleQuotientsPortable(z, x)
	}
	return s[0]
}

func poleWeights(zh, d, rows []float64, stride int, dj *[4]float64) {
	switch active {
	case avx512:
		poleWeightsAVX512(&zh[0], &d[0], &rows[0], 8*stride, len(zh), &dj[0])
	case avx2:
		poleWeightsAVX2(&zh[0], &d[0], &rows[0], 8*stride, len(zh), &dj[0])
	default:
		poleWeightsPortable(zh, d, rows, stride, dj)
	}
}

func rotateRows(a Matrix[float64], c, s []float64) {
	last := &a.Row(len(c))[0]
	switch active {
	case avx512:
		rotateRowsAVX512(last, 8*a.Stride, a.Cols, len(c), &c[0], &s[0])
	case avx2:
		rotateRowsAVX2(last, 8*a.Stride, a.Cols, len(c), &c[0], &s[0])
	default:
		rotateRowsPortable(a, c, s)
	}
}

// rankTwoSymv4 works on four rows of len(y) columns; the first four elements of v, w and x belong to the rows, the others to the columns.
func rankTwoSymv4(a []float64, stride int, v, w, x, y []float64, sums *[4]float64) {
	n := len(y)
	_, _, _, _ = a[3*stride+n-1], v[3+n], w[3+n], x[3+n]
	switch active {
	case avx512:
		rankTwoSymv4AVX512(&a[0], 8*stride, n, &v[4], &w[4], &x[4], &y[0], &v[0], &w[0], &x[0], &sums[0])
	case avx2:
		rankTwoSymv2AVX2(&a[0], 8*stride, n, &v[4], &w[4], &x[4], &y[0], &v[0], &w[0], &x[0], &sums[0])
		rankTwoSymv2AVX2(&a[2*stride], 8*stride, n, &v[4], &w[4], &x[4], &y[0], &v[2], &w[2], &x[2], &sums[2])
	default:
		rankTwoSymv4Portable(a, stride, v, w, x, y, sums)
	}
}

// VectorTrailing says whether RankTwoTrailing has vector instructions.
func VectorTrailing() bool { return active != portable }

// rankTwoTrailing works on rows whose elements of v and w come after skip others.
func rankTwoTrailing(a Matrix[float64], v, w, x, y []float64, skip int) {
	rows, n := a.Rows, a.Cols
	_, _, _, _, _ = v[max(n, skip+rows)-1], w[max(n, skip+rows)-1], x[rows-1], y[n-1], a.Data[(rows-1)*a.Stride+n-1]
	switch active {
	case avx512:
		rankTwoTrailingAVX512(&a.Data[0], 8*a.Stride, rows, n, &v[0], &w[0], &y[0], &v[skip], &w[skip], &x[0])
	case avx2:
		rankTwoTrailingAVX2(&a.Data[0], 8*a.Stride, rows, n, &v[0], &w[0], &y[0], &v[skip], &w[skip], &x[0])
	default:
		rankTwoTrailingPortable(a, v, w, x, y, skip)
	}
}
