package problem

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/bound"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	itmlPairs  = 10000 // default of Parameters.Pairs
	itmlSweeps = 20
	itmlNear   = 0.05 // quantile of the squared distances that pairs of one class should not exceed, and 1 minus it for pairs of two
)

// itmlObjective is information-theoretic metric learning (Davis, Kulis, Jain, Sra and Dhillon, ICML 2007): tr X - log det X - n plus gamma times the
// log-det divergence of slacks from the bounds b, where q = z'Xz of every pair difference z should be at most its slack for a pair of one class and at
// least its slack for one of two. The best slack for a given X is max(q, b) or min(q, b), so that the problem is to minimize
// tr X - log det X - n + gamma sum h(q/b) over the pairs on the wrong side of b, h(r) = r - log r - 1: convex, with a continuous gradient. With
// v = F'z, f1 = gamma (1/b - 1/q), f2 = gamma/q^2 and A = F'F + sum f1 v v' the whitened differential is A - I, and the Hessian
// (eta A + A eta)/2 + sum f2 (v' eta v) v v': at the minimum at least the identity.
type itmlObjective struct {
	m     *manifold.Affine
	x     dense.Matrix[float64] // samples less their mean
	pairs [][2]int              // of samples, the first the larger
	z     dense.Matrix[float64] // differences, one a row
	near  []bool                // of one class
	bound []float64
	gamma float64
	count int // samples
	v     dense.Matrix[float64]
	work  dense.Matrix[float64]
}

type itmlMemo struct {
	v, a   dense.Matrix[float64]
	f1, f2 []float64
}

// newITML draws the pairs and sets their bounds.
func newITML(d *Data, o *Options) (*itmlObjective, error) {
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	if _, _, err := classes(d.Labels, x.Rows, "sample"); err != nil {
		return nil, err
	}
	q := &itmlObjective{gamma: o.Gamma, count: x.Rows, work: dense.New[float64](x.Cols, x.Cols)}
	if q.gamma == 0 {
		q.gamma = 1
	}
	pairs := drawPairs(d.Labels, o)
	q.x, q.pairs = centred(x), pairs
	q.z, q.near, q.bound = dense.New[float64](len(pairs), x.Cols), make([]bool, len(pairs)), make([]float64, len(pairs))
	for k, p := range pairs {
		copy(q.z.Row(k), x.Row(p[0]))
		dense.Axpy(-1, x.Row(p[1]), q.z.Row(k))
		q.near[k] = d.Labels[p[0]] == d.Labels[p[1]]
		q.bound[k] = dense.Dot(q.z.Row(k), q.z.Row(k))
	}
	sorted := slices.Sorted(slices.Values(q.bound))
	least, most := sorted[int(itmlNear*float64(len(sorted)-1))], sorted[int(math.Ceil((1-itmlNear)*float64(len(sorted)-1)))]
	if !(least > 0) || math.IsInf(most, 1) {
		return nil, &DataError{Where: "samples", Err: fmt.Errorf("the squared distances of pairs have 5 %% and 95 %% quantiles %v and %v, want positive finite numbers", least, most),
			Remedy: "remove repeated samples, or scale the samples"}
	}
	for k := range q.bound {
		if q.bound[k] = most; q.near[k] {
			q.bound[k] = least
		}
	}
	q.v = dense.New[float64](len(pairs), x.Cols)
	q.m, err = manifold.NewAffine(x.Cols, manifold.AffineOptions{Kappa: o.Kappa, Retraction: o.Retraction})
	return q, err
}

// centred takes their mean from the samples.
func centred(x dense.Matrix[float64]) dense.Matrix[float64] {
	mean := make([]float64, x.Cols)
	for i := range x.Rows {
		dense.Axpy(1/float64(x.Rows), x.Row(i), mean)
	}
	for i := range x.Rows {
		dense.Axpy(-1, mean, x.Row(i))
	}
	return x
}

