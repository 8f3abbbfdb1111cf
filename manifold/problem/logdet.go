package problem

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/gram"
	"github.com/spdopt/spdopt/manifold/solve"
)

var logdet = Problem{
	Name:  "logdet",
	What:  "Gaussian maximum likelihood (log-det divergence): minimize log det X + tr(X^-1 S)",
	Input: "one SPD matrix S (n x n), or zero-mean samples (N x n, N >= n)",
	Takes: Matrices | Samples,
	Own: []Method{{
		Name: "closed-form",
		What: "the minimizer is S; checked by Cholesky",
		run:  logdetClosedForm,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		target, count, err := logdetTarget(d)
		if err != nil {
			return nil, err
		}
		m0, err := m(target.Dim())
		if err != nil {
			return nil, err
		}
		return newLogdet(m0, target, count), nil
	},
	device: logdetDevice,
}

// logdetTarget returns the frame of S, given or computed as X^T X / N.
func logdetTarget(d *Data) (*manifold.Frame, int, error) {
	if d.Samples == nil {
		if len(d.Matrices) > 1 {
			return nil, 0, &DataError{count: true, Err: fmt.Errorf("%d matrices given, want one", len(d.Matrices)),
				Remedy: "average them first, or solve mean"}
		}
		f, err := factorMatrices(d.Matrices)
		if err != nil {
			return nil, 0, err
		}
		return f[0], 1, nil
	}
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, 0, err
	}
	if x.Rows < x.Cols {
		return nil, 0, tooFewSamples(x)
	}
	s := dense.New[float64](x.Cols, x.Cols)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/float64(x.Rows), x, x, 0, s)
	f, err := gram.Frame(symmetric(s), x)
	if err != nil {
		return nil, 0, singularCovariance(err)
	}
	return f, x.Rows, nil
}

func tooFewSamples(x dense.Matrix[float64]) error {
	return &DataError{count: true, Err: fmt.Errorf("%d samples of dimension %d have a singular covariance", x.Rows, x.Cols),
		Remedy: "give at least as many samples as dimensions, or " + shrinkageRemedy}
}

const subspaceRemedy = "the samples lie in a subspace, or a few exceed the others by many powers of ten: drop dependent columns or those samples, or " + shrinkageRemedy

func singularCovariance(err error) error {
	return &DataError{Where: "sample covariance", Err: err, Remedy: subspaceRemedy}
}

var errIllConditioned = errors.New("the closed form does not satisfy the optimality condition to rounding: the matrix is too ill-conditioned")

// logdetObjective is log det X + tr(X^-1 S). With M = F^-1 S F^-T the whitened differential is I - M and the Hessian (eta M + M eta)/2.
type logdetObjective struct {
	m      *manifold.Affine
	target *manifold.Frame
	chol   dense.Matrix[float64] // lower triangular frame of the target
	count  int
	work   dense.Matrix[float64]
}

func newLogdet(m *manifold.Affine, target *manifold.Frame, count int) *logdetObjective {
	return &logdetObjective{m: m, target: target, chol: view(target.F()), count: count, work: dense.New[float64](target.Dim(), target.Dim())}
}

type logdetMemo struct{ m dense.Matrix[float64] }

func (l *logdetObjective) size() (int, int) { return l.target.Dim(), l.count }

// start returns the multiple of the identity with the determinant of S.
func (l *logdetObjective) start() *manifold.Frame {
	n := l.target.Dim()
	return manifold.IdentityFrame(n, min(math.Exp(l.target.LogDet()/float64(n)), math.MaxFloat64))
}

// GradientScale implements solve.Scaler: the norm of the gradient of log det X, the identity in whitened coordinates.
func (l *logdetObjective) GradientScale(float64) float64 {
	return math.Sqrt(l.m.Kappa() * float64(l.target.Dim()))
}

func (l *logdetObjective) finish(p *manifold.Frame, _ *Options) *mat.SymDense { return p.Sym() }

// NewMemo implements solve.Memoizer.
func (l *logdetObjective) NewMemo() solve.Memo {
	return &logdetMemo{dense.New[float64](l.target.Dim(), l.target.Dim())}
}

// Evaluate implements solve.Objective: two half products.
func (l *logdetObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f := p.(*manifold.Frame)
	m := memo.(*logdetMemo).m
	dense.MulLowerRight(dense.NoTrans, l.chol, view(f.Inverse()), l.work)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, l.work, l.work, 0, m)
	dense.Mirror(m)
	cost := f.LogDet()
	for i := range m.Rows {
		cost += m.At(i, i)
	}
	minusPlusIdentity(grad, m)
	l.m.FromWhitened(f, grad)
	return cost, nil
}

// HessianVec implements solve.Hessian: one product.
func (l *logdetObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m := memo.(*logdetMemo).m
	dense.SymmetricProduct(dense.Wrap(m.Rows, m.Cols, dst), dense.Wrap(m.Rows, m.Cols, v), m, l.work)
	l.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// Certify implements solve.Certifier: the minimizer is known, so the distance to it is computed.
func (l *logdetObjective) Certify(p manifold.Point, _ float64, _ solve.Memo) solve.Certificate {
	d, err := l.m.Distance(p, l.target)
	if err != nil {
		return solve.Certificate{Kind: "none"}
	}
	return solve.Certificate{Kind: "known-minimizer", Value: d, Bound: true}
}

// closedFormTolerance is the relative gradient that the closed form must show.
const closedFormTolerance = 1e-6

func logdetClosedForm(in instance, m *manifold.Affine, _ *Options) (*solve.Result, error) {
	l := in.(*logdetObjective)
	grad, memo := make([]float64, m.VectorLen()), l.NewMemo()
	r := &solve.Result{Point: l.target.Clone(), Evaluations: 1}
	var err error
	if r.Objective, err = l.Evaluate(r.Point, grad, memo); err != nil {
		return nil, err
	}
	r.GradientNorm = math.Sqrt(m.Inner(r.Point, grad, grad))
	r.RelativeGradient = r.GradientNorm / l.GradientScale(r.Objective)
	r.Converged = r.RelativeGradient <= closedFormTolerance
	if !r.Converged {
		return nil, errIllConditioned
	}
	r.Reason = solve.Reason{Name: "closed-form", Detail: fmt.Sprintf("X = S, gradient norm %.3g", r.GradientNorm), Converged: true}
	r.Certificate = l.Certify(r.Point, r.GradientNorm, memo)
	return r, nil
}

func view(m *mat.Dense) dense.Matrix[float64] { return dense.Of(m.RawMatrix()) }
