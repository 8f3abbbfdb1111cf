package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var riccati = Problem{
	Name:  "riccati",
	What:  "the Riccati equation X B X = A: minimize tr(X^-1 A) + tr(B X)",
	Input: "two SPD matrices, A and B",
	Takes: Matrices,
	Own:   []Method{riccatiClosedForm},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		a, b, err := matrixPair(d, false, "A and B of X B X = A")
		if err != nil {
			return nil, err
		}
		return newRiccati(a, b, 2, m)
	},
	triangular: memoryless,
}

var riccatiClosedForm = closedForm("the geometric mean of A and B^-1: one Cholesky factorization and one eigendecomposition", func(in instance) *manifold.Frame {
	return in.(interface{ minimizer() *manifold.Frame }).minimizer()
})

// riccatiObjective is tr(X^-1 A) + tr(B X), A = La La' and B = Lb Lb'. With M = F'BF and K = F^-1 A F^-T the whitened differential is M - K and the
// Hessian (eta H + H eta)/2, H = M + K, which is also inverted exactly. The cost is convex along geodesics.
type riccatiObjective struct {
	knownMinimizer
	a, b  *manifold.Frame
	scale float64
	work  dense.Matrix[float64]
}

type riccatiMemo struct {
	h       dense.Matrix[float64]
	inverse *pencil
	ready   bool
}

func newRiccati(a, b *manifold.Frame, count int, m func(int) (*manifold.Affine, error)) (*riccatiObjective, error) {
	n := a.Dim()
	r := &riccatiObjective{a: a, b: b, work: dense.New[float64](n, n)}
	geometry, err := m(n)
	if err != nil {
		return nil, err
	}
	inverse, known := b.Clone().(*manifold.Frame), manifold.IdentityFrame(n, 1)
	inverse.Invert()
	if err := geometry.Between(known, inverse, a, 0.5); err != nil {
		return nil, &DataError{Where: "geometric mean", Err: err, Remedy: ridgeRemedy}
	}
	r.knownMinimizer = knownMinimizer{m: geometry, known: known, from: manifold.IdentityFrame(n, 1), count: count}
	at := dense.New[float64](n, n)
	congruent(at, view(b.F()), view(known.F()), r.work)
	f, err := manifold.NewFrame(symmetric(at))
	if err != nil {
		return nil, &DataError{Where: "equation", Err: err, Remedy: ridgeRemedy}
	}
	r.scale = 100 * smallestAtLeast(f)
	return r, nil
}

func (r *riccatiObjective) minimizer() *manifold.Frame { return r.known }

// GradientScale implements solve.Scaler: a hundred times the smallest curvature at the minimizer, so that the default tolerance means a distance of 1e-6.
func (r *riccatiObjective) GradientScale(float64) float64 { return r.scale }

// NewMemo implements solve.Memoizer.
func (r *riccatiObjective) NewMemo() solve.Memo {
	n := r.known.Dim()
	return &riccatiMemo{h: dense.New[float64](n, n), inverse: newPencil(n)}
}

// Evaluate implements solve.Objective: three products.
func (r *riccatiObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m, n := p.(*manifold.Frame), memo.(*riccatiMemo), r.known.Dim()
	k := m.inverse.s
	if err := r.m.Complete(p); err != nil {
		return math.Inf(1), err
	}
	m.ready = false
	congruent(m.h, view(r.b.F()), view(f.F()), r.work)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, view(f.Inverse()), view(r.a.F()), 0, r.work)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, r.work, r.work, 0, k)
	dense.Mirror(k)
	for i, v := range k.Data {
		grad[i] = m.h.Data[i] - v
		m.h.Data[i] += v
	}
	var cost float64
	for i := range n {
		cost += m.h.At(i, i)
	}
	r.m.FromWhitened(f, grad)
	if math.IsNaN(cost) {
		return math.Inf(1), nil
	}
	return cost, nil
}

// HessianVec implements solve.Hessian: one product.
func (r *riccatiObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	n := r.known.Dim()
	symmetricProduct(dense.Wrap(n, n, dst), dense.Wrap(n, n, v), memo.(*riccatiMemo).h, r.work)
	r.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// Precondition implements solve.Preconditioner: one eigendecomposition at a new point, then four products.
func (r *riccatiObjective) Precondition(dst []float64, _ manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*riccatiMemo), r.known.Dim()
	if !m.ready {
		if err := m.inverse.decompose(m.h); err != nil {
			return err
		}
		m.ready = true
	}
	m.inverse.solve(dense.Wrap(n, n, dst), dense.Wrap(n, n, v))
	dense.Scale(1/r.m.Kappa(), dst, dst)
	return nil
}