// drawPairs returns every pair of samples whose labels are known, or as many different ones as the options want, in order.
func drawPairs(labels []int, o *Options) (pairs [][2]int) {
	var known []int
	for i, l := range labels {
		if l >= 0 {
			known = append(known, i)
		}
	}
	want := o.Pairs
	if want == 0 {
		want = itmlPairs
	}
	if n := len(known); n*(n-1)/2 <= want {
		for i := range known {
			for _, j := range known[:i] {
				pairs = append(pairs, [2]int{known[i], j})
			}
		}
		return pairs
	}
	var key [32]byte
	for b := range 8 {
		key[b] = byte(o.Seed >> (8 * b))
	}
	rng, seen := rand.New(rand.NewChaCha8(key)), map[[2]int]bool{}
	for len(pairs) < want {
		i, j := rng.IntN(len(known)), rng.IntN(len(known))
		p := [2]int{known[max(i, j)], known[min(i, j)]}
		if i != j && !seen[p] {
			seen[p] = true
			pairs = append(pairs, p)
		}
	}
	return pairs
}

func (q *itmlObjective) size() (int, int) { return q.z.Cols, q.count }

func (q *itmlObjective) start() *manifold.Frame { return manifold.IdentityFrame(q.z.Cols, 1) }

func (q *itmlObjective) finish(p *manifold.Frame, _ *Options) *mat.SymDense { return p.Sym() }

// GradientScale implements solve.Scaler: the norm of the gradient of log det X, the identity in whitened coordinates.
func (q *itmlObjective) GradientScale(float64) float64 {
	return math.Sqrt(q.m.Kappa() * float64(q.z.Cols))
}

// NewMemo implements solve.Memoizer.
func (q *itmlObjective) NewMemo() solve.Memo {
	P, n := q.z.Rows, q.z.Cols
	return &itmlMemo{dense.New[float64](P, n), dense.New[float64](n, n), make([]float64, P), make([]float64, P)}
}

// slopes sets f1 and f2 of pair k for q = z'Xz and returns h.
func (q *itmlObjective) slopes(k int, value float64) (h, f1, f2 float64) {
	r := value / q.bound[k]
	if q.near[k] != (r > 1) {
		return 0, 0, 0
	}
	return q.gamma * (r - math.Log(r) - 1), q.gamma * (1/q.bound[k] - 1/value), q.gamma / (value * value)
}

// Evaluate implements solve.Objective: one and a half products of the size of the pairs.
func (q *itmlObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m, n := p.(*manifold.Frame), memo.(*itmlMemo), q.z.Cols
	if err := q.m.Complete(p); err != nil {
		return math.Inf(1), err
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q.z, view(f.F()), 0, m.v)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, view(f.F()), view(f.F()), 0, m.a)
	cost := -f.LogDet() - float64(n)
	for i := range n {
		cost += m.a.At(i, i)
	}
	for k := range q.z.Rows {
		var h float64
		h, m.f1[k], m.f2[k] = q.slopes(k, dense.Dot(m.v.Row(k), m.v.Row(k)))
		cost += h
		dense.Scale(m.f1[k], m.v.Row(k), q.v.Row(k))
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, m.v, q.v, 1, m.a)
	dense.Mirror(m.a)
	copy(grad, m.a.Data)
	for i := range n {
		grad[i*n+i]--
	}
	q.m.FromWhitened(f, grad)
	return cost, nil
}

// HessianVec implements solve.Hessian: two products of the size of the pairs.
func (q *itmlObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*itmlMemo), q.z.Cols
	out, eta := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	dense.SymmetricProduct(out, eta, m.a, q.work)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.v, eta, 0, q.v)
	for k, f2 := range m.f2 {
		dense.Scale(f2*dense.Dot(q.v.Row(k), m.v.Row(k)), m.v.Row(k), q.v.Row(k))
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, m.v, q.v, 1, out)
	dense.Mirror(out)
	q.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// Certify implements solve.Certifier. The cost is -log det X plus a convex function, so that with the norm g < 1 of the whitened differential it is at
// most -g - log(1 - g) above its minimum (Nesterov, "Lectures on Convex Optimization", 2018, section 5.1), and the gap bounds the distance.
func (q *itmlObjective) Certify(_ manifold.Point, gradientNorm float64, _ solve.Memo) solve.Certificate {
	gap := itmlGap(gradientNorm / math.Sqrt(q.m.Kappa()))
	if math.IsInf(gap, 1) {
		return solve.Certificate{Kind: "none"}
	}
	return solve.Certificate{Kind: "self-concordance", Value: bound.LogDet(gap) / math.Sqrt(q.m.Kappa()), Bound: true}
}

