package problem

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/gram"
	"github.com/spdopt/spdopt/manifold/solve"
)

var tyler = Problem{
	Name:  "tyler",
	What:  "Tyler's robust scatter matrix: minimize log det X + (n/N) sum log(x' X^-1 x), scale fixed afterwards",
	Input: "zero-mean samples (N x n, N > n)",
	Takes: Samples,
	Uses:  []string{"normalize"},
	Own: []Method{{
		Name: "fixed-point",
		What: "X <- (n/N) sum x x'/(x' X^-1 x), accelerated in the logarithms of the weights; half a product with the samples and half of one of their size per iteration",
		run:  tylerFixedPoint,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		x, err := finiteSamples(d.Samples)
		if err != nil {
			return nil, err
		}
		t := &tylerObjective{x: x, q: make([]float64, x.Rows), c: make([]float64, x.Rows)}
		t.z, t.work = t.matrix(x.Rows, x.Cols), t.matrix(x.Cols, x.Cols)
		if err := t.check(); err != nil {
			return nil, err
		}
		t.m, err = m(x.Cols)
		return t, err
	},
	triangular: true,
	device:     tylerDevice,
}

// tylerObjective is log det X + (n/N) sum log(x' X^-1 x). With z = F^-1 x, q = z'z and P = (n/N) sum z z'/q the whitened differential is I - P,
// and the Hessian (eta P + P eta)/2 - (n/N) sum (z' eta z) z z'/q^2.
type tylerObjective struct {
	lender
	m    *manifold.Affine
	x, z dense.Matrix[float64]
	work dense.Matrix[float64]
	q, c []float64 // squared lengths and factors of the rows
	logs float64   // sum log(x'x)
	from *manifold.Frame
}

// check refuses data for which the estimator does not exist: Tyler's matrix exists for points in general position if and only if N > n
// (Tyler, Ann. Statist. 15 (1987) 234-251); points in a proper subspace are found by a Cholesky factorization of the scatter of the directions, which is
// where the general solvers start. It leaves the samples scaled to unit length in z and their scatter in work.
func (t *tylerObjective) check() error {
	if err := t.checkDirections(); err != nil {
		return err
	}
	t.gram(t.z, t.work)
	var err error
	if t.from, err = gram.Frame(symmetric(t.work), t.z); err != nil {
		return tylerSubspace(err)
	}
	return nil
}

func tylerSubspace(err error) error {
	return &DataError{Where: "scatter of the directions", Err: err,
		Remedy: "the samples lie in a subspace: drop dependent columns, or " + shrinkageRemedy}
}

// checkDirections is check without the scatter of the directions.
func (t *tylerObjective) checkDirections() error {
	N, n := t.x.Rows, t.x.Cols
	if N <= n {
		return &DataError{count: true, Err: fmt.Errorf("%d samples of dimension %d: Tyler's scatter matrix needs more samples than dimensions", N, n),
			Remedy: "give more samples, reduce the dimension, or " + shrinkageRemedy}
	}
	t.z.Copy(t.x)
	t.logs = t.directions(t.z)
	for i, l := range t.q {
		if l-l != 0 {
			return &DataError{Where: fmt.Sprintf("sample %d", i), Err: fmt.Errorf("has norm %v and no direction", math.Exp(l/2)), Remedy: "remove it"}
		}
	}
	if count, first := t.repeated(); n > 1 && count*n >= N {
		return &DataError{Where: fmt.Sprintf("sample %d", first), Err: fmt.Errorf("%d of the %d samples point in its direction; Tyler's matrix exists only if fewer than N/n = %.3g do",
			count, N, float64(N)/float64(n)), Remedy: "remove repeated samples, or " + shrinkageRemedy}
	}
	return nil
}

// repeated returns the largest number of samples on one line through the origin (to 1e-10), and the first of them. z holds the directions.
func (t *tylerObjective) repeated() (count, first int) {
	sign, leading := make([]float64, t.z.Rows), t.c // the first coordinate, in which most samples differ
	for i := range sign {
		sign[i] = 1
		for _, v := range t.z.Row(i) {
			if math.Abs(v) > 1e-10 {
				sign[i] = math.Copysign(1e10, v)
				break
			}
		}
		leading[i] = math.Round(sign[i] * t.z.At(i, 0))
	}
	if !repeats(leading) {
		return 1, 0
	}
	order := make([]int, t.z.Rows)
	for i := range order {
		order[i] = i
	}
	compare := func(a, b int) int {
		x, y := t.z.Row(a), t.z.Row(b)
		for j := range x {
			if c := cmp.Compare(math.Round(sign[a]*x[j]), math.Round(sign[b]*y[j])); c != 0 {
				return c
			}
		}
		return 0
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if c := cmp.Compare(leading[a], leading[b]); c != 0 {
			return c
		}
		return compare(a, b)
	})
	start := 0
	for i := range order {
		if compare(order[start], order[i]) != 0 {
			start = i
		}
		if i-start+1 > count {
			count, first = i-start+1, order[start]
		}
	}
	return count, first
}

