package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// OrthogonalPoint is an orthogonal matrix Q, the point type of Orthogonal. Create one with NewOrthogonalPoint.
type OrthogonalPoint struct {
	q      dense.Matrix[float64]
	work   []dense.Matrix[float64]
	values []float64
	cayley []float64
	solver eigen.Solver
}

var _ Point = (*OrthogonalPoint)(nil)

// NewOrthogonalPoint returns the point of q. A matrix that is not square, or for which ||Q^T Q - I||_F exceeds 1e-8, is a *PointError; what is
// below that is repaired.
func NewOrthogonalPoint(q mat.Matrix) (*OrthogonalPoint, error) {
	if absent.Matrix(q) {
		return nil, errNil
	}
	n, c := q.Dims()
	if n != c || n < 2 {
		return nil, &PointError{What: fmt.Sprintf("the matrix has shape %dx%d, want a square one with at least 2 rows", n, c)}
	}
	p := newOrthogonalPoint(n)
	for i := range n {
		for j := range n {
			p.q.Set(i, j, q.At(i, j))
		}
	}
	if d := p.repair(); !(d <= 1e-8) {
		return nil, &PointError{What: fmt.Sprintf("not orthogonal: ||Q^T Q - I|| = %.2g; orthogonalize it", d)}
	}
	return p, nil
}

func newOrthogonalPoint(n int) *OrthogonalPoint {
	return &OrthogonalPoint{q: dense.New[float64](n, n), values: make([]float64, n), cayley: make([]float64, dense.CayleyWork(n))}
}

// Q returns a copy of the matrix.
func (p *OrthogonalPoint) Q() *mat.Dense {
	return mat.DenseCopyOf(mat.NewDense(p.q.Rows, p.q.Cols, p.q.Data))
}

// Clone returns a deep copy without the scratch space.
func (p *OrthogonalPoint) Clone() Point {
	c := newOrthogonalPoint(p.q.Rows)
	c.q.Copy(p.q)
	return c
}

// CopyFrom overwrites the receiver with q, which must be an *OrthogonalPoint of the same size.
func (p *OrthogonalPoint) CopyFrom(q Point) { p.q.Copy(asOrthogonal(q, p.q.Rows).q) }

func (p *OrthogonalPoint) scratch(k int) []dense.Matrix[float64] {
	for n := p.q.Rows; len(p.work) < k; {
		p.work = append(p.work, dense.New[float64](n, n))
	}
	return p.work[:k]
}

func asOrthogonal(p Point, n int) *OrthogonalPoint {
	o, ok := p.(*OrthogonalPoint)
	if !ok || o.q.Rows != n {
		panic(Error(fmt.Sprintf("the point is not an *OrthogonalPoint with %d rows", n)))
	}
	return o
}

// repair returns ||Q^T Q - I||_F and, if that is small but above rounding, takes one Newton-Schulz step towards the polar factor.
func (p *OrthogonalPoint) repair() float64 {
	w := p.scratch(2)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, -0.5, p.q, p.q, 0, w[0])
	dense.Mirror(w[0])
	for i := range p.q.Rows {
		w[0].Set(i, i, w[0].At(i, i)+0.5)
	}
	defect := 2 * math.Sqrt(dense.Dot(w[0].Data, w[0].Data))
	if defect > 0x1p-48*float64(p.q.Rows) && defect < 0.1 {
		w[1].Copy(p.q)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w[1], w[0], 1, p.q)
	}
	return defect
}

// Orthogonal is the group of n x n orthogonal matrices with the bi-invariant metric tr(U^T V). Points are *OrthogonalPoint; a tangent vector is
// Q W with W skew, its coordinates are sqrt(2) W_ij for i < j, row by row. Steps never leave the component (determinant 1 or -1) of the start.
// Transport keeps W, left translation, which is isometric. Curvature is nonnegative: geodesics are shortest only up to a half turn.
type Orthogonal struct{ n int }

var (
	_ Manifold        = (*Orthogonal)(nil)
	_ Exponential     = (*Orthogonal)(nil)
	_ Logarithm       = (*Orthogonal)(nil)
	_ Distancer       = (*Orthogonal)(nil)
	_ RandomTangenter = (*Orthogonal)(nil)
	_ Checker         = (*Orthogonal)(nil)
	_ FreeTransporter = (*Orthogonal)(nil)
)

var orthogonal = Space{
	Name: "orthogonal",
	What: "n x n orthogonal matrices, tr(U^T V); Cayley steps of products only",
	New:  func(n int) (Manifold, error) { return NewOrthogonal(n) },
}

