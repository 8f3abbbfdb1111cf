package manifold

import (
	"encoding"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
)

// UnitRows is a matrix whose rows have length 1, the point type of Oblique. Create one with NewUnitRows.
type UnitRows struct{ x dense.Matrix[float64] }

var (
	_ Point                      = (*UnitRows)(nil)
	_ encoding.BinaryMarshaler   = (*UnitRows)(nil)
	_ encoding.BinaryUnmarshaler = (*UnitRows)(nil)
)

// NewUnitRows returns the point of x with its rows scaled to length 1. A row that is zero or not finite is a *PointError.
func NewUnitRows(x mat.Matrix) (*UnitRows, error) {
	if absent.Matrix(x) {
		return nil, errNil
	}
	k, n := x.Dims()
	p := &UnitRows{x: dense.New[float64](k, n)}
	for i := range k {
		for j := range n {
			p.x.Set(i, j, x.At(i, j))
		}
	}
	return p, p.repair()
}

// repair scales the rows to length 1.
func (p *UnitRows) repair() error {
	for i := range p.x.Rows {
		row := p.x.Row(i)
		norm := math.Sqrt(dense.Dot(row, row))
		if !(norm > 0) || math.IsInf(norm, 1) {
			return &PointError{What: fmt.Sprintf("row %d has length %v, want a positive finite one", i, norm)}
		}
		dense.Scale(1/norm, row, row)
	}
	return nil
}

// X returns a view of the matrix; it must not be written to.
func (p *UnitRows) X() *mat.Dense { return mat.NewDense(p.x.Rows, p.x.Cols, p.x.Data) }

// Clone returns a deep copy.
func (p *UnitRows) Clone() Point { return &UnitRows{p.x.Clone()} }

// CopyFrom overwrites the receiver with q, which must be a *UnitRows of the same shape.
func (p *UnitRows) CopyFrom(q Point) { p.x.Copy(asUnitRows(q, p.x.Rows, p.x.Cols).x) }

func asUnitRows(p Point, k, n int) *UnitRows {
	u, ok := p.(*UnitRows)
	if !ok || u.x.Rows != k || u.x.Cols != n {
		panic(Error(fmt.Sprintf("the point is not a *UnitRows of shape %dx%d", k, n)))
	}
	return u
}

const unitRowsMagic = "SPDROW1\n"

// MarshalBinary returns the point exactly as it is stored: 8 k n bytes and a header.
func (p *UnitRows) MarshalBinary() ([]byte, error) {
	return marshalNumbers(unitRowsMagic, p.x.Rows, p.x.Data), nil
}

// UnmarshalBinary replaces p by the point in data, which must have the shape of p; data that are no such point are a *PointError, which leaves p alone.
func (p *UnitRows) UnmarshalBinary(data []byte) error {
	_, v, err := unmarshalNumbers(unitRowsMagic, data, func(k int) int {
		if k != p.x.Rows {
			return -1
		}
		return len(p.x.Data)
	})
	if err != nil {
		return err
	}
	x := dense.Wrap(p.x.Rows, p.x.Cols, v)
	for i := range x.Rows {
		if q := dense.Dot(x.Row(i), x.Row(i)); !(math.Abs(q-1) <= 1e-8) {
			return &PointError{What: fmt.Sprintf("row %d of the binary point has squared length %v", i, q)}
		}
	}
	p.x = x
	return nil
}

// Oblique is the product of k unit spheres in R^n, the matrices with rows of length 1, with the metric sum u_ij v_ij. Points are *UnitRows, the
// coordinates of a tangent vector its entries, row by row; each row of a tangent vector is orthogonal to that of the point. Correlation matrices
// are X X^T, weights on the simplex the squares of a single row. Steps follow great circles, transport is parallel along them; every operation
// takes k n operations. Curvature is positive: geodesics are shortest only up to a half turn of each row.
type Oblique struct{ k, n int }

var (
	_ Manifold        = (*Oblique)(nil)
	_ Exponential     = (*Oblique)(nil)
	_ Logarithm       = (*Oblique)(nil)
	_ Distancer       = (*Oblique)(nil)
	_ RandomTangenter = (*Oblique)(nil)
	_ Checker         = (*Oblique)(nil)
)

var oblique = Space{
	Name: "oblique",
	What: "k x n matrices with rows of length 1, sum u_ij v_ij; an instance is n x n, n at least 2: the factors of correlation matrices",
	New:  func(n int) (Manifold, error) { return NewOblique(n, n) },
}

// NewOblique returns the manifold of k x n matrices with unit rows; n is at least 2.
func NewOblique(k, n int) (*Oblique, error) {
	if k < 1 || n < 2 {
		return nil, fmt.Errorf("manifold: the shape is %dx%d, want at least 1x2", k, n)
	}
	return &Oblique{k, n}, nil
}

// VectorLen returns k n.
func (m *Oblique) VectorLen() int { return m.k * m.n }

