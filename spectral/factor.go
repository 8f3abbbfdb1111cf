package spectral

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// The range in which eigenvalues are kept: d, 1/d, sqrt(d_i/d_j) and their products with ordinary numbers stay finite and normal.
const (
	smallest = 0x1p-1000
	largest  = 0x1p1000
)

// Factor is the SPD matrix S = B diag(d) B^T, kept as the orthogonal B and the eigenvalues d > 0. Use a constructor, or decode a state; the
// zero value has dimension 0. Eigenvalues are in no particular order, and the order of the eigenpairs is kept by every update but RankOne and
// RankK.
type Factor struct {
	frame
	d    []float64
	next []float64 // eigenvalues of the step in progress
	view mat.Dense // header of the matrix that Basis returns
	low  []float64 // workspace of low-rank increments and products
	vec  lowRank   // the increment of the update in progress, if of low rank

	secular eigen.Secular // workspace of RankOne
	kept    kept          // workspace of RankK
}

// Identity returns the factor of scale * I. It panics if n < 0 or scale is not positive and finite.
func Identity(n int, scale float64) *Factor {
	if n < 0 || !(scale >= smallest && scale <= largest) {
		mistake("Identity(%d, %v): need n >= 0 and a scale within [2^-1000, 2^1000]", n, scale)
	}
	f := newFactor(n)
	f.b.Identity()
	for i := range f.d {
		f.d[i] = scale
	}
	return f
}

func newFactor(n int) *Factor {
	v := make([]float64, 2*n)
	return &Factor{frame: frame{n: n, b: dense.New[float64](n, n)}, d: v[:n:n], next: v[n:]}
}

// FromEigen returns the factor with the eigenvectors in the columns of b and the eigenvalues d, both copied. It returns a *DataError if an entry
// is not finite, an eigenvalue is outside [2^-1000, 2^1000], or ||b^T b - I||_F > 1e-8; a smaller defect above 1e-13 is removed.
func FromEigen(b *mat.Dense, d []float64) (*Factor, error) {
	if b == nil {
		return nil, &DataError{"eigenvectors", "are nil"}
	}
	rows, cols := b.Dims()
	if rows != cols || rows != len(d) {
		return nil, &DataError{"eigenvectors", fmt.Sprintf("%d x %d for %d eigenvalues; they must be square and match", rows, cols, len(d))}
	}
	f := newFactor(rows)
	f.b.Copy(dense.Of(b.RawMatrix()))
	copy(f.d, d)
	defect, err := f.validate(1e-8)
	if err != nil {
		return nil, err
	}
	if defect > 1e-13 {
		f.reorthogonalize()
		f.reorthogonalize()
	}
	return f, nil
}

// validate checks the eigenvalues and the basis, whose defect it returns.
func (f *Factor) validate(tol float64) (float64, error) {
	for i, v := range f.d {
		if !(v >= smallest && v <= largest) {
			return 0, &DataError{fmt.Sprintf("eigenvalue %d", i), fmt.Sprintf("%v is not within [2^-1000, 2^1000]", v)}
		}
	}
	for i := range f.n {
		for j, v := range f.b.Row(i) {
			if !(math.Abs(v) <= 2) {
				return 0, &DataError{fmt.Sprintf("eigenvector entry (%d,%d)", i, j), fmt.Sprintf("%v is not an entry of an orthogonal matrix", v)}
			}
		}
	}
	f.ready()
	defect := f.exactDefect()
	if !(defect <= tol) {
		return 0, &DataError{"eigenvectors", fmt.Sprintf("not orthogonal: ||B^T B - I||_F = %.3g, at most %.0e is accepted", defect, tol)}
	}
	return defect, nil
}

// FromSym returns the factor of the SPD matrix s, with the eigenvalues in ascending order, by one symmetric eigendecomposition. It returns a
// *DataError if s is nil, an entry is not finite or the smallest eigenvalue is not positive.
func FromSym(s mat.Symmetric) (*Factor, error) {
	if absent.Matrix(s) {
		return nil, errNil
	}
	f := newFactor(s.SymmetricDim())
	symmetricTo(f.b, s, 1)
	if i, ok := firstNotFinite(f.b.Data); ok {
		return nil, &DataError{fmt.Sprintf("entry (%d,%d)", i/f.n, i%f.n), "is NaN or Inf"}
	}
	if !eigen.Sym(f.b, f.d) {
		return nil, &DataError{"matrix", "its eigenvalue iteration did not converge"}
	}
	if f.n > 0 && !(f.d[0] >= smallest) {
		return nil, &DataError{"matrix", fmt.Sprintf("not positive definite: smallest eigenvalue %.3g, largest %.3g; add a ridge of at least that much",
			f.d[0], f.d[f.n-1])}
	}
	if f.n > 0 && f.d[f.n-1] > largest {
		return nil, &DataError{"matrix", fmt.Sprintf("largest eigenvalue %.3g is above 2^1000; rescale it", f.d[f.n-1])}
	}
	return f, nil
}

func firstNotFinite(v []float64) (int, bool) {
	for i, x := range v {
		if x-x != 0 {
			return i, true
		}
	}
	return 0, false
}

// Dim returns n for an n x n matrix.
func (f *Factor) Dim() int { return f.n }

// Basis returns B, n x n, with the eigenvectors as columns. It is a view: read only, valid until the factor changes.
func (f *Factor) Basis() *mat.Dense {
	if f.n == 0 {
		f.view.Reset()
		return &f.view
	}
	f.view.SetRawMatrix(general(f.b))
	return &f.view
}

// Eigenvalues returns d in the order of the columns of Basis. It is a view: read only, valid until the factor changes.
func (f *Factor) Eigenvalues() []float64 { return f.d }

// Clone returns an independent copy of f, without its workspace.
func (f *Factor) Clone() *Factor {
	c := newFactor(f.n)
	c.CopyFrom(f)
	return c
}

// CopyFrom makes f equal to g, bit for bit in everything that later steps depend on. It allocates only if the dimensions differ.
func (f *Factor) CopyFrom(g *Factor) {
	if f.n != g.n {
		*f = *newFactor(g.n)
	}
	f.b.Copy(g.b)
	copy(f.d, g.d)
	f.turns, f.defect = g.turns, g.defect
}
