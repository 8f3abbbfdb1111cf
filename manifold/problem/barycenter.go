package problem

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var barycenter = Problem{
	Name:  "barycenter",
	What:  "Bures-Wasserstein barycenter: minimize sum w_k [tr X + tr A_k - 2 tr (A_k^1/2 X A_k^1/2)^1/2]",
	Input: "one or more SPD matrices (an m x n x n stack or several n x n files), optional weights",
	Takes: Matrices | Weights,
	Own: []Method{{
		Name: "newton",
		What: "trust-region Newton with exact Hessian products, preconditioned by the Hessian for data that commute",
		run:  general(solve.Solver{Run: solve.Trust}).run, resumes: true,
	}, {
		Name: "fixed-point",
		What: "X <- X^-1/2 (sum w_k (X^1/2 A_k X^1/2)^1/2)^2 X^-1/2 (Alvarez-Esteban et al., J. Math. Anal. Appl. 441 (2016))",
		run:  barycenterFixedPoint,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		frames, err := factorMatrices(d.Matrices)
		if err != nil {
			return nil, err
		}
		b := &barycenterObjective{frames: frames, n: frames[0].Dim()}
		if b.weights, err = normalizedWeights(d.Weights, len(frames)); err != nil {
			return nil, err
		}
		sum := mat.NewSymDense(b.n, nil)
		for k, a := range d.Matrices {
			var t mat.SymDense
			t.ScaleSym(b.weights[k], a)
			sum.AddSym(sum, &t)
		}
		b.trace = mat.Trace(sum)
		if b.from, err = manifold.NewFrame(sum); err != nil {
			return nil, &DataError{Where: "arithmetic mean", Err: err, Remedy: ridgeRemedy}
		}
		b.scale = max(smallestAtLeast(b.from), 1e-6*b.trace/float64(b.n))
		b.team, b.work, b.first = newTeam(b.n, len(frames)), dense.New[float64](b.n, b.n), dense.New[float64](b.n, b.n)
		b.evaluate, b.product = b.evaluateTerm, b.addTerm
		b.m, err = m(b.n)
		return b, err
	},
	device: barycenterDevice,
}

// barycenterObjective is the weighted sum of squared Bures-Wasserstein distances. With K_k = F' A_k F, S = sum w_k K_k^1/2 and M = F'F the
// whitened differential is M - S; the Hessian is (eta M + M eta)/2 - sum w_k D_k, where D_k solves K^1/2 D + D K^1/2 = (eta K + K eta)/2.
type barycenterObjective struct {
	m       *manifold.Affine
	n       int
	frames  []*manifold.Frame
	weights []float64
	trace   float64 // of the arithmetic mean, the start
	scale   float64 // about its smallest eigenvalue
	from    *manifold.Frame
	team    *team
	work    dense.Matrix[float64]
	first   dense.Matrix[float64]

	evaluate, product func(w *worker, k int) error // evaluateTerm and addTerm
	at                *barycenterMemo              // of the present call
	f, eta            dense.Matrix[float64]
}

type barycenterMemo struct {
	basis []dense.Matrix[float64]
	roots [][]float64 // square roots of the eigenvalues of K_k
	s, m  dense.Matrix[float64]

	axes    dense.Matrix[float64] // eigenvectors of m
	lengths []float64             // and its eigenvalues
	known   bool                  // they belong to m
}

func (b *barycenterObjective) size() (int, int) { return b.n, len(b.frames) }

func (b *barycenterObjective) start() *manifold.Frame { return b.from }

func (b *barycenterObjective) finish(p *manifold.Frame, _ *Options) *mat.SymDense { return p.Sym() }

// GradientScale implements solve.Scaler. The gradient F'F - S has the unit of the data, and the curvature in a direction is as small as the
// eigenvalues there: only against the smallest one does a small gradient mean a small distance. Below 1e-6 of the mean eigenvalue it is rounding.
func (b *barycenterObjective) GradientScale(float64) float64 { return b.scale * math.Sqrt(b.m.Kappa()) }

// smallestAtLeast returns a lower bound of the smallest eigenvalue of S = F F', at most a factor sqrt(n) below it: 1/||S^-1||_F.
func smallestAtLeast(f *manifold.Frame) float64 {
	n := f.Dim()
	s := dense.New[float64](n, n)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, view(f.Inverse()), view(f.Inverse()), 0, s)
	return 1 / math.Sqrt(dense.Dot(s.Data, s.Data))
}

// NewMemo implements solve.Memoizer.
func (b *barycenterObjective) NewMemo() solve.Memo {
	m := &barycenterMemo{s: dense.New[float64](b.n, b.n), m: dense.New[float64](b.n, b.n), axes: dense.New[float64](b.n, b.n),
		lengths: make([]float64, b.n)}
	for range b.frames {
		m.basis = append(m.basis, dense.New[float64](b.n, b.n))
		m.roots = append(m.roots, make([]float64, b.n))
	}
	return m
}

