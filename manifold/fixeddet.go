package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// FixedDetOptions configures NewFixedDet; the zero value is the default.
type FixedDetOptions struct {
	// LogDet is the logarithm of the determinant; the default 0 is determinant 1.
	LogDet float64
	// Affine configures the surrounding manifold. SweepStep is not supported.
	Affine AffineOptions
}

// Validate returns an error that names the first field that is out of range.
func (o FixedDetOptions) Validate() error {
	switch {
	case o.LogDet-o.LogDet != 0:
		return fmt.Errorf("manifold: LogDet is %v, want a finite number", o.LogDet)
	case o.Affine.Retraction == SweepStep:
		return fmt.Errorf("manifold: the space with fixed determinant does not support SweepStep")
	}
	return o.Affine.Validate()
}

// FixedDet is the manifold of n x n SPD matrices with a given determinant and the affine-invariant metric. It is a totally geodesic
// hypersurface of Affine: geodesics, logarithms, distances, means and parallel transport are those of Affine, and stay inside. Points are
// *Frame; tangent vectors are whitened symmetric matrices of trace zero. After each step the frame is scaled to the exact determinant, a
// correction of the order of the retraction's own error.
type FixedDet struct {
	Affine
	logDet float64
}

var (
	_ Matrices        = (*FixedDet)(nil)
	_ Exponential     = (*FixedDet)(nil)
	_ Logarithm       = (*FixedDet)(nil)
	_ Distancer       = (*FixedDet)(nil)
	_ RandomTangenter = (*FixedDet)(nil)
	_ Checker         = (*FixedDet)(nil)
	_ Completer       = (*FixedDet)(nil)
	_ FreeTransporter = (*FixedDet)(nil)
	_ Whitened        = (*FixedDet)(nil)
)

var fixedDeterminant = Space{
	Name: "fixed-determinant",
	What: "n x n SPD matrices of one determinant, affine-invariant; an instance has determinant 1",
	New:  func(n int) (Manifold, error) { return NewFixedDet(n, FixedDetOptions{}) },
}

// NewFixedDet returns the manifold of n x n SPD matrices with a fixed determinant; n must be at least 2.
func NewFixedDet(n int, o FixedDetOptions) (*FixedDet, error) {
	if n < 2 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 2: a 1 x 1 matrix is its determinant", n)
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	a, err := NewAffine(n, o.Affine)
	if err != nil {
		return nil, err
	}
	return &FixedDet{*a, o.LogDet}, nil
}

// LogDet returns the logarithm of the determinant.
func (m *FixedDet) LogDet() float64 { return m.logDet }

// Project removes the trace of the whitened vector v, in place: the orthogonal projection onto the tangent space.
func (m *FixedDet) Project(v []float64) {
	w := dense.Wrap(m.n, m.n, v)
	var trace float64
	for i := range m.n {
		trace += w.At(i, i)
	}
	for i := range m.n {
		w.Set(i, i, w.At(i, i)-trace/float64(m.n))
	}
}

// scaled scales f to the determinant.
func (m *FixedDet) scaled(f *Frame) {
	c := math.Exp((m.logDet - f.logDet) / float64(2*m.n))
	x, y := f.f.RawMatrix().Data, f.inv.RawMatrix().Data
	dense.Scale(c, x, x)
	dense.Scale(1/c, y, y)
	f.logDet = m.logDet
}

// PointOf returns the frame of s, whose log determinant must be that of the manifold to 1e-8 n; the rest is scaled away.
func (m *FixedDet) PointOf(s mat.Symmetric) (Point, error) {
	p, err := m.Affine.PointOf(s)
	if err != nil {
		return nil, err
	}
	f := p.(*Frame)
	if !(math.Abs(f.logDet-m.logDet) <= 1e-8*float64(m.n)) {
		return nil, &PointError{What: fmt.Sprintf("the log determinant is %.10g, want %.10g; multiply the matrix by %.10g", f.logDet, m.logDet,
			math.Exp((m.logDet-f.logDet)/float64(m.n)))}
	}
	m.scaled(f)
	return f, nil
}

// Retract moves p along v by the retraction chosen in the options and scales the result.
func (m *FixedDet) Retract(dst, p Point, v []float64) error {
	if err := m.Affine.Retract(dst, p, v); err != nil {
		return err
	}
	m.scaled(asFrame(dst, m.n))
	return nil
}

// Exp moves p along the geodesic.
func (m *FixedDet) Exp(dst, p Point, v []float64) error {
	if err := m.Affine.Exp(dst, p, v); err != nil {
		return err
	}
	m.scaled(asFrame(dst, m.n))
	return nil
}

// Gradient writes to v the Riemannian gradient of a function whose Euclidean gradient at S is g, the projection of the one on Affine.
func (m *FixedDet) Gradient(v []float64, p Point, g mat.Matrix) {
	m.Affine.Gradient(v, p, g)
	m.Project(v)
}

// FromWhitened overwrites the whitened differential w by the Riemannian gradient.
func (m *FixedDet) FromWhitened(p *Frame, w []float64) {
	m.Affine.FromWhitened(p, w)
	m.Project(w)
}

// Whiten writes to v the coordinates of the orthogonal projection of the symmetric matrix xi at p onto the tangent space.
func (m *FixedDet) Whiten(v []float64, p Point, xi mat.Symmetric) {
	m.Affine.Whiten(v, p, xi)
	m.Project(v)
}

// RandomPoint scales a random point of Affine.
func (m *FixedDet) RandomPoint(rng *rand.Rand) Point {
	f := m.Affine.RandomPoint(rng).(*Frame)
	m.scaled(f)
	return f
}

// RandomTangent projects a random vector of Affine and scales it to unit norm.
func (m *FixedDet) RandomTangent(v []float64, p Point, rng *rand.Rand) {
	m.Affine.RandomTangent(v, p, rng)
	m.Project(v)
	dense.Scale(1/math.Sqrt(m.Inner(p, v, v)), v, v)
}
