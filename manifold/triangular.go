package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// CholeskyPoint is an SPD matrix S = L L^T with L lower triangular and a positive diagonal, the point type of LogCholesky and Cholesky. Create one with
// NewCholeskyPoint.
type CholeskyPoint struct {
	l    dense.Matrix[float64] // strict upper triangle zero
	work []dense.Matrix[float64]
}

var _ Point = (*CholeskyPoint)(nil)

// NewCholeskyPoint returns the point of the SPD matrix s. A matrix with NaN or Inf, or one that is not positive definite by more than
// rounding, is a *PointError.
func NewCholeskyPoint(s mat.Symmetric) (*CholeskyPoint, error) {
	f, err := NewFrame(s)
	if err != nil {
		return nil, err
	}
	p := &CholeskyPoint{l: dense.New[float64](f.Dim(), f.Dim())}
	for i := range p.l.Rows {
		copy(p.l.Row(i)[:i+1], f.matrix().Row(i))
	}
	return p, nil
}

// Dim returns the number of rows n.
func (p *CholeskyPoint) Dim() int { return p.l.Rows }

// L returns a copy of the Cholesky factor.
func (p *CholeskyPoint) L() *mat.TriDense {
	t := mat.NewTriDense(p.l.Rows, mat.Lower, nil)
	for i := range p.l.Rows {
		for j := range i + 1 {
			t.SetTri(i, j, p.l.At(i, j))
		}
	}
	return t
}

// Clone returns a deep copy without the scratch space.
func (p *CholeskyPoint) Clone() Point {
	c := &CholeskyPoint{l: dense.New[float64](p.l.Rows, p.l.Rows)}
	c.l.Copy(p.l)
	return c
}

// CopyFrom overwrites the receiver with q, which must be a *CholeskyPoint of the same size.
func (p *CholeskyPoint) CopyFrom(q Point) { p.l.Copy(asCholeskyPoint(q, p.l.Rows).l) }

func (p *CholeskyPoint) scratch(k int) []dense.Matrix[float64] {
	for len(p.work) < k {
		p.work = append(p.work, dense.New[float64](p.l.Rows, p.l.Rows))
	}
	return p.work[:k]
}

func asCholeskyPoint(p Point, n int) *CholeskyPoint {
	c, ok := p.(*CholeskyPoint)
	if !ok || c.l.Rows != n {
		panic(Error(fmt.Sprintf("the point is not a *CholeskyPoint with %d rows", n)))
	}
	return c
}

// triangular is what the metrics on Cholesky factors share: the map from S = L L^T to the strict lower triangle of L and a function of its diagonal is an
// isometry into R^(n(n+1)/2). The coordinates of a tangent matrix U = L' L^T + L L'^T are L'_ij (i > j) and L'_jj times the slope of that function, row by
// row. Flat; no eigendecomposition anywhere: a step costs n^2 operations. Depends on the order of the variables.
type triangular struct {
	n, band int
	move    func(l, v float64) float64 // the diagonal element v further on
	between func(a, b float64) float64 // how far b is from a
	slope   func(l float64) float64    // of the function of the diagonal
}

// Dim returns the number of rows of the matrices.
func (m *triangular) Dim() int { return m.n }

// first returns the first column of row i of L that may be nonzero.
func (m *triangular) first(i int) int { return max(0, i-m.band) }

// VectorLen returns the number of free elements of L: n(n+1)/2 without a pattern.
func (m *triangular) VectorLen() int {
	b := m.band
	return m.n*(b+1) - b*(b+1)/2
}

// Inner returns the dot product of the coordinates; the point does not enter.
func (m *triangular) Inner(_ Point, u, v []float64) float64 { return dense.Dot(u, v) }

// Transport keeps the coordinates, which is parallel transport.
func (m *triangular) Transport(_, _ Point, _ []float64) {}

// FreeTransport reports true: vectors keep their coordinates.
func (m *triangular) FreeTransport() bool { return true }

// Exp moves p along the geodesic, a straight line of images. A diagonal element that leaves [2^-500, 2^500] is a *PointError. n^2 operations.
func (m *triangular) Exp(dst, p Point, v []float64) error {
	to, from := asCholeskyPoint(dst, m.n), asCholeskyPoint(p, m.n)
	if to == from {
		panic(Error("Retract: dst is the point itself"))
	}
	if err := finiteStep(v); err != nil {
		return err
	}
	for i := range m.n {
		a, b := from.l.Row(i), to.l.Row(i)
		for j := m.first(i); j < i; j++ {
			b[j] = a[j] + v[0]
			v = v[1:]
		}
		b[i] = m.move(a[i], v[0])
		v = v[1:]
		if !(b[i] >= 0x1p-500 && b[i] <= 0x1p500) {
			return &PointError{What: fmt.Sprintf("the step takes diagonal element %d of the Cholesky factor to %.3g, out of range; shorten it", i, b[i])}
		}
	}
	return nil
}

// Retract is Exp.
func (m *triangular) Retract(dst, p Point, v []float64) error { return m.Exp(dst, p, v) }

// Log writes to v the difference of the images of q and p. n^2 operations.
func (m *triangular) Log(v []float64, p, q Point) error {
	from, to := asCholeskyPoint(p, m.n), asCholeskyPoint(q, m.n)
	out := v
	for i := range m.n {
		a, b := from.l.Row(i), to.l.Row(i)
		for j := m.first(i); j < i; j++ {
			out[0] = b[j] - a[j]
			out = out[1:]
		}
		out[0] = m.between(a[i], b[i])
		out = out[1:]
	}
	return finiteStep(v)
}

