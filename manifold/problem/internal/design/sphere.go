package design

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// Sphere is -log det M(u) with u_i = w_i^2, w on the unit sphere: the simplex without its edges. With g_i = y_i' M^-1 y_i the gradient is
// -2 w_i (g_i - d), and the Hessian along h the projection of -2 h_i (g_i - d) + 4 w_i sum_j w_j h_j (y_i' M^-1 y_j)^2. A weight of zero is
// stationary; it is a minimum only if g_i <= d there, and a start with all weights equal does not get caught.
type Sphere struct {
	s        *Design
	Manifold *manifold.Oblique
	e, l     dense.Matrix[float64]

	parts  dense.RowParts
	memo   *sphereMemo // of the passes, with what else they read and write
	w, v   []float64
	out    []float64
	passes struct{ weigh, whiten, weighRows, multiply func(part, from, to int) }
}

func newSphere(s *Design) (q *Sphere, err error) {
	d := s.y.Cols
	q = &Sphere{s: s, e: dense.New[float64](d, d), l: dense.New[float64](d, d)}
	q.passes.weigh, q.passes.whiten, q.passes.weighRows, q.passes.multiply = q.weighPart, q.whitenPart, q.weighRowsPart, q.multiplyPart
	q.Manifold, err = manifold.NewOblique(1, s.y.Rows)
	return q, err
}

type sphereMemo struct {
	g []float64
	z dense.Matrix[float64] // rows L^-1 y, M = L L'
}

// GradientScale implements solve.Scaler: the gradient of log det along the points is d.
func (q *Sphere) GradientScale(float64) float64 { return 2 * float64(q.s.y.Cols) }

// NewMemo implements solve.Memoizer.
func (q *Sphere) NewMemo() solve.Memo {
	return &sphereMemo{make([]float64, q.s.y.Rows), dense.New[float64](q.s.y.Rows, q.s.y.Cols)}
}

// Evaluate implements solve.Objective: one and a half products of the size of the points.
func (q *Sphere) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	N, d := q.s.y.Rows, q.s.y.Cols
	q.w, q.out, q.memo = p.(*manifold.UnitRows).X().RawRowView(0), grad, memo.(*sphereMemo)
	q.parts.Run(N, passRows(d), q.passes.weigh)
	dense.GemmLower(dense.Transposed, dense.NoTrans, 1, q.memo.z, q.memo.z, 0, q.l)
	if dense.Cholesky(q.l) >= 0 {
		return math.Inf(1), nil
	}
	q.parts.Run(N, productRows(N, d), q.passes.whiten)
	q.Manifold.Project(p, grad)
	return -dense.LogDetSquare(q.l) - q.s.unit, nil
}

// weighPart sets rows of z to w y.
func (q *Sphere) weighPart(_, from, to int) {
	for i := from; i < to; i++ {
		dense.Scale(q.w[i], q.s.y.Row(i), q.memo.z.Row(i))
	}
}

// whitenPart sets rows of z to L^-1 y, with what follows of g and the gradient.
func (q *Sphere) whitenPart(_, from, to int) {
	d := q.s.y.Cols
	z := q.memo.z.View(from, 0, to-from, d)
	z.Copy(q.s.y.View(from, 0, to-from, d))
	dense.SolveLowerRight(dense.Transposed, q.l, z)
	dense.RowDots(z, z, q.memo.g[from:to])
	for i := from; i < to; i++ {
		q.out[i] = -2 * q.w[i] * (q.memo.g[i] - float64(d))
	}
}

// HessianVec implements solve.Hessian: one and a half products of the size of the points.
func (q *Sphere) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	N, d := q.s.y.Rows, q.s.y.Cols
	q.w, q.v, q.out, q.memo = p.(*manifold.UnitRows).X().RawRowView(0), v, dst, memo.(*sphereMemo)
	q.parts.Run(N, passRows(d), q.passes.weighRows)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, q.memo.z, q.s.rest, 0, q.e)
	dense.Mirror(q.e)
	q.parts.Run(N, productRows(N, d), q.passes.multiply)
	q.Manifold.Project(p, dst)
	return nil
}

// weighRowsPart sets scratch rows to 4 w v z.
func (q *Sphere) weighRowsPart(_, from, to int) {
	for i := from; i < to; i++ {
		dense.Scale(4*q.w[i]*q.v[i], q.memo.z.Row(i), q.s.rest.Row(i))
	}
}

// multiplyPart sets elements of a Hessian product from e.
func (q *Sphere) multiplyPart(_, from, to int) {
	d := q.s.y.Cols
	z, products := q.memo.z.View(from, 0, to-from, d), q.s.rest.View(from, 0, to-from, d)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, z, q.e, 0, products)
	dense.RowDots(products, z, q.out[from:to])
	for i := from; i < to; i++ {
		q.out[i] = -2*q.v[i]*(q.memo.g[i]-float64(d)) + q.w[i]*q.out[i]
	}
}

// OnSphere returns the negative log det M over the sphere and the point of equal weights.
func (s *Design) OnSphere() (*Sphere, *manifold.UnitRows, error) {
	q, err := newSphere(s)
	if err != nil {
		return nil, nil, err
	}
	N := s.y.Rows
	start, err := manifold.NewUnitRows(mat.NewDense(1, N, slices.Repeat([]float64{1}, N)))
	return q, start, err
}

// Finish makes the end of a run on the sphere the weights, and completes its result. Weights only approach zero on the sphere: those of points that no optimum can use are
// dropped.
func (q *Sphere) Finish(r *solve.Result) (gap float64, err error) {
	s := q.s
	for i, w := range r.Point.(*manifold.UnitRows).X().RawRowView(0) {
		s.u[i] = w * w
	}
	if _, err := s.refresh(); err != nil {
		return 0, err
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
		return 0, err
	}
	r.Objective = -logDet
	gap, r.Certificate = s.certify()
	return gap, nil
}
