package problem

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var tyler = Problem{
	Name:  "tyler",
	What:  "Tyler's robust scatter matrix: minimize log det X + (n/N) sum log(x' X^-1 x), scale fixed afterwards",
	Input: "zero-mean samples (N x n, N > n)",
	Takes: Samples,
	Own: []Method{{
		Name: "fixed-point",
		What: "X <- (n/N) sum x x'/(x' X^-1 x), over-relaxed by the curvature seen; products and one small Cholesky per iteration",
		run:  tylerFixedPoint,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		x, err := checkSamples(d.Samples)
		if err != nil {
			return nil, err
		}
		if err := checkScatter(x); err != nil {
			return nil, err
		}
		t := &tylerObjective{x: x, z: dense.New[float64](x.Rows, x.Cols), work: dense.New[float64](x.Cols, x.Cols), q: make([]float64, x.Rows)}
		t.m, err = m(x.Cols)
		return t, err
	},
}

// checkScatter refuses data for which the estimator does not exist: Tyler's matrix exists for points in general position if and only if
// N > n (Kent and Tyler, Ann. Statist. 16 (1988) 1335-1352); points in a proper subspace are found by a Cholesky factorization.
func checkScatter(x dense.Matrix[float64]) error {
	N, n := x.Rows, x.Cols
	if N <= n {
		return &DataError{Err: fmt.Errorf("%d samples of dimension %d: Tyler's scatter matrix needs more samples than dimensions", N, n),
			Remedy: "give more samples, reduce the dimension, or use a regularised or shrinkage estimator"}
	}
	c := x.Clone()
	for i := range N {
		row := c.Row(i)
		s := math.Sqrt(dense.Dot(row, row))
		if !(s > 0) || math.IsInf(s, 1) {
			return &DataError{Where: fmt.Sprintf("sample %d", i), Err: fmt.Errorf("has norm %v and no direction", s), Remedy: "remove it"}
		}
		for j := range row {
			row[j] /= s
		}
	}
	g := dense.New[float64](n, n)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, float64(n)/float64(N), c, c, 0, g)
	if err := manifold.CheckSPD(symmetric(g)); err != nil {
		return &DataError{Where: "scatter of the directions", Err: err,
			Remedy: "the samples lie in a subspace: drop dependent columns, or use a regularised estimator"}
	}
	return nil
}

// tylerObjective is log det X + (n/N) sum log(x' X^-1 x). With z = F^-1 x, q = z'z and P = (n/N) sum z z'/q the whitened differential is I - P,
// and the Hessian (eta P + P eta)/2 - (n/N) sum (z' eta z) z z'/q^2.
type tylerObjective struct {
	m    *manifold.Affine
	x, z dense.Matrix[float64]
	work dense.Matrix[float64]
	q    []float64
}

type tylerMemo struct {
	u dense.Matrix[float64] // rows z'/sqrt(q)
	p dense.Matrix[float64]
}

func (t *tylerObjective) size() (int, int) { return t.x.Cols, t.x.Rows }

func (t *tylerObjective) start() *manifold.Frame { return manifold.IdentityFrame(t.x.Cols, 1) }

// NewMemo implements solve.Memoizer.
func (t *tylerObjective) NewMemo() solve.Memo {
	return &tylerMemo{u: dense.New[float64](t.x.Rows, t.x.Cols), p: dense.New[float64](t.x.Cols, t.x.Cols)}
}

// Evaluate implements solve.Objective: one product with the samples and half a product of their size.
func (t *tylerObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*tylerMemo)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, t.x, view(f.Inverse()), 0, m.u)
	logs := t.directions(m.u)
	t.gram(m.u, m.p)
	for i, v := range m.p.Data {
		grad[i] = -v
	}
	for i := range m.p.Rows {
		grad[i*m.p.Cols+i]++
	}
	t.m.FromWhitened(f, grad)
	return f.LogDet() + float64(t.x.Cols)/float64(t.x.Rows)*logs, nil
}

// directions scales every row of u to unit length and returns the sum of the logarithms of the squared lengths.
func (t *tylerObjective) directions(u dense.Matrix[float64]) float64 {
	for i := range u.Rows {
		row := u.Row(i)
		t.q[i] = dense.Dot(row, row)
		s := 1 / math.Sqrt(t.q[i])
		for j := range row {
			row[j] *= s
		}
	}
	dense.Log(t.q, t.q)
	var sum float64
	for _, v := range t.q {
		sum += v
	}
	return sum
}

// gram sets p = (n/N) u' u.
func (t *tylerObjective) gram(u, p dense.Matrix[float64]) {
	dense.GemmUpper(dense.Transposed, dense.NoTrans, float64(u.Cols)/float64(u.Rows), u, u, 0, p)
	dense.Mirror(p)
}

// HessianVec implements solve.Hessian: one product with the samples, half a product of their size, one small product.
func (t *tylerObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*tylerMemo), t.x.Cols
	out, eta := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	symmetricProduct(out, eta, m.p, t.work)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.u, eta, 0, t.z)
	for i := range t.z.Rows {
		u, z := m.u.Row(i), t.z.Row(i)
		c := dense.Dot(u, z)
		for j := range z {
			z[j] = c * u[j]
		}
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, -float64(n)/float64(t.x.Rows), m.u, t.z, 1, out)
	dense.Mirror(out)
	t.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// finish fixes the scale.
func (t *tylerObjective) finish(p *manifold.Frame, o *Options) *mat.SymDense {
	s := p.Sym()
	n := t.x.Cols
	scale := math.Exp(-p.LogDet() / float64(n))
	if o.Normalization == TraceN {
		scale = float64(n) / mat.Trace(s)
	}
	s.ScaleSym(scale, s)
	return s
}

