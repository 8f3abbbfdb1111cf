package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
)

// PositivePoint is a vector of positive numbers, the point type of Positive.
type PositivePoint struct{ X []float64 }

var _ Point = (*PositivePoint)(nil)

// NewPositivePoint returns the point of x, which is copied. An element that is not positive and finite is a *PointError.
func NewPositivePoint(x []float64) (*PositivePoint, error) {
	p := &PositivePoint{X: append([]float64(nil), x...)}
	if len(x) == 0 {
		return nil, &PointError{What: "the vector is empty"}
	}
	return p, p.check()
}

func (p *PositivePoint) check() error {
	for i, x := range p.X {
		if !(x > 0) || math.IsInf(x, 1) {
			return &PointError{What: fmt.Sprintf("element %d is %v, want a positive number", i, x)}
		}
	}
	return nil
}

// Clone returns a deep copy.
func (p *PositivePoint) Clone() Point { return &PositivePoint{X: append([]float64(nil), p.X...)} }

// CopyFrom overwrites the receiver with q, which must be a *PositivePoint of the same length.
func (p *PositivePoint) CopyFrom(q Point) { copy(p.X, asPositive(q, len(p.X)).X) }

func asPositive(p Point, n int) *PositivePoint {
	x, ok := p.(*PositivePoint)
	if !ok || len(x.X) != n {
		panic(Error(fmt.Sprintf("the point is not a *PositivePoint with %d elements", n)))
	}
	return x
}

// Positive is the manifold of vectors of n positive numbers with the metric sum u_i v_i / x_i^2: SPD diagonal matrices under the affine-invariant
// metric. Points are *PositivePoint, the coordinates of u are u_i / x_i. Flat and complete; every operation takes n operations.
type Positive struct{ n int }

var (
	_ Manifold        = (*Positive)(nil)
	_ Exponential     = (*Positive)(nil)
	_ Logarithm       = (*Positive)(nil)
	_ Distancer       = (*Positive)(nil)
	_ RandomTangenter = (*Positive)(nil)
	_ Checker         = (*Positive)(nil)
	_ FreeTransporter = (*Positive)(nil)
)

var positive = Space{
	Name: "positive",
	What: "vectors of n positive numbers, sum u_i v_i / x_i^2",
	New:  func(n int) (Manifold, error) { return NewPositive(n) },
}

// NewPositive returns the manifold of vectors of n positive numbers.
func NewPositive(n int) (*Positive, error) {
	if n < 1 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 1", n)
	}
	return &Positive{n}, nil
}

// VectorLen returns n.
func (m *Positive) VectorLen() int { return m.n }

// Inner returns the dot product of the coordinates.
func (m *Positive) Inner(_ Point, u, v []float64) float64 { return dense.Dot(u, v) }

// Transport keeps the coordinates, which is parallel transport.
func (m *Positive) Transport(_, _ Point, _ []float64) {}

// FreeTransport reports true.
func (m *Positive) FreeTransport() bool { return true }

// Gradient writes to v the Riemannian gradient x_i g_i of a function whose Euclidean gradient at p is g.
func (m *Positive) Gradient(v []float64, p Point, g []float64) {
	for i, x := range asPositive(p, m.n).X {
		v[i] = x * g[i]
	}
}

// Exp moves p along the geodesic: x_i exp(v_i). An element that overflows or vanishes is a *PointError.
func (m *Positive) Exp(dst, p Point, v []float64) error {
	to, from := asPositive(dst, m.n), asPositive(p, m.n)
	if to == from {
		panic(Error("Retract: dst is the point itself"))
	}
	if err := finiteStep(v); err != nil {
		return err
	}
	for i, x := range from.X {
		to.X[i] = x * math.Exp(v[i])
	}
	if err := to.check(); err != nil {
		return &PointError{What: "the step is too long, shorten it: " + err.Error()}
	}
	return nil
}

// Retract is Exp.
func (m *Positive) Retract(dst, p Point, v []float64) error { return m.Exp(dst, p, v) }

// Log writes log(y_i / x_i) to v.
func (m *Positive) Log(v []float64, p, q Point) error {
	y := asPositive(q, m.n).X
	for i, x := range asPositive(p, m.n).X {
		v[i] = math.Log(y[i]) - math.Log(x)
		if r := y[i] / x; r > 0.5 && r < 2 {
			v[i] = math.Log1p((y[i] - x) / x)
		}
	}
	return finiteStep(v)
}

// Distance returns the norm of log(y_i / x_i).
func (m *Positive) Distance(p, q Point) (float64, error) {
	v := make([]float64, m.n)
	if err := m.Log(v, p, q); err != nil {
		return 0, err
	}
	return math.Sqrt(dense.Dot(v, v)), nil
}

// Check verifies that every element is positive and finite.
func (m *Positive) Check(p Point) error { return asPositive(p, m.n).check() }

// RandomPoint draws log-normal numbers.
func (m *Positive) RandomPoint(rng *rand.Rand) Point {
	p := &PositivePoint{X: make([]float64, m.n)}
	for i := range p.X {
		p.X[i] = math.Exp(rng.NormFloat64())
	}
	return p
}

// RandomTangent fills v with a vector of unit norm, uniform in direction.
func (m *Positive) RandomTangent(v []float64, _ Point, rng *rand.Rand) { randomUnit(v, rng) }