// repeats tells whether two elements of x are equal, by a table of the elements so far.
func repeats(x []float64) bool {
	size := bits.Len(uint(len(x))) + 1
	table := make([]uint64, 1<<size) // one more than the bits of an element, 0 where there is none
	for _, v := range x {
		key := math.Float64bits(v+0) + 1 // -0 is 0
		at := key * 0x9e3779b97f4a7c15 >> (64 - size)
		for table[at] != 0 {
			if table[at] == key {
				return true
			}
			at = (at + 1) & (1<<size - 1)
		}
		table[at] = key
	}
	return false
}

type tylerMemo struct {
	u dense.Matrix[float64] // rows z'/sqrt(q)
	p dense.Matrix[float64]
}

func (t *tylerObjective) size() (int, int) { return t.x.Cols, t.x.Rows }

// start returns the scatter of the directions, the point after one step of the fixed-point iteration from the identity.
func (t *tylerObjective) start() *manifold.Frame { return t.from }

// GradientScale implements solve.Scaler: the norm of the gradient of log det X, the identity in whitened coordinates.
func (t *tylerObjective) GradientScale(float64) float64 {
	return math.Sqrt(t.m.Kappa() * float64(t.x.Cols))
}

// NewMemo implements solve.Memoizer.
func (t *tylerObjective) NewMemo() solve.Memo {
	return &tylerMemo{u: t.matrix(t.x.Rows, t.x.Cols), p: t.matrix(t.x.Cols, t.x.Cols)}
}

// Evaluate implements solve.Objective: a product with the samples, half of one for a triangular frame, and half a product of their size.
func (t *tylerObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*tylerMemo)
	whiten(m.u, t.x, f)
	logs := t.directions(m.u)
	t.gram(m.u, m.p)
	minusPlusIdentity(grad, m.p)
	t.m.FromWhitened(f, grad)
	return f.LogDet() + float64(t.x.Cols)/float64(t.x.Rows)*logs, nil
}

// directions scales every row of u to unit length and returns the sum of the logarithms of the squared lengths.
func (t *tylerObjective) directions(u dense.Matrix[float64]) float64 {
	dense.RowDots(u, u, t.q)
	dense.Sqrt(t.c, t.q)
	for i, r := range t.c {
		t.c[i] = 1 / r
	}
	dense.ScaleRows(t.c, u, u)
	dense.Log(t.q, t.q)
	var sum float64
	for _, v := range t.q {
		sum += v
	}
	return sum
}

// gram sets p = (n/N) u' u.
func (t *tylerObjective) gram(u, p dense.Matrix[float64]) {
	gramUpper(float64(u.Cols)/float64(u.Rows), u, u, 0, p)
	dense.Mirror(p)
}

// HessianVec implements solve.Hessian: two half products with the samples, one small product.
func (t *tylerObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*tylerMemo), t.x.Cols
	out, eta := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	dense.SymmetricProduct(out, eta, m.p, t.work)
	halfForms(t.z, m.u, eta, t.work)
	dense.RowDots(m.u, t.z, t.c)
	dense.ScaleRows(t.c, m.u, t.z)
	gramUpper(-2*float64(n)/float64(t.x.Rows), m.u, t.z, 1, out)
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

// stretch implements stretcher.
func (t *tylerObjective) stretch(s *mat.SymDense, o *Options) float64 {
	return o.Normalization.stretch(s)
}

// tylerFixedPoint runs the reweighting iteration. Its default start is the identity, which check has evaluated.
func tylerFixedPoint(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
	t := in.(*tylerObjective)
	w := newReweighting(t.x, t.z, tylerWeights(t.x.Cols), m, o, &t.lender)
	w.free = true
	if o.Start == nil {
		w.startAtIdentity(t)
	} else {
		first, err := firstPoint(t, o)
		if err != nil {
			return nil, err
		}
		w.startAt(first)
	}
	r, err := w.run(tylerMissing)
	return adviseOfSubspaces(r, err, "Tyler's matrix")
}

// adviseOfSubspaces adds to the advice of a run that has not converged why there may be nothing that it could converge to.
func adviseOfSubspaces(r *solve.Result, err error, estimate string) (*solve.Result, error) {
	if err == nil && !r.Converged {
		r.Reason.Advice += "; if the gradient does not fall, too many samples may lie in a proper subspace, where " + estimate + " does not exist"
	}
	return r, err
}

// tylerWeights is the weighing of n log q.
func tylerWeights(n int) weighing {
	c := float64(n)
	return weighing{
		total: func(q, work []float64) float64 {
			dense.Log(work, q)
			return c * dense.Sum(work)
		},
		slopes: func(q, first, second []float64) {
			for i, v := range q {
				r := 1 / v
				u := c * r
				first[i], second[i] = u, -u*r
			}
		},
	}
}

// startAtIdentity is startAt without its products: check has left the directions in z and their Gram matrix in work.
func (w *reweighting) startAtIdentity(t *tylerObjective) {
	n := float64(t.x.Cols)
	w.inv.Identity()
	w.p.Copy(t.work)
	for i, l := range t.q {
		w.shown[i] = math.Log(n) - l
	}
	w.cost, w.estimate = n/float64(t.x.Rows)*t.logs, w.gradient()
}

// tylerMissing explains an iteration that runs into the boundary of the cone.
func tylerMissing(what string) error {
	return &DataError{Err: errors.New(what + ": too many samples lie in a proper subspace, Tyler's matrix does not exist"),
		Remedy: "remove repeated samples, or " + shrinkageRemedy}
}
