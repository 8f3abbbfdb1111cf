package problem

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// designSphere is -log det M(u) with u_i = w_i^2, w on the unit sphere: the simplex without its edges. With g_i = y_i' M^-1 y_i the gradient is
// -2 w_i (g_i - d), and the Hessian along h the projection of -2 h_i (g_i - d) + 4 w_i sum_j w_j h_j (y_i' M^-1 y_j)^2. A weight of zero is
// stationary; it is a minimum only if g_i <= d there, and a start with all weights equal does not get caught.
type designSphere struct {
	s      *design
	sphere *manifold.Oblique
	e, l   dense.Matrix[float64]
}

type designMemo struct {
	g []float64
	z dense.Matrix[float64] // rows L^-1 y, M = L L'
}

// GradientScale implements solve.Scaler: the gradient of log det along the points is d.
func (q *designSphere) GradientScale(float64) float64 { return 2 * float64(q.s.y.Cols) }

// NewMemo implements solve.Memoizer.
func (q *designSphere) NewMemo() solve.Memo {
	return &designMemo{make([]float64, q.s.y.Rows), dense.New[float64](q.s.y.Rows, q.s.y.Cols)}
}

// Evaluate implements solve.Objective: one and a half products of the size of the points.
func (q *designSphere) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	w, m, d := p.(*manifold.UnitRows).X().RawRowView(0), memo.(*designMemo), float64(q.s.y.Cols)
	l, z := q.l, m.z
	for i, x := range w {
		dense.Scale(x, q.s.y.Row(i), z.Row(i))
	}
	dense.GemmLower(dense.Transposed, dense.NoTrans, 1, z, z, 0, l)
	if dense.Cholesky(l) >= 0 {
		return math.Inf(1), nil
	}
	cost := -logDetSquare(l) - q.s.unit
	z.Copy(q.s.y)
	dense.SolveLowerRight(dense.Transposed, l, z)
	for i, x := range w {
		m.g[i] = dense.Dot(z.Row(i), z.Row(i))
		grad[i] = -2 * x * (m.g[i] - d)
	}
	q.sphere.Project(p, grad)
	return cost, nil
}

// HessianVec implements solve.Hessian: two products of the size of the points.
func (q *designSphere) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	w, m, d := p.(*manifold.UnitRows).X().RawRowView(0), memo.(*designMemo), float64(q.s.y.Cols)
	scaled := q.s.rest
	for i, x := range w {
		dense.Scale(4*x*v[i], m.z.Row(i), scaled.Row(i))
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, m.z, scaled, 0, q.e)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.z, q.e, 0, scaled)
	for i, x := range w {
		dst[i] = -2*v[i]*(m.g[i]-d) + x*dense.Dot(scaled.Row(i), m.z.Row(i))
	}
	q.sphere.Project(p, dst)
	return nil
}

// maximizeOnSphere is maximize by a Riemannian trust region. Weights only approach zero on the sphere: those of points that no optimum can use are
// dropped at the end.
func (s *design) maximizeOnSphere(o *Options) (r *solve.Result, gap float64, err error) {
	N, d := s.y.Rows, s.y.Cols
	q := &designSphere{s: s, e: dense.New[float64](d, d), l: dense.New[float64](d, d)}
	if q.sphere, err = manifold.NewOblique(1, N); err != nil {
		return nil, 0, err
	}
	start, err := manifold.NewUnitRows(mat.NewDense(1, N, ones[float64](N)))
	if err != nil {
		return nil, 0, err
	}
	if r, err = solve.Trust(q.sphere, q, start, &o.Solver); err != nil {
		return nil, 0, err
	}
	for i, w := range r.Point.(*manifold.UnitRows).X().RawRowView(0) {
		s.u[i] = w * w
	}
	if _, err := s.refresh(); err != nil {
		return nil, 0, err
	}
	floor, sum := s.floor(), 0.0
	for i, g := range s.g {
		if g < floor {
			s.u[i] = 0
		}
		sum += s.u[i]
	}
	dense.Scale(1/sum, s.u, s.u)
	logDet, err := s.refresh()
	if err != nil {
		return nil, 0, err
	}
	r.Objective = -logDet
	gap, r.Certificate = s.certify()
	return r, gap, nil
}
