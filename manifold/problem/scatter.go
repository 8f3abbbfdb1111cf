package problem

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/gram"
	"github.com/spdopt/spdopt/manifold/solve"
)

// loss is rho of the scatter M-estimator that minimizes log det X + (1/N) sum rho(x' X^-1 x): its value, first and second derivative at q >= 0.
type loss func(q float64) (rho, first, second float64)

var student = Problem{
	Name:  "student",
	What:  "scatter of a multivariate t distribution: minimize log det X + ((nu+n)/N) sum log(nu + x' X^-1 x)",
	Input: "zero-mean samples (N x n, N >= n)",
	Takes: Samples,
	Uses:  []string{"nu"},
	Own:   []Method{scatterFixedPoint},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), o *Options) (instance, error) {
		nu := o.degrees()
		s, err := newScatter(d, m, func(n int) (weighing, float64) { return studentWeights(nu, n), nu + float64(n) })
		if err != nil {
			return nil, err
		}
		return studentObjective{s}, nil
	},
	triangular: true,
	device:     scatterDevice(studentOf),
}

// studentOf and huberOf return the loss for the parameters and its reach, see newScatter.
func studentOf(o *Options, n int) (loss, float64) {
	nu := o.degrees()
	return studentLoss(nu, n), nu + float64(n)
}

// degrees returns nu, the degrees of freedom of Student's distribution.
func (o *Options) degrees() float64 {
	if o.Nu == 0 {
		return 3
	}
	return o.Nu
}

func huberOf(o *Options, n int) (loss, float64) {
	c2, b := huberConstants(o, n)
	return huberLoss(c2, b), c2 / b
}

// huberConstants returns c2 and b, see huberLoss: the chi-square quantile and what gives Gaussian samples their covariance.
func huberConstants(o *Options, n int) (c2, b float64) {
	quantile := o.Quantile
	if quantile == 0 {
		quantile = 0.9
	}
	c2 = distuv.ChiSquared{K: float64(n)}.Quantile(quantile)
	return c2, distuv.ChiSquared{K: float64(n + 2)}.CDF(c2) + c2*(1-quantile)/float64(n)
}

var huber = Problem{
	Name:  "huber",
	What:  "Huber's scatter: samples within the Gaussian quantile count in full, those beyond it by their direction only",
	Input: "zero-mean samples (N x n, N >= n)",
	Takes: Samples,
	Uses:  []string{"quantile"},
	Own: []Method{scatterFixedPoint, {
		Name: "newton",
		What: "trust-region Newton with exact Hessian products",
		run:  general(solve.Solver{Run: solve.Trust}).run, resumes: true,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), o *Options) (instance, error) {
		return newScatter(d, m, func(n int) (weighing, float64) {
			c2, b := huberConstants(o, n)
			return huberWeights(c2, b), c2 / b
		})
	},
	triangular: true,
	device:     scatterDevice(huberOf),
}

var scatterFixedPoint = Method{
	Name: "fixed-point",
	What: "X <- (1/N) sum rho'(x' X^-1 x) x x', accelerated in the logarithms of the weights, with Newton's step for the scale",
	run: func(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
		s := in.(interface{ scatter() *scatterObjective }).scatter()
		first, err := firstPoint(in, o)
		if err != nil {
			return nil, err
		}
		w := newReweighting(s.x, s.z, s.weigh, m, o, &s.lender)
		w.startAt(first)
		r, err := w.run(func(what string) error {
			return &DataError{Err: fmt.Errorf("the estimate became singular: %s", what),
				Remedy: "too many samples lie in a proper subspace: remove repeated samples, or " + shrinkageRemedy}
		})
		if err != nil {
			return nil, err
		}
		grad := make([]float64, m.VectorLen())
		minusPlusIdentity(grad, w.p)
		f := r.Point.(*manifold.Frame)
		m.FromWhitened(f, grad)
		r, err = certified(in, m, w.mon, f, grad, s.memoOf(w))
		return adviseOfSubspaces(r, err, "the estimate")
	},
}

// studentLoss is (nu+n) log(nu + q): maximum likelihood for nu degrees of freedom (Kent and Tyler, Ann. Statist. 19 (1991) 2102-2119).
func studentLoss(nu float64, n int) loss {
	c := nu + float64(n)
	return func(q float64) (float64, float64, float64) {
		u := c / (nu + q)
		return c * math.Log(nu+q), u, -u / (nu + q)
	}
}