// Evaluate implements solve.Objective: one eigendecomposition and a product and a half for each matrix.
func (b *barycenterObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*barycenterMemo)
	if err := b.m.Complete(p); err != nil {
		return math.Inf(1), err
	}
	b.at, b.f, m.known = m, view(f.F()), false
	if err := b.team.run(b.evaluate, m.s.Data); err != nil {
		return math.Inf(1), err
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, view(f.F()), view(f.F()), 0, m.m)
	dense.Mirror(m.m)
	cost := b.trace
	for i := range b.n {
		cost += m.m.At(i, i) - 2*m.s.At(i, i)
	}
	for i, v := range m.m.Data {
		grad[i] = v - m.s.Data[i]
	}
	b.m.FromWhitened(f, grad)
	return cost, nil
}

func (b *barycenterObjective) evaluateTerm(w *worker, k int) error {
	q, roots := b.at.basis[k], b.at.roots[k]
	dense.MulLower(dense.Transposed, view(b.frames[k].F()), b.f, w.t[0])
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, w.t[0], w.t[0], 0, q)
	dense.Mirror(q)
	if !w.solver.Sym(q, roots) || !(roots[0] > 0) {
		return &manifold.PointError{What: "a data matrix seen from the point is not positive definite to rounding", Min: roots[0], Max: roots[b.n-1]}
	}
	dense.Sqrt(roots, roots)
	for i := range b.n {
		for j, v := range q.Row(i) {
			w.t[0].Set(i, j, v*roots[j]*b.weights[k])
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w.t[0], q, 1, w.acc)
	return nil
}

// HessianVec implements solve.Hessian: three products for each matrix.
func (b *barycenterObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	b.at, b.eta = memo.(*barycenterMemo), dense.Wrap(b.n, b.n, v)
	if err := b.team.run(b.product, dst); err != nil {
		return err
	}
	symmetricProduct(b.first, b.eta, b.at.m, b.work)
	dense.Axpy(1, b.first.Data, dst)
	b.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

func (b *barycenterObjective) addTerm(w *worker, k int) error {
	q, s := b.at.basis[k], b.at.roots[k]
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, q, b.eta, 0, w.t[0])
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w.t[0], q, 0, w.t[1])
	for i := range b.n {
		for j, y := range w.t[1].Row(i) {
			w.t[1].Set(i, j, -b.weights[k]*y*(s[i]*s[i]+s[j]*s[j])/(2*(s[i]+s[j])))
		}
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q, w.t[1], 0, w.t[0])
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w.t[0], q, 1, w.acc)
	return nil
}

// Precondition implements solve.Preconditioner. Where all K_k^1/2 are M = F'F the Hessian multiplies the entry (i, j) in the eigenbasis of M by m_i m_j/(m_i
// + m_j); this is its inverse. One eigendecomposition at a new point, then four products.
func (b *barycenterObjective) Precondition(dst []float64, _ manifold.Point, v []float64, memo solve.Memo) error {
	m, w := memo.(*barycenterMemo), b.team.workers[0]
	if !m.known {
		m.axes.Copy(m.m)
		if !w.solver.Sym(m.axes, m.lengths) || !(m.lengths[0] > 0) {
			return &manifold.PointError{What: "the point is not positive definite to rounding", Min: m.lengths[0], Max: m.lengths[b.n-1]}
		}
		m.known = true
	}
	out := dense.Wrap(b.n, b.n, dst)
	congruentTo(w.t[1], m.axes, dense.Wrap(b.n, b.n, v), w.t[0])
	for i, l := range m.lengths {
		row := w.t[1].Row(i)
		for j, r := range m.lengths {
			row[j] *= 1/l + 1/r
		}
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.axes, w.t[1], 0, w.t[0])
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w.t[0], m.axes, 0, out)
	dense.Mirror(out)
	return nil
}

// congruentTo sets dst = q' v q.
func congruentTo(dst, q, v, work dense.Matrix[float64]) {
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, q, v, 0, work)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, work, q, 0, dst)
}

// barycenterFixedPoint applies X <- T X T with T = F^-T S F^-1 the mean of the optimal maps from X to the A_k.
func barycenterFixedPoint(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
	b := in.(*barycenterObjective)
	square, work := dense.New[float64](b.n, b.n), dense.New[float64](b.n, b.n)
	return drive(in, m, o, func(next, p *manifold.Frame, _ []float64, _ float64, memo solve.Memo) error {
		s := memo.(*barycenterMemo).s
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s, view(p.Inverse()), 0, work)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, work, work, 0, square)
		f, err := manifold.NewFrame(symmetric(square))
		if err == nil {
			next.CopyFrom(f)
		}
		return err
	})
}
