package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// Correlation is the manifold of n x n positive definite matrices with unit diagonal with the Euclidean-Cholesky metric: with C = L L^T the map from C to the
// strict lower triangle of diag(L)^-1 L is an isometry onto R^(n(n-1)/2). Points are *CholeskyPoint with rows of L of length 1; the coordinates of a tangent
// matrix U = L' L^T + L L'^T are the derivatives of L_ij/L_ii, row by row. Flat and complete: every step gives a correlation matrix, geodesics and means are in
// closed form, steps take n^2 operations. Depends on the order of the variables. Oblique holds correlation matrices that may be singular. Source: Thanwerdas,
// "Riemannian and stratified geometries on covariance and correlation matrices", thesis, Universite Cote d'Azur 2022, section 7.4.2.
type Correlation struct{ n int }

var (
	_ Matrices        = (*Correlation)(nil)
	_ Exponential     = (*Correlation)(nil)
	_ Logarithm       = (*Correlation)(nil)
	_ Distancer       = (*Correlation)(nil)
	_ RandomTangenter = (*Correlation)(nil)
	_ Checker         = (*Correlation)(nil)
	_ FreeTransporter = (*Correlation)(nil)
)

var correlation = Space{
	Name: "correlation",
	What: "positive definite matrices with unit diagonal, Euclidean-Cholesky metric: flat, complete, closed-form mean, steps in n^2; n at least 2",
	New:  func(n int) (Manifold, error) { return NewCorrelation(n) },
}

const (
	unitDiagonal  = 1e-8    // how far the diagonal of a correlation matrix may be from 1
	smallestPivot = 0x1p-25 // of a Cholesky factor with rows of length 1: below it the matrix is singular to rounding
)

// NewCorrelation returns the manifold of n x n correlation matrices; n is at least 2.
func NewCorrelation(n int) (*Correlation, error) {
	if n < 2 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 2", n)
	}
	return &Correlation{n}, nil
}

// Dim returns the number of rows of the matrices.
func (m *Correlation) Dim() int { return m.n }

// VectorLen returns n(n-1)/2.
func (m *Correlation) VectorLen() int { return m.n * (m.n - 1) / 2 }

// Inner returns the dot product of the coordinates; the point does not enter.
func (m *Correlation) Inner(_ Point, u, v []float64) float64 { return dense.Dot(u, v) }

// Transport keeps the coordinates, which is parallel transport.
func (m *Correlation) Transport(_, _ Point, _ []float64) {}

// FreeTransport reports true: vectors keep their coordinates.
func (m *Correlation) FreeTransport() bool { return true }

