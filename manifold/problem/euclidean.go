package problem

import (
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// Euclidean is a function of a symmetric matrix with its ordinary derivatives, as one writes them down without thinking of manifolds.
type Euclidean struct {
	// N is the number of rows.
	N int
	// Cost returns the value at the SPD matrix s; NaN and +Inf mean outside the domain.
	Cost func(s *mat.SymDense) float64
	// Gradient writes dCost/dS at s to g.
	Gradient func(g, s *mat.SymDense)
	// Hessian, if not nil, writes the derivative of the gradient at s along u to h.
	Hessian func(h, s, u *mat.SymDense)
}

// FromEuclidean turns a function with ordinary derivatives into an objective for the solvers on m: the Riemannian gradient is S G S, the Hessian
// along U is S H[U] S + sym(U G S). Three products per evaluation with a gradient, six per Hessian product. Check new derivatives with CheckEuclidean.
// The objective owns its workspace: make one for each run that goes on at the same time.
func FromEuclidean(m *manifold.Affine, f Euclidean) (solve.Objective, error) {
	if f.Cost == nil || f.Gradient == nil {
		return nil, errors.New("problem: Cost and Gradient must be set")
	}
	if m == nil {
		return nil, errors.New("problem: the manifold is nil")
	}
	if f.N != m.Dim() {
		return nil, fmt.Errorf("problem: N is %d, the manifold has %d rows", f.N, m.Dim())
	}
	e := &euclidean{m: m, f: f, work: dense.New[float64](f.N, f.N), full: dense.New[float64](f.N, f.N)}
	if f.Hessian == nil {
		return e, nil
	}
	return &euclideanHessian{euclidean: e, u: mat.NewSymDense(f.N, nil), h: mat.NewSymDense(f.N, nil)}, nil
}

type euclidean struct {
	m          *manifold.Affine
	f          Euclidean
	work, full dense.Matrix[float64]
	own        *euclideanMemo // where a caller brings none
}

type euclideanMemo struct {
	s, g *mat.SymDense
	w    dense.Matrix[float64] // F^T G F
}

// NewMemo implements solve.Memoizer.
func (e *euclidean) NewMemo() solve.Memo {
	n := e.f.N
	return &euclideanMemo{s: mat.NewSymDense(n, nil), g: mat.NewSymDense(n, nil), w: dense.New[float64](n, n)}
}

// Evaluate implements solve.Objective.
func (e *euclidean) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), e.memoOf(memo)
	f.ToSym(m.s)
	cost := e.f.Cost(m.s)
	if cost-cost != 0 || grad == nil {
		return cost, nil
	}
	e.differentiate(m, f)
	copy(grad, m.w.Data)
	e.m.FromWhitened(f, grad)
	return cost, nil
}

// differentiate fills m for f, whose matrix it holds.
func (e *euclidean) differentiate(m *euclideanMemo, f *manifold.Frame) {
	e.f.Gradient(m.g, m.s)
	e.whiten(m.w, f, m.g)
}

// memoOf returns memo, or the objective's own where that is nil: an objective that wraps this one need not be a Memoizer.
func (e *euclidean) memoOf(memo solve.Memo) *euclideanMemo {
	if memo != nil {
		return memo.(*euclideanMemo)
	}
	if e.own == nil {
		e.own = e.NewMemo().(*euclideanMemo)
	}
	return e.own
}

// whiten sets dst = F^T a F.
func (e *euclidean) whiten(dst dense.Matrix[float64], f *manifold.Frame, a *mat.SymDense) {
	fill(e.full, a)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, e.full, view(f.F()), 0, e.work)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, view(f.F()), e.work, 0, dst)
	dense.Mirror(dst)
}

type euclideanHessian struct {
	*euclidean
	u, h *mat.SymDense
}

// HessianVec implements solve.Hessian.
func (e *euclideanHessian) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	f, m, n := p.(*manifold.Frame), e.memoOf(memo), e.f.N
	if memo == nil { // what the own one holds may be of another point
		f.ToSym(m.s)
		e.differentiate(m, f)
	}
	eta, out := dense.Wrap(n, n, v), dense.Wrap(n, n, dst)
	e.m.Embed(e.u, f, v)
	e.f.Hessian(e.h, m.s, e.u)
	dense.SymmetricProduct(out, eta, m.w, e.work)
	fill(e.full, e.h)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, e.full, view(f.F()), 0, e.work)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, view(f.F()), e.work, 1, out)
	dense.Mirror(out)
	e.m.FromWhitened(f, dst)
	return nil
}

// fill copies the symmetric s to both triangles of dst.
func fill(dst dense.Matrix[float64], s *mat.SymDense) {
	raw := s.RawSymmetric()
	for i := range raw.N {
		copy(dst.Row(i)[i:], raw.Data[i*raw.Stride+i:i*raw.Stride+raw.N])
	}
	dense.Mirror(dst)
}
