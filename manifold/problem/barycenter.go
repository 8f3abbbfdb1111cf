package problem

import (
	"fmt"
	"math"
	"slices"

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
		What: "Newton's method in the geometry of Bures and Wasserstein; with states, or where it stalls, the trust region",
		run:  barycenterNewton, resumes: true,
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
		b.unit = b.trace / float64(b.n)
		if b.from, err = manifold.NewFrame(sum); err != nil {
			return nil, &DataError{Where: "arithmetic mean", Err: err, Remedy: ridgeRemedy}
		}
		b.scale = max(smallestAtLeast(b.from), 1e-6*b.unit)
		b.team, b.work, b.first, b.t = newTeam(b.n, len(frames)), dense.New[float64](b.n, b.n), dense.New[float64](b.n, b.n), dense.New[float64](b.n, b.n)
		b.evaluate, b.product, b.product32 = b.evaluateTerm, b.addTerm, b.addTerm32
		b.m, err = m(b.n)
		return b, err
	},
	device: barycenterDevice,
}

// barycenterObjective is the weighted sum of squared Bures-Wasserstein distances. With K_k = F' A_k F, S = sum w_k K_k^1/2 and M = F'F the
// whitened differential is M - S; the Hessian is (eta M + M eta)/2 - sum w_k D_k, where D_k solves K^1/2 D + D K^1/2 = (eta K + K eta)/2. Since D_k is
// (eta K^1/2 + K^1/2 eta)/2 - T_k, T_k solving T K^-1/2 + K^-1/2 T = eta, the Hessian is (eta (M - S) + (M - S) eta)/2 + sum w_k T_k, without cancellation.
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
	product32         func(w *singleWorker, k int) // addTerm32
	at                *barycenterMemo              // of the present call
	f, t, eta         dense.Matrix[float64]        // F, F' and the direction
	eta32             dense.Matrix[float32]
	rounded           bool    // products in single precision are of operands rounded to bfloat16
	unit              float64 // the mean eigenvalue of the arithmetic mean
	follows           bool    // eigenbases are followed from point to point
	accuracy          float64 // and so far that this is the error of the gradient
	graded            bool    // the small roots have small relative errors too
}

type barycenterMemo struct {
	spectra []*spectrum           // of the K_k
	s, m, d dense.Matrix[float64] // S, M and their difference M - S
	slack   float64               // bound of the error of S: first-order roots
	noise   float64               // the same with the rounding of decompositions

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

// farStep is the length of the Newton step, in units of the tolerance (or of the relative gradient that rounding allows, where that is larger), beyond which a small gradient is no sign of a minimizer: it is 1e-3 for the default.
const farStep = 1e5

// farthestStep is the length beyond which the Newton step says nothing about the distance: where eigenvalues are too large it is below 1 however far they are.
const farthestStep = 0.3

// firstOrder is the length of a Newton step up to which it is taken for the distance to its end.
const firstOrder = 1e-4

// gradedResidual is that of the eigenbases of a sharpened certificate: the root D + X of D^2 + D E D has an X of first order, and what that leaves is as E^2 to the
// Hessian, entry by entry.
const gradedResidual = 1e-6

// coarsestResidual is that of eigenbases whose roots are right to first order.
const coarsestResidual = 0.5

// sharpen computes the certificate anew where rounding in the gradient is not far below it, or where the step is long. Decompositions of K leave errors of eps max K, which for the roots s_i and
// s_j means eps max s^2/(s_i + s_j), and against the Hessian s_i s_j/(s_i + s_j) a distance of eps (max s/min s)^2; on bases that are swept with the factors of K only
// eps max s/min s is left.
func (b *barycenterObjective) sharpen(r *solve.Result) {
	if b.at == nil || r.Certificate.Kind != "newton-step" {
		return
	}
	var rounding float64
	for _, s := range b.at.spectra {
		rounding = max(rounding, s.rounding)
	}
	if r.Certificate.Value >= rounding && r.Certificate.Value <= firstOrder {
		return
	}
	b.graded = true
	defer func() { b.graded = false }()
	run := newBarycenterRun(b, r.Point.(*manifold.Frame), &Options{})
	run.straighten()
	if _, err := run.evaluateAt(run.next, run.memo); err != nil {
		r.Certificate = solve.Certificate{Kind: "none"}
		return
	}
	run.accept()
	r.Certificate = run.certificate()
	r.HessianProducts += run.products
}

// verify implements verifier: data so ill-conditioned that the gradient says nothing about the small eigenvalues are not solved.
func (b *barycenterObjective) verify(_ instance, r *solve.Result, o *solve.Options) {
	b.sharpen(r)
	limit := min(farthestStep, farStep*max(o.WithDefaults(b.m.VectorLen()).Tolerance, r.RelativeGradient))
	if c := r.Certificate; r.Converged && (c.Kind == "none" || c.Value > limit) {
		left := fmt.Sprintf("the Newton step is %.3g long (limit %.3g)", c.Value, limit)
		if c.Kind == "none" {
			left = "the Hessian is not positive definite to rounding"
		}
		r.Converged = false
		r.Reason = solve.Reason{Name: "far", Detail: r.Reason.Detail + ", but " + left,
			Advice: "the data are too ill-conditioned for the small eigenvalues of the barycenter: " + ridgeRemedy}
	}
}

// smallestAtLeast returns a lower bound of the smallest eigenvalue of S = F F', at most a factor sqrt(n) below it: 1/||S^-1||_F.
func smallestAtLeast(f *manifold.Frame) float64 {
	n := f.Dim()
	s := dense.New[float64](n, n)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, view(f.Inverse()), view(f.Inverse()), 0, s)
	return 1 / math.Sqrt(dense.Dot(s.Data, s.Data))
}

