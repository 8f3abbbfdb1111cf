// Package absent tells matrices that are nil from those that are there, so that functions that take the matrices of a caller can name the one that is missing.
package absent

import "gonum.org/v1/gonum/mat"

// Matrix reports whether a is nil, or a nil pointer to one of gonum's types. Nil pointers to other types are there: their methods may do without a receiver.
func Matrix(a mat.Matrix) bool {
	switch a := a.(type) {
	case nil:
		return true
	case *mat.SymDense:
		return a == nil
	case *mat.Dense:
		return a == nil
	case *mat.VecDense:
		return a == nil
	case *mat.DiagDense:
		return a == nil
	case *mat.SymBandDense:
		return a == nil
	case *mat.BandDense:
		return a == nil
	case *mat.TriDense:
		return a == nil
	case *mat.TriBandDense:
		return a == nil
	case *mat.Tridiag:
		return a == nil
	case *mat.Cholesky:
		return a == nil
	case *mat.BandCholesky:
		return a == nil
	}
	return false
}

// Complex is Matrix for complex matrices.
func Complex(a mat.CMatrix) bool {
	c, dense := a.(*mat.CDense)
	return a == nil || dense && c == nil
}

// First returns the index of the first matrix that is nil, or -1.
func First(ms []mat.Symmetric) int {
	for k, a := range ms {
		if Matrix(a) {
			return k
		}
	}
	return -1
}