func itmlGap(g float64) float64 {
	if !(g < 1) {
		return math.Inf(1)
	}
	if g < 1e-4 {
		return g * g * (0.5 + g) // -g - log(1 - g) = g^2/2 + g^3/3 + ... without cancellation
	}
	return -g - math.Log1p(-g)
}

// itmlBy runs a solver on the problem.
func itmlBy(run func(*itmlObjective, *manifold.Frame, *Options) (*solve.Result, error)) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		q, err := newITML(d, o)
		if err != nil {
			return nil, err
		}
		n, _ := q.size()
		if err := o.startRows(n); err != nil {
			return nil, err
		}
		start, err := firstPoint(q, o)
		if err != nil {
			return nil, err
		}
		r, err := run(q, start, o)
		if err != nil {
			return nil, fmt.Errorf("metric-learning: %w", err)
		}
		return q.outcome(r), nil
	}
}

// outcome states how many pairs are on the wrong side of their bounds.
func (q *itmlObjective) outcome(r *solve.Result) *outcome {
	f := r.Point.(*manifold.Frame)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q.z, view(f.F()), 0, q.v)
	var wrong float64
	for k := range q.z.Rows {
		if _, f1, _ := q.slopes(k, dense.Dot(q.v.Row(k), q.v.Row(k))); f1 != 0 {
			wrong++
		}
	}
	parts := []Part{numberPart("pairs", float64(q.z.Rows)), numberPart("pairs_beyond_bound", wrong)}
	if gap := itmlGap(r.GradientNorm / math.Sqrt(q.m.Kappa())); !math.IsInf(gap, 1) {
		parts = append(parts, numberPart("gap", gap))
	}
	return &outcome{run: r, n: q.z.Cols, count: q.count, solution: f.Sym(), parts: parts}
}

func itmlTrust(q *itmlObjective, start *manifold.Frame, o *Options) (*solve.Result, error) {
	return solve.Trust(q.m, q, start, &o.Solver)
}

func itmlLBFGS(q *itmlObjective, start *manifold.Frame, o *Options) (*solve.Result, error) {
	return solve.LBFGS(q.m, q, start, &o.Solver)
}

// itmlProjections is the method of Davis et al.: Bregman projections on one constraint after the other, each a rank-one change of X; an iteration is
// itmlSweeps sweeps over all pairs. X^-1 = I + sum +-lambda z z' holds throughout. It always starts at the identity. The step to the constraint with slack s is
// alpha = gamma/(gamma + 1) (1/q - 1/s), with the sign of the pair, but at most lambda.
func itmlProjections(q *itmlObjective, _ *manifold.Frame, o *Options) (*solve.Result, error) {
	P, n := q.z.Rows, q.z.Cols
	mon := iteration.NewMonitor(&o.Solver, n*n)
	x, w := dense.New[float64](n, n), make([]float64, n)
	x.Identity()
	lambda, slack := make([]float64, P), slices.Clone(q.bound)
	grad, memo := make([]float64, n*n), q.NewMemo()
	for {
		p, err := manifold.NewFrame(symmetric(x.Clone()))
		if err != nil {
			return nil, fmt.Errorf("iteration %d: %w", mon.Status.Iteration, err)
		}
		cost, err := q.Evaluate(p, grad, memo)
		if err != nil {
			return nil, err
		}
		norm := math.Sqrt(q.m.Inner(p, grad, grad))
		if mon.Done(p, cost, norm, q.GradientScale(cost)) {
			r := mon.Result(p, 0)
			r.Certificate = q.Certify(p, norm, memo)
			return r, nil
		}
		var moved float64
		for i := range itmlSweeps * P {
			k := i % P
			z, sign := q.z.Row(k), -1.0
			if q.near[k] {
				sign = 1
			}
			dense.Gemv(dense.NoTrans, 1, x, z, 0, w)
			value := dense.Dot(z, w)
			alpha := min(lambda[k], sign*q.gamma/(q.gamma+1)*(1/value-1/slack[k]))
			if alpha == 0 || !(value > 0) {
				continue
			}
			lambda[k] -= alpha
			slack[k] = q.gamma * slack[k] / (q.gamma + sign*alpha*slack[k])
			dense.Ger(sign*alpha/(1-sign*alpha*value), w, w, x)
			moved += math.Abs(alpha) * value
		}
		mon.Step(moved)
		mon.Status.Evaluations++
	}
}