// NewMemo implements solve.Memoizer.
func (b *barycenterObjective) NewMemo() solve.Memo {
	m := &barycenterMemo{s: dense.New[float64](b.n, b.n), m: dense.New[float64](b.n, b.n), d: dense.New[float64](b.n, b.n),
		axes: dense.New[float64](b.n, b.n), lengths: make([]float64, b.n)}
	for range b.frames {
		m.spectra = append(m.spectra, newSpectrum(b.n))
	}
	return m
}

// Evaluate implements solve.Objective: one eigendecomposition and a product and a half for each matrix.
func (b *barycenterObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*barycenterMemo)
	if err := b.m.Complete(p); err != nil {
		return math.Inf(1), err
	}
	cost, err := b.evaluateAt(view(f.F()), m)
	if err != nil {
		return math.Inf(1), err
	}
	copy(grad, m.d.Data)
	b.m.FromWhitened(f, grad)
	return cost, nil
}

// evaluateAt returns the cost at F F' and fills the memo.
func (b *barycenterObjective) evaluateAt(f dense.Matrix[float64], m *barycenterMemo) (float64, error) {
	b.at, b.f, m.known = m, f, false
	dense.Transpose(b.t, b.f)
	if err := b.team.run(b.evaluate, m.s.Data); err != nil {
		return math.Inf(1), err
	}
	m.slack, m.noise = b.team.sum(0), b.team.sum(1)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, b.f, b.f, 0, m.m)
	dense.Mirror(m.m)
	cost := b.trace
	for i := range b.n {
		cost += m.m.At(i, i) - 2*m.s.At(i, i)
	}
	for i, v := range m.m.Data {
		m.d.Data[i] = v - m.s.Data[i]
	}
	return cost, nil
}

// evaluateTerm adds w_k K_k^1/2 by a decomposition of K_k, whose errors of about its rounding are those that the general solvers are used to; or, if
// eigenbases are followed, to first order.
func (b *barycenterObjective) evaluateTerm(w *worker, k int) error {
	s, tol := b.at.spectra[k], math.Inf(1)
	switch {
	case b.graded:
		tol = gradedResidual
	case b.follows:
		tol = min(coarsestResidual, math.Sqrt(2*b.accuracy/slices.Max(s.roots)))
	default:
		s.known = false
	}
	if err := s.locate(b.t, b.f, view(b.frames[k].F()), tol, w); err != nil {
		return err
	}
	s.addRoot(b.weights[k], w)
	largest := b.weights[k] * slices.Max(s.roots)
	slack := s.residual * s.residual / 2 * largest
	w.sum[0] += slack
	w.sum[1] += slack + math.Sqrt(4*0x1p-52*s.rounding)*largest
	return nil
}

// HessianVec implements solve.Hessian: three products for each matrix.
func (b *barycenterObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	b.at, b.eta = memo.(*barycenterMemo), dense.Wrap(b.n, b.n, v)
	if err := b.team.run(b.product, dst); err != nil {
		return err
	}
	dense.SymmetricProduct(b.first, b.eta, b.at.d, b.work)
	dense.Axpy(1, b.first.Data, dst)
	b.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

func (b *barycenterObjective) addTerm(w *worker, k int) error {
	b.at.spectra[k].addHessian(b.weights[k], root, b.eta, w)
	return nil
}

// addTerm32 adds in units of the mean eigenvalue of the data.
func (b *barycenterObjective) addTerm32(w *singleWorker, k int) {
	b.at.spectra[k].addHessian32(b.weights[k]/b.unit, root, b.eta32, b.rounded, w)
}

// Precondition implements solve.Preconditioner. Where all K_k^1/2 are M = F'F the Hessian multiplies the entry (i, j) in the eigenbasis of M by m_i m_j/(m_i
// + m_j); this is its inverse. One eigendecomposition at a new point, then four products. Where the point is not definite to rounding it does nothing.
func (b *barycenterObjective) Precondition(dst []float64, _ manifold.Point, v []float64, memo solve.Memo) error {
	m, w := memo.(*barycenterMemo), b.team.workers[0]
	if b.decompose(m) != nil {
		copy(dst, v)
		return nil
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

// decompose fills axes and lengths, once at a point.
func (b *barycenterObjective) decompose(m *barycenterMemo) error {
	if m.known {
		return nil
	}
	m.axes.Copy(m.m)
	if !b.team.workers[0].solver.Sym(m.axes, m.lengths) || !(m.lengths[0] > 0) {
		return &manifold.PointError{What: "the point is not positive definite to rounding", Min: m.lengths[0], Max: m.lengths[b.n-1]}
	}
	m.known = true
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