// NewOrthogonal returns the group of n x n orthogonal matrices, n at least 2.
func NewOrthogonal(n int) (*Orthogonal, error) {
	if n < 2 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 2", n)
	}
	return &Orthogonal{n}, nil
}

// Dim returns the number of rows of the matrices.
func (m *Orthogonal) Dim() int { return m.n }

// VectorLen returns n(n-1)/2.
func (m *Orthogonal) VectorLen() int { return m.n * (m.n - 1) / 2 }

// Inner returns the dot product of the coordinates.
func (m *Orthogonal) Inner(_ Point, u, v []float64) float64 { return dense.Dot(u, v) }

// Transport keeps the coordinates.
func (m *Orthogonal) Transport(_, _ Point, _ []float64) {}

// FreeTransport reports true.
func (m *Orthogonal) FreeTransport() bool { return true }

// unpack writes scale times the skew matrix of v to w.
func (m *Orthogonal) unpack(w dense.Matrix[float64], v []float64, scale float64) {
	for i := range m.n {
		w.Set(i, i, 0)
		row := w.Row(i)[i+1:]
		dense.Scale(scale*math.Sqrt2/2, v[:len(row)], row)
		v = v[len(row):]
	}
	dense.MirrorSkew(w)
}

// pack writes the coordinates of the skew part of w to v.
func (m *Orthogonal) pack(v []float64, w dense.Matrix[float64]) {
	for i := range m.n {
		for j := i + 1; j < m.n; j++ {
			v[0] = (w.At(i, j) - w.At(j, i)) * math.Sqrt2 / 2
			v = v[1:]
		}
	}
}

// Gradient writes to v the Riemannian gradient, the skew part of Q^T g, of a function whose Euclidean gradient at p is g.
func (m *Orthogonal) Gradient(v []float64, p Point, g mat.Matrix) {
	if r, c := g.Dims(); r != m.n || c != m.n {
		panic(Error("Gradient: g has the wrong shape"))
	}
	o := asOrthogonal(p, m.n)
	w := o.scratch(2)
	for i := range m.n {
		for j := range m.n {
			w[0].Set(i, j, g.At(i, j))
		}
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, o.q, w[0], 0, w[1])
	m.pack(v, w[1])
}

// Embed sets dst to the tangent matrix Q W with the coordinates v at p. An empty dst is sized.
func (m *Orthogonal) Embed(dst *mat.Dense, p Point, v []float64) {
	o := asOrthogonal(p, m.n)
	if dst.IsEmpty() {
		dst.ReuseAs(m.n, m.n)
	}
	w := o.scratch(1)[0]
	m.unpack(w, v, 1)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, o.q, w, 0, dense.Of(dst.RawMatrix()))
}

// longestTurn bounds the norm of a step: the Cayley map loses digits with its square.
const longestTurn = 100

func (m *Orthogonal) endpoints(dst, p Point, v []float64) (to, from *OrthogonalPoint, err error) {
	to, from = asOrthogonal(dst, m.n), asOrthogonal(p, m.n)
	if to == from {
		panic(Error("Retract: dst is the point itself"))
	}
	if err := finiteStep(v); err != nil {
		return nil, nil, err
	}
	if norm := math.Sqrt(dense.Dot(v, v)); norm > longestTurn {
		return nil, nil, &PointError{What: fmt.Sprintf("the step of norm %.4g is too long, limit %v; shorten it", norm, longestTurn)}
	}
	return to, from, nil
}

// Retract moves p to Q (I - W/2)^-1 (I + W/2), the Cayley map, which agrees with the geodesic to second order. About three products.
func (m *Orthogonal) Retract(dst, p Point, v []float64) error {
	to, from, err := m.endpoints(dst, p, v)
	if err != nil {
		return err
	}
	w := to.scratch(2)
	m.unpack(w[0], v, 0.5)
	dense.CayleyInverse(w[0], w[1], to.cayley)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 2, from.q, w[1], 0, to.q)
	dense.Axpy(-1, from.q.Data, to.q.Data)
	return nil
}

// Exp moves p along the geodesic to Q exp(W), by the eigendecomposition of -W^2: exp(W) = cos(T) + sinc(T) W with T = (-W^2)^1/2.
func (m *Orthogonal) Exp(dst, p Point, v []float64) error {
	to, from, err := m.endpoints(dst, p, v)
	if err != nil {
		return err
	}
	w := to.scratch(4)
	skew, x, r := w[0], w[1], w[2]
	m.unpack(skew, v, 1)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, skew, skew, 0, x)
	dense.Mirror(x)
	if !to.solver.Sym(x, to.values) {
		return &PointError{What: "the step overflows"}
	}
	m.rotation(r, x, skew, to, math.Cos, func(t float64) float64 {
		if t < 1e-4 {
			return 1 - t*t/6
		}
		return math.Sin(t) / t
	})
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, from.q, r, 0, to.q)
	return nil
}