// Distance returns the norm of the difference of the images. n^2 operations.
func (m *triangular) Distance(p, q Point) (float64, error) {
	v := make([]float64, m.VectorLen())
	if err := m.Log(v, p, q); err != nil {
		return 0, err
	}
	return math.Sqrt(dense.Dot(v, v)), nil
}

// PointOf returns the *CholeskyPoint of s. An element outside the pattern of the manifold is an error.
func (m *triangular) PointOf(s mat.Symmetric) (Point, error) {
	if err := sameRows(s, m.n); err != nil {
		return nil, err
	}
	for i := range m.n {
		for j := range m.first(i) {
			if x := s.At(i, j); x != 0 {
				return nil, fmt.Errorf("manifold: element (%d,%d) is %v, outside the band of width %d; set it to zero or take a wider band", i, j, x, m.band)
			}
		}
	}
	return NewCholeskyPoint(s)
}

// MatrixOf sets dst to S = L L^T.
func (m *triangular) MatrixOf(dst *mat.SymDense, p Point) {
	c := asCholeskyPoint(p, m.n)
	setSym(dst, m.n, func(out dense.Matrix[float64]) { dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, c.l, c.l, 0, out) })
}

// Gradient writes to v the Riemannian gradient of a function whose Euclidean gradient at S is g; g is symmetrised: the elements of 2 g L, those
// of the diagonal over the slope. One product.
func (m *triangular) Gradient(v []float64, p Point, g mat.Matrix) {
	c := asCholeskyPoint(p, m.n)
	w := c.scratch(2)
	symmetrise(w[0], g)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 2, w[0], c.l, 0, w[1])
	m.pack(v, w[1], func(i int) float64 { return 1 / m.slope(c.l.At(i, i)) })
}

// Embed writes to dst the tangent matrix L' L^T + L L'^T with the coordinates v at p. Two products.
func (m *triangular) Embed(dst *mat.SymDense, p Point, v []float64) {
	c := asCholeskyPoint(p, m.n)
	x := c.scratch(1)[0]
	clear(x.Data)
	for i := range m.n {
		k := i - m.first(i)
		copy(x.Row(i)[i-k:i], v[:k])
		x.Set(i, i, v[k]/m.slope(c.l.At(i, i)))
		v = v[k+1:]
	}
	setSym(dst, m.n, func(out dense.Matrix[float64]) {
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, x, c.l, 0, out)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, c.l, x, 1, out)
	})
}

// Whiten writes to v the coordinates of the symmetric matrix xi at p: L' = L (L^-1 xi L^-T)_1/2, where ()_1/2 keeps the lower triangle and
// halves the diagonal. xi must have the pattern of the manifold. Two products.
func (m *triangular) Whiten(v []float64, p Point, xi mat.Symmetric) {
	c := asCholeskyPoint(p, m.n)
	if err := sameRows(xi, m.n); err != nil {
		panic(Error(err.Error()))
	}
	m.pack(v, choleskyDerivative(c, xi), func(i int) float64 { return m.slope(c.l.At(i, i)) })
}

// choleskyDerivative returns L' = L (L^-1 xi L^-T)_1/2 in scratch of c: the derivative of the Cholesky factor in direction xi.
func choleskyDerivative(c *CholeskyPoint, xi mat.Symmetric) dense.Matrix[float64] {
	w := c.scratch(2)
	copySymmetric(w[0], xi)
	dense.SolveLower(dense.NoTrans, c.l, w[0])
	dense.SolveLowerRight(dense.Transposed, c.l, w[0])
	for i := range w[0].Rows {
		row := w[0].Row(i)
		row[i] /= 2
		clear(row[i+1:])
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c.l, w[0], 0, w[1])
	return w[1]
}

// pack writes the free elements of x to v, those of the diagonal times scale.
func (m *triangular) pack(v []float64, x dense.Matrix[float64], scale func(i int) float64) {
	for i := range m.n {
		k := copy(v, x.Row(i)[m.first(i):i])
		v[k] = x.At(i, i) * scale(i)
		v = v[k+1:]
	}
}

// Check verifies that L is finite and its diagonal positive, which makes S positive definite. n^2 operations.
func (m *triangular) Check(p Point) error {
	c := asCholeskyPoint(p, m.n)
	if !allFinite(c.l) {
		return &PointError{What: "the point has a NaN or Inf entry"}
	}
	for i := range m.n {
		if !(c.l.At(i, i) > 0) {
			return &PointError{What: fmt.Sprintf("diagonal element %d of the Cholesky factor is %v, not positive", i, c.l.At(i, i))}
		}
	}
	return nil
}

// RandomPoint returns a factor that is log-normal on the diagonal, with rows beside it that are normal and about of unit length: with elements of unit variance its
// condition would grow exponentially with the number of rows.
func (m *triangular) RandomPoint(rng *rand.Rand) Point {
	p := &CholeskyPoint{l: dense.New[float64](m.n, m.n)}
	for i := range m.n {
		first := m.first(i)
		for j := first; j < i; j++ {
			p.l.Set(i, j, rng.NormFloat64()/math.Sqrt(float64(i-first)))
		}
		p.l.Set(i, i, math.Exp(rng.NormFloat64()))
	}
	return p
}

// RandomTangent fills v with a vector of unit norm, uniform in direction.
func (m *triangular) RandomTangent(v []float64, _ Point, rng *rand.Rand) { randomUnit(v, rng) }

// randomUnit fills v with a vector of unit Euclidean norm, uniform in direction.
func randomUnit(v []float64, rng *rand.Rand) {
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	dense.Scale(1/math.Sqrt(dense.Dot(v, v)), v, v)
}
