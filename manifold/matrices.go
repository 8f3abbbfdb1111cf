package manifold

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
)

// Matrices is implemented by manifolds whose points are symmetric matrices. It converts between gonum matrices and points, and between
// tangent matrices and the coordinates of tangent vectors; with it a cost of a matrix and its Euclidean gradient are all that an objective
// needs.
type Matrices interface {
	Manifold
	// PointOf returns the point of s. A matrix that is not a point of the manifold is an error.
	PointOf(s mat.Symmetric) (Point, error)
	// MatrixOf sets dst to the matrix of p. An empty dst is sized.
	MatrixOf(dst *mat.SymDense, p Point)
	// Gradient writes to v the Riemannian gradient of a function whose Euclidean gradient at p is g; g is symmetrised.
	Gradient(v []float64, p Point, g mat.Matrix)
	// Embed writes to dst the tangent matrix with the coordinates v at p.
	Embed(dst *mat.SymDense, p Point, v []float64)
	// Whiten writes to v the coordinates of the tangent matrix xi at p.
	Whiten(v []float64, p Point, xi mat.Symmetric)
}

var _ Matrices = (*Affine)(nil)

// PointOf returns the frame of s, see NewFrame.
func (m *Affine) PointOf(s mat.Symmetric) (Point, error) {
	if err := sameRows(s, m.n); err != nil {
		return nil, err
	}
	return NewFrame(s)
}

// MatrixOf sets dst to S = F F^T.
func (m *Affine) MatrixOf(dst *mat.SymDense, p Point) { asFrame(p, m.n).ToSym(dst) }

func sameRows(s mat.Symmetric, n int) error {
	if absent.Matrix(s) {
		return errNil
	}
	if r := s.SymmetricDim(); r != n {
		return fmt.Errorf("manifold: the matrix has %d rows, want %d", r, n)
	}
	return nil
}
