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
		copy(a.Row(p), vt.Row(i))
	}
	transpose(a)
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
	var big float64
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