// rotation sets r = even(T) + odd(T) skew with T^2 = x diag(to.values) x^T.
func (m *Orthogonal) rotation(r, x, skew dense.Matrix[float64], to *OrthogonalPoint, even, odd func(float64) float64) {
	w := to.scratch(4)[3]
	angles := to.cayley[:2*m.n]
	for i, s := range to.values {
		t := math.Sqrt(math.Max(s, 0))
		angles[i], angles[m.n+i] = even(t), odd(t)
	}
	spectralSum(r, x, angles[m.n:], w)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r, skew, 0, to.q)
	spectralSum(r, x, angles[:m.n], w)
	dense.Axpy(1, to.q.Data, r.Data)
}

// Log writes to v the shortest rotation from p to q: with Q_p^T Q_q = C + S, C symmetric and S skew, it is theta/sin(theta) at
// cos(theta) = C, times S. One eigendecomposition. Points in different components, or with a rotation by an angle within 1.5e-3 of a half
// turn between them, where the logarithm is not unique or not accurate, are a *PointError.
func (m *Orthogonal) Log(v []float64, p, q Point) error {
	from, to := asOrthogonal(p, m.n), asOrthogonal(q, m.n)
	w := from.scratch(4)
	c, s, r := w[0], w[1], w[2]
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, from.q, to.q, 0, r)
	for i := range m.n {
		for j := range m.n {
			c.Set(i, j, (r.At(i, j)+r.At(j, i))/2)
			s.Set(i, j, (r.At(i, j)-r.At(j, i))/2)
		}
	}
	if !from.solver.Sym(c, from.values) {
		return &PointError{What: "the point has a NaN or Inf entry"}
	}
	if gap := 1 + from.values[0]; !(gap > 1e-6) {
		return &PointError{What: "logarithm: the points are half a turn apart or in different components of the orthogonal group"}
	}
	for i, x := range from.values {
		from.values[i] = arcOverSine(x)
	}
	spectralSum(r, c, from.values, w[3])
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r, s, 0, c)
	m.pack(v, c)
	return finiteStep(v)
}

// arcOverSine returns theta/sin(theta) for theta in [0, pi) with cosine c.
func arcOverSine(c float64) float64 {
	sine := math.Sqrt(math.Max(0, (1-c)*(1+c)))
	switch {
	case c < 0:
		return (math.Pi - math.Asin(sine)) / sine
	case sine < 1e-4:
		return 1 + sine*sine/6
	}
	return math.Asin(min(sine, 1)) / sine
}

// Distance returns the norm of the logarithm: sqrt(2) times the root of the sum of squared angles.
func (m *Orthogonal) Distance(p, q Point) (float64, error) {
	v := make([]float64, m.VectorLen())
	if err := m.Log(v, p, q); err != nil {
		return 0, err
	}
	return math.Sqrt(dense.Dot(v, v)), nil
}

// Check verifies that p is orthogonal and removes drift by a Newton-Schulz step. One product, two with the repair.
func (m *Orthogonal) Check(p Point) error {
	if d := asOrthogonal(p, m.n).repair(); !(d <= 1e-4) {
		return &PointError{What: fmt.Sprintf("the point is not orthogonal: ||Q^T Q - I|| = %.2g", d)}
	}
	return nil
}

// RandomPoint draws from the Haar distribution on the rotations (determinant 1).
func (m *Orthogonal) RandomPoint(rng *rand.Rand) Point {
	p := newOrthogonalPoint(m.n)
	affine(m.n).RandomTangent(p.q.Data, nil, rng)
	if !p.solver.Sym(p.q, p.values) {
		panic(Error("RandomPoint: eigendecomposition of a random matrix failed"))
	}
	for j := range m.n {
		flip := rng.Uint64()&1 == 0
		if j == m.n-1 {
			flip = mat.Det(p.Q()) < 0
		}
		if flip {
			for i := range m.n {
				p.q.Set(i, j, -p.q.At(i, j))
			}
		}
	}
	return p
}

// RandomTangent fills v with a vector of unit norm, uniform in direction.
func (m *Orthogonal) RandomTangent(v []float64, _ Point, rng *rand.Rand) { randomUnit(v, rng) }
