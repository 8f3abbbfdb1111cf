package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// sandwich is what objectives that are quadratic in X share: with W the whitened differential, the Hessian is
// (A eta B + B eta A)/2 + (eta W + W eta)/2, and its first part, inverted exactly, the preconditioner. A = F'A0 F and B = F'B0 F with constant A0 and B0.
type sandwich struct {
	knownMinimizer
	lender
	scale         float64
	diagonalScale float64 // of the diagonalForm, whose gradients can be smaller
	work          [2]dense.Matrix[float64]
	// fill sets w, a and b at the frame and returns the cost.
	fill func(p *manifold.Frame, m *sandwichMemo) float64
	// constant is the pencil of A0 and B0, kept from what diagonalise sets when it is needed first.
	constant    *pencil
	weights     *singleWeights // those of constant
	diagonalise func(p *pencil) error
	lost        bool  // A0 or B0 is not definite to rounding, and there is no preconditioner
	basis       basis // nil if there is no diagonalForm
}

type sandwichMemo struct {
	at      *manifold.Frame
	w, a, b dense.Matrix[float64]
	inverse *pencil
	single  singlePencil
	ready   bool // inverse belongs to a and b
	narrow  bool // and so does single
}

// newSandwich takes over what l has lent; l lends anew from then on.
func newSandwich(k knownMinimizer, scale float64, l *lender) *sandwich {
	q := &sandwich{knownMinimizer: k, scale: scale, lender: *l}
	*l = lender{}
	q.work = [2]dense.Matrix[float64]{q.square(), q.square()}
	return q
}

// square lends a matrix of the size of X.
func (q *sandwich) square() dense.Matrix[float64] { return q.matrix(q.known.Dim(), q.known.Dim()) }

// GradientScale implements solve.Scaler.
func (q *sandwich) GradientScale(float64) float64 { return q.scale }

// GradientRounding implements solve.Rounder: A B, or a term as large, is what cancels in W; F, which is the inverse of what is kept, has an error as large as its
// condition against its own size.
func (q *sandwich) GradientRounding(memo solve.Memo) float64 {
	m := memo.(*sandwichMemo)
	f, inverse := view(m.at.F()), view(m.at.Inverse())
	condition := math.Sqrt(dense.Dot(f.Data, f.Data) * dense.Dot(inverse.Data, inverse.Data))
	return math.Sqrt(q.m.Kappa()*dense.Dot(m.a.Data, m.a.Data)*dense.Dot(m.b.Data, m.b.Data)) * condition * 0x1p-52
}

// NewMemo implements solve.Memoizer.
func (q *sandwich) NewMemo() solve.Memo {
	return &sandwichMemo{w: q.square(), a: q.square(), b: q.square(), inverse: q.pencil(q.square(), q.square())}
}

// Evaluate implements solve.Objective.
func (q *sandwich) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*sandwichMemo)
	if err := q.m.Complete(p); err != nil {
		return math.Inf(1), err
	}
	m.at, m.ready = f, false
	cost := q.fill(f, m)
	copy(grad, m.w.Data)
	q.m.FromWhitened(f, grad)
	return cost, nil
}

// HessianVec implements solve.Hessian: three products.
func (q *sandwich) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*sandwichMemo), q.known.Dim()
	out, eta := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.a, eta, 0, q.work[0])
	dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, q.work[0], m.b, 0, q.work[1])
	dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, eta, m.w, 1, q.work[1])
	addTransposed(out, q.work[1])
	q.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// Precondition implements solve.Preconditioner: one eigendecomposition in a run, a product at a new point, half of one with a triangular frame, then three products, in single
// precision where that is enough.
// Where rounding leaves nothing of the definiteness, it does nothing.
func (q *sandwich) Precondition(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*sandwichMemo), q.known.Dim()
	if !q.decomposed() {
		copy(dst, v)
		return nil
	}
	q.invertAt(m, p.(*manifold.Frame))
	out, r := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	if m.narrow = m.narrow && m.single.solve(out, r); !m.narrow {
		m.inverse.solve(out, r)
	}
	dense.Scale(1/q.m.Kappa(), dst, dst)
	if d := dense.Dot(dst, v); !(d > 0) || math.IsInf(d, 1) {
		copy(dst, v)
	}
	return nil
}

// decomposed tells whether there is a pencil, which it makes when it is needed first.
func (q *sandwich) decomposed() bool {
	if q.constant == nil && !q.lost {
		p := q.pencil(q.work[0], q.work[1])
		q.lost = q.diagonalise(p) != nil
		q.constant = &pencil{t: p.t, mu: p.mu, weights: p.weights, roots: p.roots}
	}
	return !q.lost
}

// invertAt makes the pencils of m belong to its point.
func (q *sandwich) invertAt(m *sandwichMemo, f *manifold.Frame) {
	if m.ready {
		return
	}
	m.ready = true
	m.inverse.carry(q.constant, f)
	if m.narrow = len(q.constant.mu) >= singlePencilRows; !m.narrow {
		return
	}
	if q.weights == nil {
		q.weights = newSingleWeights(q.constant, &q.lender)
	}
	m.single.shared = q.weights
	m.narrow = m.single.set(m.inverse, math.Sqrt(dense.Dot(m.a.Data, m.a.Data)*dense.Dot(m.b.Data, m.b.Data)))
}
