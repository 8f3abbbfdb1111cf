package manifold

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
)

// MetricByName returns the metric of Metrics with the given name; an unknown name is an error that lists the names.
func MetricByName(name string) (Metric, error) {
	var names []string
	for _, g := range Metrics() {
		if g.Name == name {
			return g, nil
		}
		names = append(names, g.Name)
	}
	return Metric{}, fmt.Errorf("manifold: no metric %q, want one of %s", name, strings.Join(names, ", "))
}

// calculus is a manifold of SPD matrices with everything that the functions on matrices need.
type calculus interface {
	Matrices
	Exponential
	Logarithm
	Distancer
}

// with returns the manifold for matrices like ms[0] and the points of ms.
func (g Metric) with(ms ...mat.Symmetric) (calculus, []Point, error) {
	if len(ms) == 0 {
		return nil, nil, fmt.Errorf("manifold: no matrices were given")
	}
	if k := absent.First(ms); k >= 0 {
		return nil, nil, fmt.Errorf("manifold: matrix %d: %w", k, errNil)
	}
	mf, err := g.New(ms[0].SymmetricDim())
	if err != nil {
		return nil, nil, err
	}
	m, ok := mf.(calculus)
	if !ok {
		return nil, nil, fmt.Errorf("manifold: metric %s has no functions on matrices", g.Name)
	}
	points := make([]Point, len(ms))
	for i, s := range ms {
		if points[i], err = m.PointOf(s); err != nil {
			return nil, nil, fmt.Errorf("manifold: matrix %d: %w", i, err)
		}
	}
	return m, points, nil
}

// tangentRows demands a tangent matrix of n rows.
func tangentRows(xi mat.Symmetric, n int) error {
	if absent.Matrix(xi) {
		return errors.New("manifold: the tangent matrix is nil")
	}
	if r := xi.SymmetricDim(); r != n {
		return fmt.Errorf("manifold: the tangent matrix has %d rows, want %d", r, n)
	}
	return nil
}

// tangent returns the coordinates of the tangent matrix xi at p.
func tangent(m calculus, p Point, xi mat.Symmetric, n int) ([]float64, error) {
	if err := tangentRows(xi, n); err != nil {
		return nil, err
	}
	v := make([]float64, m.VectorLen())
	m.Whiten(v, p, xi)
	return v, nil
}

func matrixOf(m Matrices, p Point) *mat.SymDense {
	var s mat.SymDense
	m.MatrixOf(&s, p)
	return &s
}

// Inner returns the inner product at the SPD matrix s of the tangent matrices x and y.
func (g Metric) Inner(s, x, y mat.Symmetric) (float64, error) {
	m, p, err := g.with(s)
	if err != nil {
		return 0, err
	}
	n := s.SymmetricDim()
	u, err := tangent(m, p[0], x, n)
	if err != nil {
		return 0, err
	}
	v, err := tangent(m, p[0], y, n)
	if err != nil {
		return 0, err
	}
	inner := m.Inner(p[0], u, v)
	if math.IsNaN(inner) || math.IsInf(inner, 0) {
		return 0, fmt.Errorf("manifold: the inner product is %v; check the tangent matrices for NaN or Inf", inner)
	}
	return inner, nil
}

// Distance returns the geodesic distance between two SPD matrices of the same size. A matrix that is not SPD is an error.
func (g Metric) Distance(a, b mat.Symmetric) (float64, error) {
	m, p, err := g.with(a, b)
	if err != nil {
		return 0, err
	}
	return m.Distance(p[0], p[1])
}

// Log returns the tangent matrix xi at a for which Exp(a, xi) = b.
func (g Metric) Log(a, b mat.Symmetric) (*mat.SymDense, error) {
	m, p, err := g.with(a, b)
	if err != nil {
		return nil, err
	}
	v := make([]float64, m.VectorLen())
	if err := m.Log(v, p[0], p[1]); err != nil {
		return nil, err
	}
	var xi mat.SymDense
	m.Embed(&xi, p[0], v)
	return &xi, nil
}

// Exp returns the end of the geodesic that leaves the SPD matrix a with velocity xi. A velocity that is not finite is a *StepError, one that
// leaves the cone or the domain of the exponential a *PointError.
func (g Metric) Exp(a, xi mat.Symmetric) (*mat.SymDense, error) {
	m, p, err := g.with(a)
	if err != nil {
		return nil, err
	}
	v, err := tangent(m, p[0], xi, a.SymmetricDim())
	if err != nil {
		return nil, err
	}
	return g.move(m, p[0], v)
}

// move returns the matrix at the end of the geodesic from p with velocity v.
func (g Metric) move(m calculus, p Point, v []float64) (*mat.SymDense, error) {
	q := p.Clone()
	if err := m.Exp(q, p, v); err != nil {
		return nil, fmt.Errorf("manifold: %w", err)
	}
	if err := complete(m, q); err != nil {
		return nil, fmt.Errorf("manifold: %w", err)
	}
	return matrixOf(m, q), nil
}

// Geodesic returns the point at time t on the geodesic from a (t = 0) to b (t = 1). t outside [0, 1] continues it, as far as the metric allows.
func (g Metric) Geodesic(a, b mat.Symmetric, t float64) (*mat.SymDense, error) {
	m, p, err := g.with(a, b)
	if err != nil {
		return nil, err
	}
	v := make([]float64, m.VectorLen())
	if err := m.Log(v, p[0], p[1]); err != nil {
		return nil, err
	}
	for i := range v {
		v[i] *= t
	}
	return g.move(m, p[0], v)
}

// Transport carries the tangent matrix xi from a to b by the isometric transport of the metric: parallel transport along the geodesic, for
// bures-wasserstein the transport that keeps the coordinates, see Bures.
func (g Metric) Transport(a, b, xi mat.Symmetric) (*mat.SymDense, error) {
	m, p, err := g.with(a, b)
	if err != nil {
		return nil, err
	}
	v := make([]float64, m.VectorLen())
	if err := m.Log(v, p[0], p[1]); err != nil {
		return nil, err
	}
	if err := m.Exp(p[1], p[0], v); err != nil {
		return nil, fmt.Errorf("manifold: %w", err)
	}
	if v, err = tangent(m, p[0], xi, a.SymmetricDim()); err != nil {
		return nil, err
	}
	m.Transport(p[0], p[1], v)
	var out mat.SymDense
	m.Embed(&out, p[1], v)
	return &out, nil
}

// Mean returns the weighted Frechet mean of SPD matrices with the default options of the function Mean; nil weights are equal.
func (g Metric) Mean(ms []mat.Symmetric, weights []float64) (*mat.SymDense, error) {
	return g.average(Mean, ms, weights)
}

// Median returns the weighted geometric median of SPD matrices with the default options of the function Median; nil weights are equal.
func (g Metric) Median(ms []mat.Symmetric, weights []float64) (*mat.SymDense, error) {
	return g.average(Median, ms, weights)
}

func (g Metric) average(of func(Manifold, []Point, []float64, MeanOptions) (Point, MeanReport, error), ms []mat.Symmetric,
	weights []float64) (*mat.SymDense, error) {
	m, points, err := g.with(ms...)
	if err != nil {
		return nil, err
	}
	p, _, err := of(m, points, weights, MeanOptions{})
	if err != nil {
		return nil, err
	}
	return matrixOf(m, p), nil
}
