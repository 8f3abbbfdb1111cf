package problem

import (
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
)

// split is the decomposition A = A+ - A- of a symmetric matrix into semidefinite parts with A+ A- = 0. A+ is the nearest positive
// semidefinite matrix to A in the Frobenius norm, A- = A+ - A.
type split struct {
	vectors  dense.Matrix[float64] // columns
	values   []float64             // ascending
	negative int                   // values[:negative] are negative or zero
	plus     dense.Matrix[float64]
	work     dense.Matrix[float64]
	lender
}

// newSplit returns the space of a decomposition, in lent memory.
func newSplit(n int) *split {
	s := new(split)
	s.vectors, s.values, s.plus, s.work = s.matrix(n, n), s.vector(n), s.matrix(n, n), s.matrix(n, n)
	return s
}

// set decomposes a: one eigendecomposition and at most half a product.
func (s *split) set(a dense.Matrix[float64]) error {
	s.vectors.Copy(a)
	if !eigen.Sym(s.vectors, s.values) {
		return errors.New("the eigendecomposition failed")
	}
	n := len(s.values)
	s.negative = 0
	for s.negative < n && s.values[s.negative] <= 0 {
		s.negative++
	}
	if s.negative <= n/2 {
		s.plus.Copy(a)
		s.add(s.plus, 0, s.negative, -1, 1)
	} else {
		s.add(s.plus, s.negative, n, 1, 0)
	}
	return nil
}

// add sets dst = beta dst + alpha sum lambda_k v_k v_k' over first <= k < end.
func (s *split) add(dst dense.Matrix[float64], first, end int, alpha, beta float64) {
	n := len(s.values)
	if first == end {
		if beta == 0 {
			dst.Zero()
		}
		return
	}
	v, w := s.vectors.View(0, first, n, end-first), s.work.View(0, 0, n, end-first)
	for i := range n {
		row, out := v.Row(i), w.Row(i)
		for k, x := range row {
			out[k] = x * s.values[first+k]
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, alpha, w, v, beta, dst)
	dense.Mirror(dst)
}

// oneSymmetric returns the only matrix of the data, complete and finite, which need not be definite.
func oneSymmetric(d *Data, remedy string) (dense.Matrix[float64], error) {
	if len(d.Matrices) != 1 {
		return dense.Matrix[float64]{}, &DataError{count: true, Err: fmt.Errorf("%d matrices given, want one", len(d.Matrices)), Remedy: remedy}
	}
	return completeFinite(d.Matrices[0], "matrix 0")
}

func completeFinite(s mat.Symmetric, where string) (dense.Matrix[float64], error) {
	if s.SymmetricDim() < 1 {
		return dense.Matrix[float64]{}, &DataError{Where: where, Err: errors.New("is empty")}
	}
	a := view(manifold.DenseOf(s))
	for i := range a.Rows {
		for j, v := range a.Row(i) {
			if v-v != 0 {
				return a, &DataError{Where: where, Err: fmt.Errorf("entry (%d,%d) is %v", i, j, v)}
			}
		}
	}
	return a, nil
}
