package manifold

import (
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// Interval is the set of the SPD matrices S with f(L) <= f(S) <= f(U) in the order of symmetric matrices, for the function f of a flat metric: the identity of
// the Euclidean one, so that L <= S <= U, the logarithm of LogEuclidean, S^a/a of PowerEuclidean. It is convex along the geodesics of that metric, and its extreme
// points in any direction have a closed form, which Frank-Wolfe methods need. Source of the form: Weber and Sra, Math. Program. 199 (2023) 525-556, section 4.
// (The closed form for the affine-invariant metric that is given there is not the minimizer in general, so there is none here: TestAffineOracle.)
type Interval struct {
	m            *flat
	lower, upper Point
	width        dense.Matrix[float64] // C lower triangular, C C^T = f(U) - f(L)
	g, t         dense.Matrix[float64]
	v, values    []float64
	solver       eigen.Solver
}

// NewInterval returns the interval of lower and upper in a metric, which must be a *PowerEuclidean or a *LogEuclidean. f(lower) must be below f(upper): their
// difference positive definite.
func NewInterval(m Matrices, lower, upper mat.Symmetric) (*Interval, error) {
	var f *flat
	switch k := m.(type) {
	case *PowerEuclidean:
		f = &k.flat
	case *LogEuclidean:
		f = &k.flat
	default:
		return nil, fmt.Errorf("manifold: an interval needs a power-Euclidean or the log-Euclidean metric, not %T", m)
	}
	s := &Interval{m: f, g: dense.New[float64](f.n, f.n), t: dense.New[float64](f.n, f.n), v: make([]float64, f.n*f.n), values: make([]float64, f.n)}
	var err1, err2 error
	s.lower, err1 = m.PointOf(lower)
	s.upper, err2 = m.PointOf(upper)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := f.Log(s.v, s.lower, s.upper); err != nil {
		return nil, err
	}
	width, err := NewFrame(mat.NewSymDense(f.n, s.v))
	if err != nil {
		return nil, fmt.Errorf("manifold: the lower end is not below the upper one: their difference is %w", err)
	}
	s.width = dense.New[float64](f.n, f.n)
	for i := range f.n {
		copy(s.width.Row(i)[:i+1], width.matrix().Row(i))
	}
	return s, nil
}

// Ends returns copies of the ends as points.
func (s *Interval) Ends() (lower, upper Point) { return s.lower.Clone(), s.upper.Clone() }

// Extreme writes to dst the point z of the interval for which the inner product of grad, a tangent vector in the coordinates of the metric, with f(z) is least:
// f(z) = f(L) + C P C^T with the projector P on the eigenvectors of C^T grad C with negative eigenvalues. Two eigendecompositions and about six products.
func (s *Interval) Extreme(dst Point, grad []float64) error {
	n := s.m.n
	if err := finiteStep(grad); err != nil {
		return err
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, dense.Wrap(n, n, grad), s.width, 0, s.t)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, s.width, s.t, 0, s.g)
	for i := range n {
		for j := range i {
			v := (s.g.At(i, j) + s.g.At(j, i)) / 2
			s.g.Set(i, j, v)
			s.g.Set(j, i, v)
		}
	}
	if !s.solver.Sym(s.g, s.values) {
		return &PointError{What: "the gradient overflows over the width of the interval"}
	}
	down := 0
	for down < n && s.values[down] < 0 {
		down++
	}
	vectors := s.g.View(0, 0, n, down)
	moved := s.t.View(0, 0, n, down)
	out := dense.Wrap(n, n, s.v)
	clear(s.v)
	if down > 0 {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.width, vectors, 0, moved)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, moved, moved, 0, out)
		dense.Mirror(out)
	}
	return s.m.Exp(dst, s.lower, s.v)
}