// weighing is a loss for all q in one call.
type weighing struct {
	total  func(q, work []float64) float64  // the sum of the values; work has the length of q
	slopes func(q, first, second []float64) // sets first and second to the derivatives at every q
}

// studentWeights is the weighing of studentLoss.
func studentWeights(nu float64, n int) weighing {
	c := nu + float64(n)
	return weighing{
		total: func(q, work []float64) float64 {
			for i, v := range q {
				work[i] = nu + v
			}
			dense.Log(work, work)
			return c * dense.Sum(work)
		},
		slopes: func(q, first, second []float64) {
			for i, v := range q {
				r := 1 / (nu + v)
				u := c * r
				first[i], second[i] = u, -u*r
			}
		},
	}
}

// huberLoss is q/b up to c2 and (c2/b)(log(q/c2) + 1) beyond (Ollila, Palomar and Pascal, IEEE Trans. Signal Process. 69 (2021) 256-269, section II). The
// limit of q rho'(q) is c2/b.
func huberLoss(c2, b float64) loss {
	return func(q float64) (float64, float64, float64) {
		if q <= c2 {
			return q / b, 1 / b, 0
		}
		u := c2 / (b * q)
		return c2 / b * (math.Log(q/c2) + 1), u, -u / q
	}
}

// huberWeights is the weighing of huberLoss.
func huberWeights(c2, b float64) weighing {
	return weighing{
		total: func(q, work []float64) float64 {
			var inside float64
			for i, v := range q {
				inside += min(v, c2)
				work[i] = max(v/c2, 1)
			}
			dense.Log(work, work)
			return (inside + c2*dense.Sum(work)) / b
		},
		slopes: func(q, first, second []float64) {
			for i, v := range q {
				if v <= c2 {
					first[i], second[i] = 1/b, 0
					continue
				}
				r := 1 / v
				u := c2 / b * r
				first[i], second[i] = u, -u*r
			}
		},
	}
}

// scatterObjective is log det X + (1/N) sum rho(q), q = z'z, z = F^-1 x. With P = (1/N) sum rho'(q) z z' the whitened differential is I - P and
// the Hessian (eta P + P eta)/2 + (1/N) sum rho”(q) (z' eta z) z z'. It is convex along geodesics for both losses.
type scatterObjective struct {
	lender
	m    *manifold.Affine
	x, z dense.Matrix[float64]
	work dense.Matrix[float64]
	q, c []float64 // squared lengths and factors of the rows
	// weigh is the weighing of the loss.
	weigh weighing
	from  *manifold.Frame
}

type scatterMemo struct {
	z, p   dense.Matrix[float64]
	second []float64 // rho''(q)/N
	scale  float64   // the curvature along multiples of X, where it is n for log det X alone
}

// newScatter checks the data. reach is the limit of q rho'(q): an M-estimate exists if a subspace of dimension k holds less than the share
// 1 - (n-k)/reach of the samples (Kent and Tyler 1991); for k = 0 these are the zeros, for points in general position N >= n is enough.
func newScatter(d *Data, m func(int) (*manifold.Affine, error), choose func(n int) (weighing, float64)) (*scatterObjective, error) {
	x, err := finiteSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	N, n := x.Rows, x.Cols
	s := &scatterObjective{x: x, q: make([]float64, N), c: make([]float64, N)}
	s.z, s.work = s.matrix(N, n), s.matrix(n, n)
	weigh, reach := choose(n)
	s.weigh = weigh
	if err := scatterExists(x, reach); err != nil {
		return nil, err
	}
	gramUpper(1/float64(N), x, x, 0, s.work)
	if s.from, err = gram.Frame(symmetric(s.work), x); err != nil {
		return nil, singularCovariance(err)
	}
	s.m, err = m(n)
	return s, err
}

// scatterExists refuses samples that are too few, or zero too often.
func scatterExists(x dense.Matrix[float64], reach float64) error {
	N, n := x.Rows, x.Cols
	if N < n {
		return &DataError{count: true, Err: fmt.Errorf("%d samples of dimension %d: the estimate needs at least as many samples as dimensions", N, n),
			Remedy: "give more samples, reduce the dimension, or " + shrinkageRemedy}
	}
	zeros := 0
	for i := range N {
		if dense.Dot(x.Row(i), x.Row(i)) == 0 {
			zeros++
		}
	}
	if limit := 1 - float64(n)/reach; zeros > 0 && float64(zeros) >= limit*float64(N) {
		return &DataError{Err: fmt.Errorf("%d of %d samples are zero; the estimate exists for a share below %.3g", zeros, N, limit), Remedy: "remove them"}
	}
	return nil
}

