// Package eigen decomposes symmetric matrices: blocked tridiagonalisation, divide and conquer, and the secular equation behind both the
// divide and conquer merge and exact low-rank updates of a known decomposition.
package eigen

import (
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// Sym overwrites the symmetric a (its upper triangle is read) with orthonormal eigenvectors as columns and w with the eigenvalues in
// ascending order. It returns false only if a holds NaN or Inf or the iteration does not converge.
func Sym(a dense.Matrix[float64], w []float64) bool {
	n := a.Rows
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, a.At(i, j))
		}
	}
	var e mat.EigenSym
	if !e.Factorize(s, true) {
		return false
	}
	e.Values(w)
	var v mat.Dense
	e.VectorsTo(&v)
	for i := range n {
		copy(a.Row(i), v.RawRowView(i))
	}
	return true
}

// SymValues is Sym without eigenvectors; a is overwritten with scratch.
func SymValues(a dense.Matrix[float64], w []float64) bool {
	return Sym(a, w)
}