// Exp moves p along the geodesic, a straight line of images. A point that is singular to rounding is a *PointError. n^2 operations.
func (m *Correlation) Exp(dst, p Point, v []float64) error {
	to, from := asCholeskyPoint(dst, m.n), asCholeskyPoint(p, m.n)
	if to == from {
		panic(Error("Retract: dst is the point itself"))
	}
	if err := finiteStep(v); err != nil {
		return err
	}
	for i := range m.n {
		a, b := from.l.Row(i), to.l.Row(i)
		for j := range i {
			b[j] = a[j]/a[i] + v[j]
		}
		b[i] = 1
		v = v[i:]
		if err := unitRow(i, b[:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// unitRow scales row i of a Cholesky factor to length 1.
func unitRow(i int, row []float64) error {
	norm := math.Sqrt(dense.Dot(row, row))
	if !(row[i] >= smallestPivot*norm) || math.IsInf(norm, 1) {
		return &PointError{What: fmt.Sprintf("variable %d depends on those before it to rounding: its Cholesky pivot is %.3g of its length; shorten the step", i, row[i]/norm)}
	}
	dense.Scale(1/norm, row, row)
	return nil
}

// Retract is Exp.
func (m *Correlation) Retract(dst, p Point, v []float64) error { return m.Exp(dst, p, v) }

// Log writes to v the difference of the images of q and p. n^2 operations.
func (m *Correlation) Log(v []float64, p, q Point) error {
	from, to := asCholeskyPoint(p, m.n), asCholeskyPoint(q, m.n)
	out := v
	for i := range m.n {
		a, b := from.l.Row(i), to.l.Row(i)
		for j := range i {
			out[j] = b[j]/b[i] - a[j]/a[i]
		}
		out = out[i:]
	}
	return finiteStep(v)
}

// Distance returns the norm of the difference of the images. n^2 operations.
func (m *Correlation) Distance(p, q Point) (float64, error) {
	v := make([]float64, m.VectorLen())
	if err := m.Log(v, p, q); err != nil {
		return 0, err
	}
	return math.Sqrt(dense.Dot(v, v)), nil
}

// PointOf returns the *CholeskyPoint of s, whose diagonal must be 1 to 1e-8; CorrelationOf makes it so.
func (m *Correlation) PointOf(s mat.Symmetric) (Point, error) {
	if err := sameRows(s, m.n); err != nil {
		return nil, err
	}
	for i := range m.n {
		if d := s.At(i, i); !(math.Abs(d-1) <= unitDiagonal) {
			return nil, fmt.Errorf("manifold: diagonal element %d is %v, but that of a correlation matrix is 1; take CorrelationOf a covariance", i, d)
		}
	}
	p, err := NewCholeskyPoint(s)
	if err != nil {
		return nil, err
	}
	for i := range m.n {
		if err := unitRow(i, p.l.Row(i)[:i+1]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// CorrelationOf returns the correlations D^-1/2 S D^-1/2 of a covariance S with diagonal D. A matrix that is not SPD is an error.
func CorrelationOf(s mat.Symmetric) (*mat.SymDense, error) {
	if err := CheckSPD(s); err != nil {
		return nil, fmt.Errorf("manifold: %w", err)
	}
	n := s.SymmetricDim()
	c := mat.NewSymDense(n, nil)
	for i := range n {
		c.SetSym(i, i, 1)
		for j := range i {
			c.SetSym(i, j, s.At(i, j)/math.Sqrt(s.At(i, i))/math.Sqrt(s.At(j, j)))
		}
	}
	return c, nil
}

// MatrixOf sets dst to C = L L^T, its diagonal to 1.
func (m *Correlation) MatrixOf(dst *mat.SymDense, p Point) {
	c := asCholeskyPoint(p, m.n)
	setSym(dst, m.n, func(out dense.Matrix[float64]) {
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, c.l, c.l, 0, out)
		for i := range m.n {
			out.Set(i, i, 1)
		}
	})
}

// Gradient writes to v the Riemannian gradient of a function whose Euclidean gradient at C is g; g is symmetrised, and its diagonal has no effect. One product.
func (m *Correlation) Gradient(v []float64, p Point, g mat.Matrix) {
	c := asCholeskyPoint(p, m.n)
	w := c.scratch(2)
	symmetrise(w[0], g)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 2, w[0], c.l, 0, w[1])
	for i := range m.n {
		l, h := c.l.Row(i)[:i+1], w[1].Row(i)[:i+1]
		along := dense.Dot(l, h)
		for j := range i {
			v[j] = l[i] * (h[j] - along*l[j])
		}
		v = v[i:]
	}
}

// Embed writes to dst the tangent matrix with the coordinates v at p. Two products.
func (m *Correlation) Embed(dst *mat.SymDense, p Point, v []float64) {
	c := asCholeskyPoint(p, m.n)
	x := c.scratch(1)[0]
	clear(x.Data)
	for i := range m.n {
		l, row := c.l.Row(i), x.Row(i)
		along := dense.Dot(l[:i], v[:i])
		for j := range i + 1 {
			row[j] = -l[i] * along * l[j]
			if j < i {
				row[j] += l[i] * v[j]
			}
		}
		v = v[i:]
	}
	setSym(dst, m.n, func(out dense.Matrix[float64]) {
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, x, c.l, 0, out)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, c.l, x, 1, out)
	})
}

// Whiten writes to v the coordinates of the symmetric matrix xi at p, whose diagonal must be zero. Two products.
func (m *Correlation) Whiten(v []float64, p Point, xi mat.Symmetric) {
	c := asCholeskyPoint(p, m.n)
	if err := sameRows(xi, m.n); err != nil {
		panic(Error(err.Error()))
	}
	x := choleskyDerivative(c, xi)
	for i := range m.n {
		l, row := c.l.Row(i), x.Row(i)
		for j := range i {
			v[j] = (row[j] - l[j]/l[i]*row[i]) / l[i]
		}
		v = v[i:]
	}
}

// Check verifies that L is finite, its diagonal positive and its rows of length 1, which it scales them to. n^2 operations.
func (m *Correlation) Check(p Point) error {
	c := asCholeskyPoint(p, m.n)
	if !allFinite(c.l) {
		return &PointError{What: "the point has a NaN or Inf entry"}
	}
	for i := range m.n {
		if err := unitRow(i, c.l.Row(i)[:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// RandomPoint draws the image from the standard normal distribution.
func (m *Correlation) RandomPoint(rng *rand.Rand) Point {
	p := &CholeskyPoint{l: dense.New[float64](m.n, m.n)}
	for i := range m.n {
		row := p.l.Row(i)[:i+1]
		for j := range i {
			row[j] = rng.NormFloat64()
		}
		row[i] = 1
		dense.Scale(1/math.Sqrt(dense.Dot(row, row)), row, row)
	}
	return p
}

// RandomTangent fills v with a vector of unit norm, uniform in direction.
func (m *Correlation) RandomTangent(v []float64, _ Point, rng *rand.Rand) { randomUnit(v, rng) }