func (s *scatterObjective) scatter() *scatterObjective { return s }

func (s *scatterObjective) size() (int, int) { return s.x.Cols, s.x.Rows }

// start returns the covariance of the samples.
func (s *scatterObjective) start() *manifold.Frame { return s.from }

func (s *scatterObjective) finish(p *manifold.Frame, _ *Options) *mat.SymDense { return p.Sym() }

// GradientScale implements solve.Scaler: the gradient I - P is free of units, I is its scale.
func (s *scatterObjective) GradientScale(float64) float64 {
	return math.Sqrt(float64(s.x.Cols) * s.m.Kappa())
}

// NewMemo implements solve.Memoizer.
func (s *scatterObjective) NewMemo() solve.Memo {
	return &scatterMemo{z: s.matrix(s.x.Rows, s.x.Cols), p: s.matrix(s.x.Cols, s.x.Cols), second: make([]float64, s.x.Rows)}
}

// memoOf returns what an evaluation at the last point of w would leave; w has verified that point, and gives its samples away.
func (s *scatterObjective) memoOf(w *reweighting) *scatterMemo {
	m := &scatterMemo{z: w.y, p: w.p, second: make([]float64, s.x.Rows)}
	s.z = s.matrix(s.x.Rows, s.x.Cols)
	N := float64(s.x.Rows)
	s.weigh.slopes(w.q, w.first, m.second)
	for i, q := range w.q {
		m.scale += (w.first[i] + m.second[i]*q) * q / N
	}
	dense.Scale(1/N, m.second, m.second)
	dense.Scale(-0.5, w.shown, w.first)
	dense.Exp(w.first, w.first)
	dense.ScaleRows(w.first, m.z, m.z)
	return m
}

// Evaluate implements solve.Objective: one product with the samples and half a product of their size.
func (s *scatterObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*scatterMemo)
	whiten(m.z, s.x, f)
	N := float64(s.x.Rows)
	dense.RowDots(m.z, m.z, s.q)
	sum := s.weigh.total(s.q, s.c)
	s.weigh.slopes(s.q, s.c, m.second)
	m.scale = 0
	for i, q := range s.q {
		s.c[i] /= N
		m.second[i] /= N
		m.scale += (s.c[i] + m.second[i]*q) * q
	}
	dense.ScaleRows(s.c, m.z, s.z)
	gramUpper(1, s.z, m.z, 0, m.p)
	dense.Mirror(m.p)
	if sum-sum != 0 {
		return math.Inf(1), errors.New("a sample is too long to be squared: scale the samples down")
	}
	minusPlusIdentity(grad, m.p)
	s.m.FromWhitened(f, grad)
	return f.LogDet() + sum/N, nil
}

// HessianVec implements solve.Hessian: two half products with the samples, one small product.
func (s *scatterObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*scatterMemo), s.x.Cols
	out, eta := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	dense.SymmetricProduct(out, eta, m.p, s.work)
	halfForms(s.z, m.z, eta, s.work)
	dense.RowDots(m.z, s.z, s.c)
	dense.Multiply(s.c, m.second, s.c)
	dense.ScaleRows(s.c, m.z, s.z)
	gramUpper(2, m.z, s.z, 1, out)
	dense.Mirror(out)
	s.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// studentObjective is a scatterObjective with a preconditioner.
type studentObjective struct{ *scatterObjective }

// Precondition implements solve.Preconditioner. The Hessian is near the identity but along multiples of X, where the weights take all but about nu/(nu + n) of the
// curvature away. It costs n^2 operations.
func (s studentObjective) Precondition(dst []float64, _ manifold.Point, v []float64, memo solve.Memo) error {
	n := s.x.Cols
	copy(dst, v)
	if h := memo.(*scatterMemo).scale / float64(n); h > 0 {
		var trace float64
		for i := range n {
			trace += v[i*n+i]
		}
		for i := range n {
			dst[i*n+i] += (1/h - 1) * trace / float64(n)
		}
	}
	dense.Scale(1/s.m.Kappa(), dst, dst)
	return nil
}
