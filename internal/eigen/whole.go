package eigen

import "github.com/spdopt/spdopt/internal/dense"

// reduceWhole is reduce for a small matrix, of which it makes both triangles: the update and the product then go down columns, which do not depend on each other.
func (r *reduction) reduceWhole(a dense.Matrix[float64]) {
	n := a.Rows
	s := r.fill(a)
	ahead := dense.Wrap(2, s.Cols, r.ahead)
	ahead.Zero()
	v, w, next := ahead.Row(0), ahead.Row(0), ahead.Row(1)
	for j := range n {
		row := s.Row(j)
		if x := row[j:n]; j > 0 {
			subtractPair(x, v[j:n], w[j:n], v[j], w[j])
		}
		r.d[j] = row[j]
		if j == n-1 {
			return
		}
		x := row[j+1 : n]
		r.e[j], r.tau[j] = reflect(x)
		copy(a.Row(j)[j+1:], x)
		clear(row[(j+1)/dense.TrailingLanes*dense.TrailingLanes : j+1])
		dense.RankTwoTrailing(s, j+1, v, w, row, next)
		finishPair(next[j+1:n], x, r.tau[j])
		v, w, next = row, next, w
	}
}

// fill returns both triangles of a, with rows filled up with zeros.
func (r *reduction) fill(a dense.Matrix[float64]) dense.Matrix[float64] {
	n := a.Rows
	cols := (n + dense.TrailingLanes - 1) / dense.TrailingLanes * dense.TrailingLanes
	s := dense.Wrap(n, cols, r.whole)
	for i := range n {
		copy(s.Row(i)[i:], a.Row(i)[i:])
		clear(s.Row(i)[n:])
	}
	dense.Mirror(s.View(0, 0, n, n))
	return s
}
