package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// EigenPoint is an SPD matrix S = Q diag(d) Q^T, the point type of the metrics whose formulas are written in the eigenbasis of S:
// log-Euclidean, power-Euclidean and Bures-Wasserstein. Create one with NewEigenPoint. Not safe for concurrent use: it owns scratch space.
type EigenPoint struct {
	q      dense.Matrix[float64]
	d      []float64
	work   []dense.Matrix[float64]
	values []float64
	solver eigen.Solver
}

var _ Point = (*EigenPoint)(nil)

// NewEigenPoint returns the point of the SPD matrix s by one eigendecomposition, after what CheckSPD costs. A matrix with NaN or Inf, or one that is not positive
// definite by more than rounding, is a *PointError.
func NewEigenPoint(s mat.Symmetric) (*EigenPoint, error) {
	if err := CheckSPD(s); err != nil {
		return nil, err
	}
	p := newEigenPoint(s.SymmetricDim())
	copySymmetric(p.q, s)
	if err := p.decompose(); err != nil {
		return nil, err
	}
	return p, nil
}

func newEigenPoint(n int) *EigenPoint {
	return &EigenPoint{q: dense.New[float64](n, n), d: make([]float64, n), values: make([]float64, n)}
}

// decompose replaces the symmetric matrix that lies in q by its eigenvectors and d by its eigenvalues, which must be positive.
func (p *EigenPoint) decompose() error {
	if !p.solver.Sym(p.q, p.d) {
		return &PointError{What: "the matrix has a NaN or Inf entry"}
	}
	if n := len(p.d); !(p.d[0] > 0) {
		return &PointError{What: "singular to rounding", Min: p.d[0], Max: p.d[n-1]}
	}
	return nil
}

// Dim returns the number of rows n.
func (p *EigenPoint) Dim() int { return len(p.d) }

// Eigenvalues returns the eigenvalues of S in ascending order; read only.
func (p *EigenPoint) Eigenvalues() []float64 { return p.d }

// Basis returns a view of the eigenvectors, as columns in the order of Eigenvalues; read only.
func (p *EigenPoint) Basis() *mat.Dense { return mat.NewDense(p.q.Rows, p.q.Cols, p.q.Data) }

// Sym returns S as a new matrix.
func (p *EigenPoint) Sym() *mat.SymDense {
	n := len(p.d)
	s := dense.New[float64](n, n)
	spectralSum(s, p.q, p.d, p.scratch(1)[0])
	return mat.NewSymDense(n, s.Data)
}

// Clone returns a deep copy without the scratch space.
func (p *EigenPoint) Clone() Point {
	c := newEigenPoint(len(p.d))
	c.CopyFrom(p)
	return c
}

// CopyFrom overwrites the receiver with q, which must be an *EigenPoint of the same size.
func (p *EigenPoint) CopyFrom(q Point) {
	o := asEigenPoint(q, len(p.d))
	p.q.Copy(o.q)
	copy(p.d, o.d)
}

func (p *EigenPoint) scratch(k int) []dense.Matrix[float64] {
	for n := len(p.d); len(p.work) < k; {
		p.work = append(p.work, dense.New[float64](n, n))
	}
	return p.work[:k]
}

// function sets dst = Q diag(f(d)) Q^T.
func (p *EigenPoint) function(dst dense.Matrix[float64], f func(float64) float64) {
	for i, d := range p.d {
		p.values[i] = f(d)
	}
	spectralSum(dst, p.q, p.values, p.scratch(1)[0])
}

// toBasis sets dst = Q^T s Q for symmetric s.
func (p *EigenPoint) toBasis(dst, s dense.Matrix[float64]) {
	w := p.scratch(1)[0]
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s, p.q, 0, w)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, p.q, w, 0, dst)
	dense.Mirror(dst)
}

// fromBasis sets dst = Q s Q^T for symmetric s.
func (p *EigenPoint) fromBasis(dst, s dense.Matrix[float64]) {
	w := p.scratch(1)[0]
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p.q, s, 0, w)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w, p.q, 0, dst)
	dense.Mirror(dst)
}

func asEigenPoint(p Point, n int) *EigenPoint {
	e, ok := p.(*EigenPoint)
	if !ok || len(e.d) != n {
		panic(Error(fmt.Sprintf("the point is not an *EigenPoint with %d rows", n)))
	}
	return e
}

