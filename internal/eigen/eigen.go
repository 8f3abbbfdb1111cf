// Package eigen decomposes symmetric matrices: blocked tridiagonalisation, divide and conquer, and the secular equation behind both the
// divide and conquer merge and exact rank-one updates of a known decomposition. It does the work of LAPACK's dsyevd on the products of
// internal/dense; its results have the same bits for any number of threads.
package eigen

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/spdopt/spdopt/internal/dense"
)

// ErrNotFinite is what callers return for a matrix that Sym refuses because it holds NaN or Inf.
var ErrNotFinite = errors.New("eigen: the matrix holds NaN or Inf")

// Sym overwrites the symmetric a (its upper triangle is read) with orthonormal eigenvectors as columns and w with the eigenvalues in
// ascending order. It returns false only if a holds NaN or Inf, an eigenvalue overflows or the iteration does not converge; a and w are then
// of no use. Residual and orthogonality are of the order of the unit roundoff, times the norm for the residual. 10/3 n^3 to 14/3 n^3 flops
// for much and little deflation; the workspace is that of an earlier call if there is one, Solver keeps its own.
func Sym(a dense.Matrix[float64], w []float64) bool {
	s := solvers.Get().(*Solver)
	defer solvers.Put(s)
	return s.Sym(a, w)
}

// solvers are those of Sym and SymValues.
var solvers = sync.Pool{New: func() any { return new(Solver) }}

// SymValues is Sym without eigenvectors; a is overwritten with scratch. 4/3 n^3 flops.
func SymValues(a dense.Matrix[float64], w []float64) bool {
	s := solvers.Get().(*Solver)
	defer solvers.Put(s)
	return s.Values(a, w)
}

// Solver does what Sym and SymValues do and keeps their workspace, about 3 n^2 elements, so that repeated calls allocate nothing. The zero
// value is ready. A Solver must not be used by two goroutines at once.
type Solver struct {
	red  reduction
	con  conquest
	back backTransform
	vt   []float64
	perm []int

	order  columnOrder
	shared dense.Parallel
}

const (
	orderedColumns = 32 // that a part of a columnOrder fills; a multiple of a cache line
	orderWork      = 15 // multiplications that take as long as it takes to move an element
)

// columnOrder sets column p of to to row perm[p] of from.
type columnOrder struct {
	from dense.Matrix[float64]
	perm []int
	to   dense.Matrix[float64]
}

// RunPart fills the columns of part i, tile by tile.
func (o *columnOrder) RunPart(i int) {
	n := o.to.Cols
	first, last := i*orderedColumns, min((i+1)*orderedColumns, n)
	for j := 0; j < n; j += orderedColumns {
		o.tile(first, last, j, min(j+orderedColumns, n))
	}
}

// tile fills the columns p to p1-1 of the rows j to j1-1, a cache line of each row at a time.
func (o *columnOrder) tile(p, p1, j, j1 int) {
	const line = 8
	for ; p+line <= p1; p += line {
		var rows [line][]float64
		for k := range rows {
			rows[k] = o.from.Row(o.perm[p+k])[j:j1]
		}
		for l := range j1 - j {
			to := (*[line]float64)(o.to.Row(j + l)[p:])
			to[0], to[1], to[2], to[3] = rows[0][l], rows[1][l], rows[2][l], rows[3][l]
			to[4], to[5], to[6], to[7] = rows[4][l], rows[5][l], rows[6][l], rows[7][l]
		}
	}
	for ; p < p1; p++ {
		for l, v := range o.from.Row(o.perm[p])[j:j1] {
			o.to.Set(j+l, p, v)
		}
	}
}

// Sym is the function Sym on the workspace of s.
func (s *Solver) Sym(a dense.Matrix[float64], w []float64) bool {
	scale, ok := prepareSym(a, w)
	if !ok {
		return false
	}
	n := a.Rows
	s.con.grow(n)
	s.vt, s.perm = grow(s.vt, n*n), grow(s.perm, n)
	s.red.reduce(a)
	t := tridiagonal{s.red.d[:n], s.red.e[:max(0, n-1)]}
	vt := dense.Wrap(n, n, s.vt)
	if !s.con.solve(t, vt) {
		return false
	}
	s.back.apply(a, s.red.tau, vt)
	s.argsort(t.d)
	for p, i := range s.perm {
		w[p] = t.d[i] / scale
	}
	s.order = columnOrder{from: vt, perm: s.perm, to: a}
	s.shared.Task = &s.order
	s.shared.RunFor((n+orderedColumns-1)/orderedColumns, orderWork*n*n)
	return n == 0 || finite(w[0]) && finite(w[n-1])
}

// Values is the function SymValues on the workspace of s.
func (s *Solver) Values(a dense.Matrix[float64], w []float64) bool {
	scale, ok := prepareSym(a, w)
	if !ok {
		return false
	}
	n := a.Rows
	s.red.reduce(a)
	t := tridiagonal{s.red.d[:n], s.red.e[:max(0, n-1)]}
	ok = t.values()
	for i, v := range t.d {
		w[i] = v / scale
	}
	slices.Sort(w)
	return ok && (n == 0 || finite(w[0]) && finite(w[n-1]))
}

// prepareSym checks shapes and data and multiplies the upper triangle of a by a power of two that brings it to the order of one.
func prepareSym(a dense.Matrix[float64], w []float64) (scale float64, ok bool) {
	if a.Rows != a.Cols || len(w) != a.Rows {
		panic(dense.Error("eigen: the matrix is not square or the length of w differs"))
	}
	var sum, big float64
	for i := range a.Rows {
		row := a.Row(i)[i:]
		sum += dense.Dot(row, row)
	}
	if sum > 1e-180 && sum < 1e180 {
		return 1, true
	}
	for i := range a.Rows {
		for _, v := range a.Row(i)[i:] {
			v = math.Abs(v)
			if !(v <= math.MaxFloat64) {
				return 1, false
			}
			big = max(big, v)
		}
	}
	if big > 1e-100 && big < 1e100 {
		return 1, true
	}
	scale = powerScale(big)
	for i := range a.Rows {
		row := a.Row(i)[i:]
		for j := range row {
			row[j] *= scale
		}
	}
	return scale, true
}

func (s *Solver) argsort(d []float64) {
	for i := range s.perm {
		s.perm[i] = i
	}
	slices.SortFunc(s.perm, func(i, j int) int {
		return cmp.Or(cmp.Compare(d[i], d[j]), cmp.Compare(i, j))
	})
}