// tylerFixedPoint iterates in whitened coordinates: the samples are kept as z = F^-1 x. Far from the solution one step is the exact fixed
// point map, F <- F chol(P). Once P is near I the step is eta = theta (P - I) with theta from the last step and gradient change (Barzilai
// and Borwein), applied as z <- z (I - eta/2 + eta^2/8): products only. At the end the gradient is evaluated afresh from the samples.
func tylerFixedPoint(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
	first, err := firstPoint(in, o)
	if err != nil {
		return nil, err
	}
	w, err := newTylerRun(in.(*tylerObjective), first, o)
	if err != nil {
		return nil, err
	}
	for !w.mon.done(nil, math.NaN(), w.norm, w.initial) {
		if w.norm > 1 {
			err = w.fixedPointStep()
		} else {
			err = w.relaxedStep()
		}
		if err != nil {
			return nil, err
		}
		w.mon.step(w.norm)
		w.evaluate()
		w.mon.status.Evaluations++
	}
	return w.result(m)
}

// tylerRun is the state of the fixed point iteration.
type tylerRun struct {
	t          *tylerObjective
	mon        *monitor
	z, next    dense.Matrix[float64] // samples as rows z' = x' F^-T, scaled freely
	inv, tmp   dense.Matrix[float64] // F^-1
	p          dense.Matrix[float64]
	grad, last []float64
	step       []float64
	stepped    bool // step and last belong to the frame of grad
	norm       float64
	initial    float64
	theta      float64
	curvature  float64 // smallest curvature seen along a step, 1 before the first
}

func newTylerRun(t *tylerObjective, first *manifold.Frame, o *Options) (*tylerRun, error) {
	N, n := t.x.Rows, t.x.Cols
	w := &tylerRun{t: t, mon: newMonitor(&o.Solver, n*n), z: dense.New[float64](N, n),
		next: dense.New[float64](N, n), inv: view(first.Inverse()).Clone(), tmp: dense.New[float64](n, n), p: dense.New[float64](n, n),
		grad: make([]float64, n*n), last: make([]float64, n*n), step: make([]float64, n*n), theta: 1, curvature: 1}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, t.x, w.inv, 0, w.z)
	w.evaluate()
	w.initial = w.norm
	if w.norm-w.norm != 0 {
		return nil, errors.New("the gradient at the start is not finite")
	}
	return w, nil
}

// evaluate makes the rows of z unit vectors and computes the gradient I - P and its norm.
func (w *tylerRun) evaluate() {
	w.t.directions(w.z)
	w.t.gram(w.z, w.p)
	copy(w.last, w.grad)
	for i, v := range w.p.Data {
		w.grad[i] = -v
	}
	for i := range w.p.Rows {
		w.grad[i*w.p.Cols+i]++
	}
	w.norm = math.Sqrt(dense.Dot(w.grad, w.grad))
}

// fixedPointStep sets F <- F C with C C' = P, so z <- C^-1 z.
func (w *tylerRun) fixedPointStep() error {
	if dense.Cholesky(w.p) >= 0 {
		return &DataError{Err: errors.New("the iteration left the cone: too many samples lie in a proper subspace, Tyler's matrix does not exist"),
			Remedy: "remove repeated samples, or use a regularised estimator"}
	}
	dense.SolveLowerRight(dense.Transposed, w.p, w.z)
	dense.SolveLower(dense.NoTrans, w.p, w.inv)
	w.stepped, w.theta = false, 1
	return nil
}

// relaxedStep sets F <- F exp(eta/2) to second order.
func (w *tylerRun) relaxedStep() error {
	if w.stepped {
		w.relax()
	}
	for i, g := range w.grad {
		w.step[i] = -w.theta * g
	}
	w.stepped = true
	n := w.p.Rows
	eta := dense.Wrap(n, n, w.step)
	r := w.p
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 0.125, eta, eta, 0, r)
	dense.Mirror(r)
	dense.Axpy(-0.5, eta.Data, r.Data)
	for i := range n {
		r.Data[i*n+i]++
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w.z, r, 0, w.next)
	w.z, w.next = w.next, w.z
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r, w.inv, 0, w.tmp)
	w.inv, w.tmp = w.tmp, w.inv
	return nil
}

// relax sets theta from the change of the gradient along the last step.
func (w *tylerRun) relax() {
	var ss, sy float64
	for i, s := range w.step {
		ss += s * s
		sy += s * (w.grad[i] - w.last[i])
	}
	if c := sy / ss; c > 0 {
		w.curvature = min(w.curvature, c)
		w.theta = min(max(1/c, 0.5), 2)
	} else {
		w.theta = 1
	}
}

// result inverts F^-1 and evaluates the gradient there from the samples.
func (w *tylerRun) result(m *manifold.Affine) (*solve.Result, error) {
	n := w.p.Rows
	inverse := dense.New[float64](n, n) // X^-1 = F^-T F^-1
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, w.inv, w.inv, 0, inverse)
	point, err := manifold.NewFrame(symmetric(inverse))
	if err != nil {
		return nil, fmt.Errorf("after %d iterations: %w", w.mon.status.Iteration, err)
	}
	point.Invert()
	r := w.mon.result(point, 0)
	r.Evaluations++
	if r.Objective, err = w.t.Evaluate(point, w.grad, w.t.NewMemo()); err != nil {
		return nil, err
	}
	r.GradientNorm = math.Sqrt(m.Inner(point, w.grad, w.grad))
	if w.initial > 0 {
		r.RelativeGradient = r.GradientNorm / (w.initial * math.Sqrt(m.Kappa()))
	}
	r.Certificate = solve.Certificate{Kind: "secant-curvature", Value: r.GradientNorm / w.curvature}
	return r, nil
}