// Inner returns the dot product of the entries.
func (m *Oblique) Inner(_ Point, u, v []float64) float64 { return dense.Dot(u, v) }

// Project takes from every row of v its part along the row of p, which turns a Euclidean gradient into the Riemannian one.
func (m *Oblique) Project(p Point, v []float64) {
	x := asUnitRows(p, m.k, m.n).x
	for i := range m.k {
		row := v[i*m.n : (i+1)*m.n]
		dense.Axpy(-dense.Dot(x.Row(i), row), x.Row(i), row)
	}
}

// Exp moves every row along the great circle that leaves it with the velocity of v: cos(t) x + sin(t)/t v, t = |v|. More than a
// half turn is a *PointError.
func (m *Oblique) Exp(dst, p Point, v []float64) error {
	to, from := asUnitRows(dst, m.k, m.n).x, asUnitRows(p, m.k, m.n).x
	if &to.Data[0] == &from.Data[0] {
		panic(Error("Retract: dst is the point itself"))
	}
	if err := finiteStep(v); err != nil {
		return err
	}
	for i := range m.k {
		u, row := v[i*m.n:(i+1)*m.n], to.Row(i)
		t := math.Sqrt(dense.Dot(u, u))
		if t > math.Pi {
			return &PointError{What: fmt.Sprintf("row %d turns by %.3g, more than a half turn: shorten the step", i, t)}
		}
		sine := 1.0
		if t > 0 {
			sine = math.Sin(t) / t
		}
		dense.Scale(math.Cos(t), from.Row(i), row)
		dense.Axpy(sine, u, row)
	}
	return dst.(*UnitRows).repair()
}

// Retract is Exp.
func (m *Oblique) Retract(dst, p Point, v []float64) error { return m.Exp(dst, p, v) }

// Log writes the shortest tangent vector at p whose geodesic reaches q. Rows that are opposite have none, which is a *PointError.
func (m *Oblique) Log(v []float64, p, q Point) error {
	x, y := asUnitRows(p, m.k, m.n).x, asUnitRows(q, m.k, m.n).x
	for i := range m.k {
		row := v[i*m.n : (i+1)*m.n]
		copy(row, y.Row(i))
		dense.Axpy(-dense.Dot(x.Row(i), y.Row(i)), x.Row(i), row)
		dense.Axpy(-dense.Dot(x.Row(i), row), x.Row(i), row)
		sine := math.Sqrt(dense.Dot(row, row))
		t := angle(x.Row(i), y.Row(i))
		if t > math.Pi-1e-7 {
			return &PointError{What: fmt.Sprintf("rows %d are opposite: no shortest path between them", i)}
		}
		if sine > 0 {
			dense.Scale(t/sine, row, row)
		}
	}
	return nil
}

// angle returns the angle between unit vectors, accurate for small and for large ones (Kahan's formula).
func angle(x, y []float64) float64 {
	var minus, plus float64
	for i, a := range x {
		minus += (a - y[i]) * (a - y[i])
		plus += (a + y[i]) * (a + y[i])
	}
	return 2 * math.Atan2(math.Sqrt(minus), math.Sqrt(plus))
}

// Distance returns the root of the sum of the squared angles between the rows.
func (m *Oblique) Distance(p, q Point) (float64, error) {
	x, y := asUnitRows(p, m.k, m.n).x, asUnitRows(q, m.k, m.n).x
	var sum float64
	for i := range m.k {
		t := angle(x.Row(i), y.Row(i))
		sum += t * t
	}
	return math.Sqrt(sum), nil
}

// Transport carries every row of v along the shorter great circle, which is parallel transport.
func (m *Oblique) Transport(from, to Point, v []float64) {
	x, y := asUnitRows(from, m.k, m.n).x, asUnitRows(to, m.k, m.n).x
	for i := range m.k {
		a, b, row := x.Row(i), y.Row(i), v[i*m.n:(i+1)*m.n]
		s := -dense.Dot(b, row) / max(1+dense.Dot(a, b), 1e-12)
		dense.Axpy(s, a, row)
		dense.Axpy(s, b, row)
	}
}

// Check scales the rows to length 1 again; a row that is zero or not finite is a *PointError.
func (m *Oblique) Check(p Point) error { return asUnitRows(p, m.k, m.n).repair() }

// RandomPoint draws rows uniformly from the sphere.
func (m *Oblique) RandomPoint(rng *rand.Rand) Point {
	p := &UnitRows{dense.New[float64](m.k, m.n)}
	for i := range m.k {
		randomUnit(p.x.Row(i), rng)
	}
	return p
}

// RandomTangent fills v with a vector of unit norm, uniform in direction.
func (m *Oblique) RandomTangent(v []float64, p Point, rng *rand.Rand) {
	randomUnit(v, rng)
	m.Project(p, v)
	m.Project(p, v)
	dense.Scale(1/math.Sqrt(dense.Dot(v, v)), v, v)
}
