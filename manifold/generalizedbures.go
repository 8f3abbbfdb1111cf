package manifold

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// GeneralizedBures is the manifold of n x n SPD matrices with the generalized Bures-Wasserstein metric of an SPD matrix M: tr(L(U) V)/2, where L(U) solves
// S L M + M L S = U. With M = C C^T the map S -> C^-1 S C^-T is an isometry onto Bures, so that everything is as there and the distance is
// (tr M^-1 A + tr M^-1 B - 2 tr (M^-1 A M^-1 B)^1/2)^1/2. M = I is the Bures-Wasserstein metric; M = S at one point agrees there with the affine-invariant one
// over 4, so that M near the minimizer preconditions. Points are *EigenPoint of C^-1 S C^-T: convert with PointOf and MatrixOf. Source: Han, Mishra, Jawanpuria
// and Gao, "Learning with symmetric positive definite matrices via generalized Bures-Wasserstein geometry", GSI 2023 (arXiv 2110.10464).
type GeneralizedBures struct {
	*Bures
	c, inv  dense.Matrix[float64] // C and C^-1, lower triangular
	in, out dense.Matrix[float64] // scratch
	half    dense.Matrix[float64] // scratch
	sym     *mat.SymDense         // view of out
}

var (
	_ Matrices        = (*GeneralizedBures)(nil)
	_ Exponential     = (*GeneralizedBures)(nil)
	_ Logarithm       = (*GeneralizedBures)(nil)
	_ Distancer       = (*GeneralizedBures)(nil)
	_ RandomTangenter = (*GeneralizedBures)(nil)
	_ Checker         = (*GeneralizedBures)(nil)
	_ FreeTransporter = (*GeneralizedBures)(nil)
)

var generalizedBures = Space{
	Name: "generalized-bures",
	What: "all SPD matrices, with the generalized Bures-Wasserstein metric of a matrix M: S L M + M L S = U in place of S L + L S = U; an instance has 2 on the " +
		"diagonal of M and -1 beside it",
	New: func(n int) (Manifold, error) {
		m := mat.NewSymDense(max(n, 1), nil)
		for i := range n {
			m.SetSym(i, i, 2)
			if i > 0 {
				m.SetSym(i, i-1, -1)
			}
		}
		if n < 1 {
			return nil, fmt.Errorf("manifold: n is %d, want at least 1", n)
		}
		return NewGeneralizedBures(m, BuresOptions{})
	},
}

// NewGeneralizedBures returns the manifold of the matrices of the size of the SPD matrix m. Not safe for concurrent use: it owns scratch space.
func NewGeneralizedBures(m mat.Symmetric, o BuresOptions) (*GeneralizedBures, error) {
	f, err := NewFrame(m)
	if err != nil {
		return nil, fmt.Errorf("manifold: M: %w", err)
	}
	n := f.Dim()
	b, err := NewBures(n, o)
	if err != nil {
		return nil, err
	}
	g := &GeneralizedBures{Bures: b, c: dense.New[float64](n, n), inv: f.inverse().Clone(), in: dense.New[float64](n, n), out: dense.New[float64](n, n),
		half: dense.New[float64](n, n)}
	for i := range n {
		copy(g.c.Row(i)[:i+1], f.matrix().Row(i))
	}
	g.sym = mat.NewSymDense(n, g.out.Data)
	return g, nil
}

// congruence sets sym to w a w^T for the symmetric matrix a in in, or to w^T a w if inner.
func (g *GeneralizedBures) congruence(w dense.Matrix[float64], inner dense.Trans) {
	dense.Gemm(inner, dense.NoTrans, 1, w, g.in, 0, g.half)
	dense.GemmUpper(dense.NoTrans, !inner, 1, g.half, w, 0, g.out)
	dense.Mirror(g.out)
}

// inward sets sym to C^-1 s C^-T.
func (g *GeneralizedBures) inward(s mat.Symmetric) {
	copySymmetric(g.in, s)
	g.congruence(g.inv, dense.NoTrans)
}

// outward overwrites dst with C dst C^T.
func (g *GeneralizedBures) outward(dst *mat.SymDense) {
	copySymmetric(g.in, dst)
	g.congruence(g.c, dense.NoTrans)
	dst.CopySym(g.sym)
}

// PointOf returns the *EigenPoint of C^-1 s C^-T.
func (g *GeneralizedBures) PointOf(s mat.Symmetric) (Point, error) {
	if err := sameRows(s, g.n); err != nil {
		return nil, err
	}
	if err := CheckSPD(s); err != nil {
		return nil, err
	}
	g.inward(s)
	return NewEigenPoint(g.sym)
}

// MatrixOf sets dst to S.
func (g *GeneralizedBures) MatrixOf(dst *mat.SymDense, p Point) {
	g.Bures.MatrixOf(dst, p)
	g.outward(dst)
}

// Gradient writes to v the Riemannian gradient of a function whose Euclidean gradient at S is e; e is symmetrised. Five products.
func (g *GeneralizedBures) Gradient(v []float64, p Point, e mat.Matrix) {
	symmetrise(g.in, e)
	g.congruence(g.c, dense.Transposed)
	g.Bures.Gradient(v, p, g.sym)
}

// Embed writes to dst the tangent matrix with the coordinates v at p. Five products.
func (g *GeneralizedBures) Embed(dst *mat.SymDense, p Point, v []float64) {
	g.Bures.Embed(dst, p, v)
	g.outward(dst)
}

// Whiten writes to v the coordinates of the symmetric matrix xi at p. Five products.
func (g *GeneralizedBures) Whiten(v []float64, p Point, xi mat.Symmetric) {
	if err := sameRows(xi, g.n); err != nil {
		panic(Error(err.Error()))
	}
	g.inward(xi)
	g.Bures.Whiten(v, p, g.sym)
}
