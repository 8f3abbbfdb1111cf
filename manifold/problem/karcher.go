package problem

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var mean = Problem{
	Name:  "mean",
	What:  "Karcher (Frechet) mean: minimize 1/2 sum w_k dist^2(X, A_k) in the affine-invariant metric",
	Input: "one or more SPD matrices (an m x n x n stack or several n x n files), optional weights",
	Takes: Matrices | Weights,
	Uses:  []string{"power"},
	Own: []Method{{
		Name: "newton",
		What: "closed form for one or two matrices, otherwise Newton's method on followed eigenbases from a point near the mean",
		run:  karcherNewton,
	}, {
		Name: "richardson",
		What: "gradient steps of fixed optimal length (Bini and Iannazzo), linear convergence",
		run:  karcherRichardson,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		k, err := newKarcher(d, m, false)
		if err != nil {
			return nil, err
		}
		return k, nil
	},
	device: meanDevice,
}

// Mean returns the weighted Karcher mean of SPD matrices of one size; nil weights are equal. It is Solve("mean", ...) with the defaults: the
// result is certified to lie within about 1e-8 of the mean, relative to the root mean square distance of the matrices from it or, where rounding sets them
// apart by more, to that: 1e-5 n for well-conditioned matrices, growing as the root of their condition to at most 0.1.
func Mean(matrices []mat.Symmetric, weights []float64) (*mat.SymDense, error) {
	r, err := Solve("mean", Data{Matrices: matrices, Weights: weights}, nil)
	if err != nil {
		return nil, err
	}
	if !r.Converged {
		return nil, fmt.Errorf("mean: not converged: %s; %s", r.Reason, r.Advice)
	}
	return r.Solution, nil
}

// karcherObjective is 1/2 sum w_k dist^2(X, A_k). With C_k = F^-1 A_k F^-T the whitened differential is -sum w_k log C_k. In the eigenbasis of C_k
// with logarithms l the Hessian multiplies the entry (i, j) by (d/2) coth(d/2), d = l_i - l_j (for symmetric spaces in general: Ferreira,
// Xavier, Costeira and Barroso, IEEE J. Sel. Top. Signal Process. 7 (2013) 634-645). The factor is at least 1: the cost is 1-strongly convex along geodesics, so the distance to the mean is at most the gradient norm. Distances are those of the metric, so that
// kappa scales the cost by 1/kappa and leaves gradient and Hessian as they are.
type karcherObjective struct {
	m                 *manifold.Affine
	n                 int
	matrices          []mat.Symmetric
	upper             []dense.Matrix[float64] // their upper triangles
	copies            []dense.Matrix[float64] // see data
	frames            []*manifold.Frame       // see factors
	singles           *resolvents[float32]    // see sideBySide
	lone              *loneInverses           // see inverses32
	mean              *dense.Matrix[float32]  // of the inverses; nil where invert failed
	arithmetic        *dense.Matrix[float32]  // that of the data; nil as long as it is not needed
	whitening         *whitening              // where the search in single precision sees the data from, if not as they are
	spread            float64                 // tr A/n tr A^-1/n of the data, where it did not
	weights           []float64
	invT              dense.Matrix[float64] // F^-T at the point being evaluated
	team              *team
	latest            *karcherMemo                 // eigenbases nearest to the next point
	evaluate, product func(w *worker, i int) error // evaluateTerm and addTerm
	product32         func(w *singleWorker, i int)
	from, at          *karcherMemo // of the present call
	inv               dense.Matrix[float64]
	eta               dense.Matrix[float64]
	eta32             dense.Matrix[float32]
	rounded           bool          // products with the Hessian are of operands rounded to bfloat16
	afresh            bool          // the answer depends on the point alone, to the bit: eigenbases are not followed from point to point
	reference         []*spectrum   // but from these, if any
	single            *singleSearch // the search that found the first point, if there was one
	least             float64       // scatter that gradients are measured against
	// accuracy is the error of the gradient that an evaluation may leave; it sets how far eigenbases are followed.
	accuracy float64
}

// karcherMemo holds the spectra of every C_k at one point.
type karcherMemo struct {
	spectra []*spectrum
	slack   float64 // bound of the error of the gradient: first-order logarithms and rounding
}

// exactAccuracy is the gradient error that general solvers get: below rounding.
const exactAccuracy = 1e-14

// newKarcher checks the data. Where they are large and well-conditioned enough to be inverted side by side, as they are or as they are seen from their mean, the check is that of their
// inverses, and the Cholesky factors are left for when they are needed. If so told it keeps these inverses.
func newKarcher(d *Data, metric func(int) (*manifold.Affine, error), keep bool) (*karcherObjective, error) {
	k := &karcherObjective{matrices: d.Matrices, accuracy: exactAccuracy}
	for _, a := range d.Matrices {
		k.upper = append(k.upper, upperOf(a))
	}
	var bad error
	if k.weights, bad = normalizedWeights(d.Weights, len(d.Matrices)); bad != nil || !k.prepareSingle(keep) {
		frames, err := factorMatrices(d.Matrices)
		if err != nil {
			return nil, err
		}
		k.frames = frames
	}
	if bad != nil {
		return nil, bad
	}
	if k.n = d.Matrices[0].SymmetricDim(); k.team == nil {
		k.team = newLazyTeam(k.n, len(d.Matrices))
	}
	k.least = min(mostScatter, scatterOfRounding*k.condition())
	var err error
	if k.m, err = metric(k.n); err != nil {
		return nil, err
	}
	k.invT = dense.New[float64](k.n, k.n)
	k.evaluate, k.product, k.product32 = k.evaluateTerm, k.addTerm, k.addTerm32
	return k, nil
}

// condition returns a bound of the root of tr A tr A^-1 over the data.
func (k *karcherObjective) condition() float64 {
	if k.frames == nil {
		return math.Sqrt(k.spread) * float64(k.n)
	}
	var most float64
	for _, f := range k.frames {
		l, inv := view(f.F()), view(f.Inverse())
		most = max(most, dense.Dot(l.Data, l.Data)*dense.Dot(inv.Data, inv.Data))
	}
	return math.Sqrt(most)
}

// data returns copies of the data, complete.
func (k *karcherObjective) data() []dense.Matrix[float64] {
	for _, a := range k.matrices[len(k.copies):] {
		k.copies = append(k.copies, view(manifold.DenseOf(a)))
	}
	return k.copies
}

// upperOf returns a matrix with the upper triangle of a, where possible that itself; what is below it must not be looked at.
func upperOf(a mat.Symmetric) dense.Matrix[float64] {
	if r, ok := a.(mat.RawSymmetricer); ok {
		if s := r.RawSymmetric(); s.Uplo == blas.Upper {
			return dense.Matrix[float64]{Rows: s.N, Cols: s.N, Stride: s.Stride, Data: s.Data}
		}
	}
	if a.SymmetricDim() == 0 {
		return dense.Matrix[float64]{}
	}
	return view(manifold.DenseOf(a))
}

// prepareSingle makes the data ready for the search in single precision, as they are or, where they have an ill-conditioned centre in common, as they are seen from their mean.
// False means that they are not fit for it.
func (k *karcherObjective) prepareSingle(keep bool) bool {
	fit := k.invert(keep)
	if fit && !k.aboutCentre() {
		return true
	}
	return k.whiten(keep) || k.mean != nil
}

// commonCentre is the ratio of tr A/n tr H/n to tr A H/n, A and H the means of the data and of their inverses, from which on it pays to whiten data that single precision bears as they are: it
// is 1 for scattered data, and the spread of their centre for those that differ little. At 4 to 5 the time is 0.85 to 1.1 of that without, at 17 to 21 it is 0.55 to 0.8.
const commonCentre = 8

// aboutCentre tells whether the data differ less from one another than their centre does from the identity.
func (k *karcherObjective) aboutCentre() bool {
	a := dense.New[float32](k.n, k.n)
	k.inverses32().data().sum(a, k.weights)
	k.arithmetic = &a
	n := float64(k.n)
	return float64(a.Trace())/n*float64(k.mean.Trace())/n > commonCentre*float64(dense.Dot(a.Data, k.mean.Data))/n
}

// invert finds the mean of the inverses, in single precision, and by that whether the data are fit for it. False means that there are too few or too small
// matrices, or that one is unfit or too ill-conditioned for the search in single precision.
func (k *karcherObjective) invert(keep bool) bool {
	if len(k.matrices) < 3 {
		return false
	}
	if k.n = k.upper[0].Rows; k.n < smallestSingle || len(k.matrices)*k.n*k.n < singleWork {
		return false
	}
	for _, a := range k.upper {
		if a.Rows != k.n {
			return false
		}
	}
	k.team = newLazyTeam(k.n, len(k.matrices))
	mean := dense.New[float32](k.n, k.n)
	fit, ok := k.inverses32().harmonic(mean, k.weights, keep)
	if !ok || !k.bears(fit) {
		return false
	}
	k.mean, k.spread = &mean, fit.spread
	return true
}

// bears tells whether single precision does data of that fitness; the errors of n terms add up like the root of n.
func (k *karcherObjective) bears(fit fitness) bool {
	return fit.spread <= worstSpread && fit.condition*math.Sqrt(float64(k.n))*singleRounding < 0.1
}

// singleRounding is the rounding error of single precision.
const singleRounding = 1.0 / (1 << 24)

// sideBySide returns the data as bundles in single precision.
func (k *karcherObjective) sideBySide() *resolvents[float32] {
	if k.singles == nil {
		k.singles = newResolvents[float32](k.upper)
		k.singles.bears = k.bears
	}
	return k.singles
}

// inverses32 returns what adds up inverses in single precision.
func (k *karcherObjective) inverses32() singleInverses {
	if k.n <= largestBundled {
		return k.sideBySide()
	}
	if k.lone == nil {
		k.lone = newLoneInverses(k.team, k.upper)
	}
	return k.lone
}

// factors returns the Cholesky factors of the data.
func (k *karcherObjective) factors() []*manifold.Frame {
	if k.frames == nil {
		frames, err := factorMatrices(k.matrices)
		if err != nil { // their condition is at most worstSpread n^2
			panic(err)
		}
		k.frames = frames
	}
	return k.frames
}

// forget implements historian.
func (k *karcherObjective) forget() { k.afresh = true }

// recall implements historian: eigenbases are followed from those at p.
func (k *karcherObjective) recall(p *manifold.Frame) {
	m := k.NewMemo().(*karcherMemo)
	k.inv = view(p.Inverse())
	dense.Transpose(k.invT, k.inv)
	k.factors()
	err := k.team.run(func(w *worker, i int) error {
		return m.spectra[i].locate(k.inv, k.invT, view(k.frames[i].F()), math.Sqrt(exactAccuracy), w)
	}, make([]float64, k.n*k.n))
	if err == nil {
		k.reference = m.spectra
	}
}

// begin sets the basis from which the spectrum of matrix i is sought, if that may not be the one that s has.
func (k *karcherObjective) begin(s *spectrum, i int) {
	if k.reference != nil {
		s.basis.Copy(k.reference[i].basis)
	}
	if k.afresh {
		s.known = k.reference != nil
	}
}

func (k *karcherObjective) size() (int, int) { return k.n, len(k.matrices) }

func (k *karcherObjective) finish(p *manifold.Frame, _ *Options) *mat.SymDense { return p.Sym() }

// NewMemo implements solve.Memoizer.
func (k *karcherObjective) NewMemo() solve.Memo {
	m := &karcherMemo{spectra: make([]*spectrum, len(k.matrices))}
	for i := range m.spectra {
		m.spectra[i] = newSpectrum(k.n)
	}
	return m
}

// Evaluate implements solve.Objective. For each matrix it follows the eigenbasis from the last evaluation, or decomposes afresh where that
// is cheaper: between 4 and about 30 products.
func (k *karcherObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	k.from, k.at, k.inv = k.latest, memo.(*karcherMemo), view(p.(*manifold.Frame).Inverse())
	dense.Transpose(k.invT, k.inv)
	k.factors()
	if err := k.team.run(k.evaluate, grad); err != nil {
		return math.Inf(1), err
	}
	k.latest = k.at
	k.at.slack = k.team.sum(1)
	return k.team.sum(0) / (2 * k.m.Kappa()), nil
}

func (k *karcherObjective) evaluateTerm(w *worker, i int) error {
	s := k.at.spectra[i]
	if k.from != nil && k.from != k.at {
		s.basis.Copy(k.from.spectra[i].basis)
		s.known = k.from.spectra[i].known
	}
	k.begin(s, i)
	if err := s.locate(k.inv, k.invT, view(k.frames[i].F()), math.Sqrt(k.accuracy), w); err != nil {
		return err
	}
	s.addLog(-k.weights[i], w)
	w.sum[0] += k.weights[i] * s.squares()
	w.sum[1] += k.weights[i] * (s.residual*s.residual + s.rounding)
	return nil
}

// HessianVec implements solve.Hessian: three products for each matrix.
func (k *karcherObjective) HessianVec(dst []float64, _ manifold.Point, v []float64, memo solve.Memo) error {
	k.at, k.eta = memo.(*karcherMemo), dense.Wrap(k.n, k.n, v)
	return k.team.run(k.product, dst)
}

func (k *karcherObjective) addTerm(w *worker, i int) error {
	k.at.spectra[i].addHessian(k.weights[i], squaredDistance, k.eta, w)
	return nil
}

// hessianVec32 implements followedObjective.
func (k *karcherObjective) hessianVec32(dst, v []float64, v32 []float32, _ manifold.Point, memo solve.Memo) {
	k.at = memo.(*karcherMemo)
	k.sum32(dst, v, v32)
}

func (k *karcherObjective) addTerm32(w *singleWorker, i int) {
	k.at.spectra[i].addHessian32(k.weights[i], squaredDistance, k.eta32, k.rounded, w)
}

// roundedHessian is the number of rows from which on products of operands rounded to bfloat16 pay.
const roundedHessian = 48

// round implements roundable.
func (k *karcherObjective) round(yes bool) bool {
	k.rounded = yes && k.n >= roundedHessian && dense.HasBFloat16()
	return k.rounded
}

// sum32 sets dst to the sum of the products of the terms with v.
func (k *karcherObjective) sum32(dst, v []float64, v32 []float32) {
	dense.ScaleSingle(1, v, v32)
	k.eta32 = dense.Wrap(k.n, k.n, v32)
	k.team.run32(k.product32, dst)
}

// tune implements followedObjective.
func (k *karcherObjective) tune(accuracy float64) { k.accuracy = accuracy }

// slackAt implements followedObjective.
func (k *karcherObjective) slackAt(memo solve.Memo) float64 { return memo.(*karcherMemo).slack }

// leastCurvature implements followedObjective: the cost is 1-strongly convex.
func (k *karcherObjective) leastCurvature(solve.Memo) float64 { return 1 }

// quadratic implements followedObjective; measured on scattered data.
func (k *karcherObjective) quadratic() float64 { return 0.2 / float64(k.n) }

// retraction implements followedObjective.
func (k *karcherObjective) retraction() manifold.Retraction { return manifold.DefaultStep }

// settle implements followedObjective: no matrix is known to be the mean.
func (k *karcherObjective) settle(solve.Memo, float64) (*settlement, error) { return nil, nil }

// GradientScale implements solve.Scaler: the root mean square distance of the matrices from the point. Distances have no unit; of matrices that are equal or
// nearly so the gradient is measured against the distance that rounding sets them apart by.
func (k *karcherObjective) GradientScale(cost float64) float64 {
	return max(math.Sqrt(2*cost), k.least)
}

// scatterOfRounding is the least scatter of data of condition 1: 1e-8 of it, times the root of the condition, is ten times the rounding of a gradient, or more.
// mostScatter bounds it for ill-conditioned data.
const scatterOfRounding, mostScatter = 1e-5, 0.1

// Certify implements solve.Certifier by strong convexity.
func (k *karcherObjective) Certify(_ manifold.Point, gradientNorm float64, memo solve.Memo) solve.Certificate {
	return solve.Certificate{Kind: "strong-convexity", Value: gradientNorm + memo.(*karcherMemo).slack/math.Sqrt(k.m.Kappa()), Bound: true}
}