// eigenMetric is what the metrics on EigenPoint share. The metric is g_S(U, U) = sum (U'_ij / weight(d_i, d_j))^2 with U' = Q^T U Q; the
// coordinates of U are the symmetric matrix Q (U'_ij / weight_ij) Q^T, the square root of the metric applied to U. They do not depend on the
// choice of Q where eigenvalues meet, the inner product is their Frobenius product, and keeping them is an isometric transport.
type eigenMetric struct {
	n      int
	weight func(a, b float64) float64 // symmetric and positive, with a <= b
}

// Dim returns the number of rows of the matrices.
func (m *eigenMetric) Dim() int { return m.n }

// VectorLen returns n*n.
func (m *eigenMetric) VectorLen() int { return m.n * m.n }

// Inner returns tr(u v) of the coordinates in n^2 operations; the point does not enter.
func (m *eigenMetric) Inner(_ Point, u, v []float64) float64 { return dense.Dot(u, v) }

// Transport keeps the coordinates, which is isometric.
func (m *eigenMetric) Transport(_, _ Point, _ []float64) {}

// FreeTransport reports true: vectors keep their coordinates.
func (m *eigenMetric) FreeTransport() bool { return true }

// PointOf returns the *EigenPoint of s, see NewEigenPoint.
func (m *eigenMetric) PointOf(s mat.Symmetric) (Point, error) {
	if err := sameRows(s, m.n); err != nil {
		return nil, err
	}
	return NewEigenPoint(s)
}

// MatrixOf sets dst to S.
func (m *eigenMetric) MatrixOf(dst *mat.SymDense, p Point) {
	setSym(dst, m.n, func(out dense.Matrix[float64]) {
		e := asEigenPoint(p, m.n)
		spectralSum(out, e.q, e.d, e.scratch(1)[0])
	})
}

// Gradient writes to v the Riemannian gradient of a function whose Euclidean gradient at S is g; g is symmetrised. Three products.
func (m *eigenMetric) Gradient(v []float64, p Point, g mat.Matrix) {
	e := asEigenPoint(p, m.n)
	w := e.scratch(2)[1]
	symmetrise(w, g)
	m.scale(dense.Wrap(m.n, m.n, v), e, w, false)
}

// Embed writes to dst the tangent matrix with the coordinates v at p. Three products.
func (m *eigenMetric) Embed(dst *mat.SymDense, p Point, v []float64) {
	setSym(dst, m.n, func(out dense.Matrix[float64]) { m.scale(out, asEigenPoint(p, m.n), dense.Wrap(m.n, m.n, v), false) })
}

// Whiten writes to v the coordinates of the symmetric matrix xi at p. Three products.
func (m *eigenMetric) Whiten(v []float64, p Point, xi mat.Symmetric) {
	e := asEigenPoint(p, m.n)
	w := e.scratch(2)[1]
	copyTangent(w, xi)
	m.scale(dense.Wrap(m.n, m.n, v), e, w, true)
}

// scale multiplies (or divides) src by the weights in the eigenbasis of e.
func (m *eigenMetric) scale(dst dense.Matrix[float64], e *EigenPoint, src dense.Matrix[float64], divide bool) {
	t := e.scratch(3)[2]
	e.toBasis(t, src)
	for i, a := range e.d {
		row := t.Row(i)
		for j := i; j < m.n; j++ {
			if w := m.weight(a, e.d[j]); divide {
				row[j] /= w
			} else {
				row[j] *= w
			}
		}
	}
	dense.Mirror(t)
	e.fromBasis(dst, t)
}

// Check verifies that p is finite and positive definite, in n^2 operations.
func (m *eigenMetric) Check(p Point) error {
	e := asEigenPoint(p, m.n)
	low, high := e.d[0], e.d[m.n-1]
	switch {
	case !allFinite(e.q) || !(high <= math.MaxFloat64):
		return &PointError{What: "the point has a NaN or Inf entry"}
	case !(low > 0):
		return &PointError{What: "the point is not positive definite", Min: low, Max: high}
	}
	return nil
}

// RandomPoint returns Q diag(exp(z)) Q^T with standard normal z and a Haar-distributed orthogonal Q.
func (m *eigenMetric) RandomPoint(rng *rand.Rand) Point {
	p, err := NewEigenPoint(affine(m.n).RandomPoint(rng).(*Frame).Sym())
	if err != nil {
		panic(Error("RandomPoint: " + err.Error()))
	}
	return p
}

