package dense

// TrailingLanes is what the columns of RankTwoTrailing number a multiple of.
const TrailingLanes = 8

// RankTwoTrailing subtracts v w^T + w v^T from the symmetric A, both triangles of which are in a, and sets y = A x, for the rows from first on and the columns from the last multiple of
// TrailingLanes up to first on. The columns of a, to which the vectors belong, number a multiple of TrailingLanes; those beyond the rows fill up. In a small matrix this
// is faster than RankTwoSymv, in spite of twice the work, where VectorTrailing.
func RankTwoTrailing(a Matrix[float64], first int, v, w, x, y []float64) {
	n, from := a.Cols, first/TrailingLanes*TrailingLanes
	if n%TrailingLanes != 0 || a.Rows > n || first < 0 || first >= a.Rows {
		panic(Error("RankTwoTrailing: no such rows or columns"))
	}
	if len(v) != n || len(w) != n || len(x) != n || len(y) != n {
		panic(Error("RankTwoTrailing: lengths do not fit"))
	}
	rankTwoTrailing(a.View(first, from, a.Rows-first, n-from), v[from:], w[from:], x[first:], y[from:], first-from)
}

// rankTwoTrailingPortable is rankTwoTrailing without vector instructions.
func rankTwoTrailingPortable(a Matrix[float64], v, w, x, y []float64, skip int) {
	clear(y)
	for i := range a.Rows {
		vi, wi, xi := v[skip+i], w[skip+i], x[i]
		row := a.Row(i)
		for j := range row {
			row[j] -= vi*w[j] + wi*v[j]
			y[j] += row[j] * xi
		}
	}
}