// RandomTangent fills v with a random symmetric matrix (the Gaussian orthogonal ensemble) scaled to unit norm.
func (m *eigenMetric) RandomTangent(v []float64, p Point, rng *rand.Rand) {
	affine(m.n).RandomTangent(v, nil, rng)
}

// endpoints checks the arguments of a move.
func (m *eigenMetric) endpoints(dst, p Point, v []float64) (to, from *EigenPoint, err error) {
	to, from = asEigenPoint(dst, m.n), asEigenPoint(p, m.n)
	if to == from {
		panic(Error("Retract: dst is the point itself"))
	}
	return to, from, finiteStep(v)
}

// finiteStep returns a *StepError if v is not finite.
func finiteStep(v []float64) error {
	if norm := math.Sqrt(dense.Dot(v, v)); norm-norm != 0 {
		return &StepError{Norm: norm, Limit: math.Inf(1)}
	}
	return nil
}

// flat is an eigenMetric that a function of S maps isometrically into the symmetric matrices: coordinates are differences of images.
type flat struct {
	eigenMetric
	chart, inverse func(float64) float64 // increasing on the positive numbers; inverse is NaN, 0 or Inf outside the range
	leaves         string                // what to say where inverse has no value
}

// Exp moves p along the geodesic, a straight line of images. One eigendecomposition and half a product. A step that leaves the range is an error.
func (m *flat) Exp(dst, p Point, v []float64) error {
	to, from, err := m.endpoints(dst, p, v)
	if err != nil {
		return err
	}
	from.function(to.q, m.chart)
	dense.Axpy(1, v, to.q.Data)
	if !to.solver.Sym(to.q, to.d) {
		return &PointError{What: "the step overflows; shorten it"}
	}
	low, high := to.d[0], to.d[m.n-1]
	for i, d := range to.d {
		to.d[i] = m.inverse(d)
	}
	if !(to.d[0] >= 0x1p-1000 && to.d[m.n-1] <= 0x1p1000) {
		return &PointError{What: m.leaves, Min: low, Max: high}
	}
	return nil
}

// Retract is Exp.
func (m *flat) Retract(dst, p Point, v []float64) error { return m.Exp(dst, p, v) }

// Log writes to v the difference of the images. One product.
func (m *flat) Log(v []float64, p, q Point) error {
	from, to := asEigenPoint(p, m.n), asEigenPoint(q, m.n)
	w := from.scratch(2)[1]
	from.function(w, m.chart)
	out := dense.Wrap(m.n, m.n, v)
	to.function(out, m.chart)
	dense.Axpy(-1, w.Data, out.Data)
	return finiteStep(v)
}

// Distance returns the Frobenius norm of the difference of the images. One product.
func (m *flat) Distance(p, q Point) (float64, error) {
	v := asEigenPoint(p, m.n).scratch(3)[2].Data
	if err := m.Log(v, p, q); err != nil {
		return 0, err
	}
	return math.Sqrt(dense.Dot(v, v)), nil
}

// setSym sizes dst if it is empty and lets fill write to it; only the upper triangle counts.
func setSym(dst *mat.SymDense, n int, fill func(dense.Matrix[float64])) {
	if dst.IsEmpty() {
		dst.ReuseAsSym(n)
	}
	if dst.SymmetricDim() != n {
		panic(Error(fmt.Sprintf("dst has %d rows, want %d", dst.SymmetricDim(), n)))
	}
	raw := dst.RawSymmetric()
	fill(dense.Matrix[float64]{Rows: n, Cols: n, Stride: raw.Stride, Data: raw.Data})
}

// copyTangent writes the tangent matrix xi to both triangles of dst; another size panics.
func copyTangent(dst dense.Matrix[float64], xi mat.Symmetric) {
	if r := xi.SymmetricDim(); r != dst.Rows {
		panic(Error(fmt.Sprintf("the tangent matrix has %d rows, want %d", r, dst.Rows)))
	}
	copySymmetric(dst, xi)
}

// symmetrise sets dst = (g + g^T)/2.
func symmetrise(dst dense.Matrix[float64], g mat.Matrix) {
	if r, c := g.Dims(); r != dst.Rows || c != dst.Cols {
		panic(Error(fmt.Sprintf("the gradient has shape %dx%d, want %dx%d", r, c, dst.Rows, dst.Cols)))
	}
	for i := range dst.Rows {
		for j := range dst.Cols {
			dst.Set(i, j, (g.At(i, j)+g.At(j, i))/2)
		}
	}
}
