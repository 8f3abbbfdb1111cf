package problem

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

var median = Problem{
	Name:  "median",
	What:  "geometric median: minimize sum w_k dist(X, A_k) in the affine-invariant metric",
	Input: "one or more SPD matrices (an m x n x n stack or several n x n files), optional weights",
	Takes: Matrices | Weights,
	Uses:  []string{"power"},
	Own: []Method{{
		Name: "newton",
		What: "Newton's method on followed eigenbases from a point near the median; tries near data as medians",
		run:  medianNewton,
	}, {
		Name: "weiszfeld",
		What: "Weiszfeld's iteration along geodesics (Fletcher, Venkatasubramanian and Joshi, NeuroImage 45 (2009)), over-relaxed; tries near data as medians",
		run:  medianWeiszfeld,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		mean, err := newKarcher(d, m, true)
		if err != nil {
			return nil, err
		}
		k := &medianObjective{karcherObjective: mean, tried: make([]bool, len(d.Matrices))}
		k.evaluate, k.product, k.product32 = k.evaluateTerm, k.addTerm, k.addTerm32
		return k, nil
	},
}

// medianObjective is sum w_k dist(X, A_k). With L_k = log(F^-1 A_k F^-T), d_k = ||L_k||, the whitened differential is -sum w_k L_k/d_k and the
// Hessian sum (w_k/d_k) (H_k eta - <L_k, eta> L_k/d_k^2), H_k that of dist^2/2. Both leave out data at distance zero, where the cost has a kink.
// Distances are those of the metric: Kappa divides the cost by its square root.
type medianObjective struct {
	*karcherObjective
	here  *medianMemo
	tried []bool // matrices that have been tried as the median
}

type medianMemo struct {
	karcherMemo
	distances []float64 // Frobenius norms of the L_k
	inverse   float64   // sum w_k/d_k
}

// atData is the distance below which a point counts as the matrix itself.
const atData = 1e-9

// NewMemo implements solve.Memoizer.
func (k *medianObjective) NewMemo() solve.Memo {
	return &medianMemo{karcherMemo: *k.karcherObjective.NewMemo().(*karcherMemo), distances: make([]float64, len(k.matrices))}
}

// Evaluate implements solve.Objective; the cost is that of the Karcher mean.
func (k *medianObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	m := memo.(*medianMemo)
	k.here, k.inv = m, view(p.(*manifold.Frame).Inverse())
	dense.Transpose(k.invT, k.inv)
	k.factors()
	if err := k.team.run(k.evaluate, grad); err != nil {
		return math.Inf(1), err
	}
	m.slack, m.inverse = k.team.sum(0), 0
	var sum float64
	for i, d := range m.distances {
		sum += k.weights[i] * d
		if d > atData {
			m.inverse += k.weights[i] / d
		}
	}
	return sum / math.Sqrt(k.m.Kappa()), nil
}

func (k *medianObjective) evaluateTerm(w *worker, i int) error {
	s := k.here.spectra[i]
	k.begin(s, i)
	if err := s.locate(k.inv, k.invT, view(k.frames[i].F()), math.Sqrt(k.accuracy), w); err != nil {
		return err
	}
	d := math.Sqrt(s.squares())
	k.here.distances[i] = d
	if d > atData {
		s.addLog(-k.weights[i]*math.Sqrt(k.m.Kappa())/d, w)
		w.sum[0] += 2 * k.weights[i] * math.Sqrt(k.m.Kappa()) / d * (s.residual*s.residual + s.rounding)
	}
	return nil
}

// HessianVec implements solve.Hessian: three products for each matrix.
func (k *medianObjective) HessianVec(dst []float64, _ manifold.Point, v []float64, memo solve.Memo) error {
	k.here, k.eta = memo.(*medianMemo), dense.Wrap(k.n, k.n, v)
	return k.team.run(k.product, dst)
}

func (k *medianObjective) addTerm(w *worker, i int) error {
	if d := k.here.distances[i]; d > atData {
		k.here.spectra[i].addHessian(k.weights[i]*math.Sqrt(k.m.Kappa())/d, distance, k.eta, w)
	}
	return nil
}

// hessianVec32 implements followedObjective.
func (k *medianObjective) hessianVec32(dst, v []float64, v32 []float32, _ manifold.Point, memo solve.Memo) {
	k.here = memo.(*medianMemo)
	k.sum32(dst, v, v32)
}

func (k *medianObjective) addTerm32(w *singleWorker, i int) {
	if d := k.here.distances[i]; d > atData {
		k.here.spectra[i].addHessian32(k.weights[i]*math.Sqrt(k.m.Kappa())/d, distance, k.eta32, k.rounded, w)
	}
}

// GradientScale implements solve.Scaler: the gradient is a weighted sum of unit vectors.
func (k *medianObjective) GradientScale(float64) float64 { return 1 }

// slackAt implements followedObjective.
func (k *medianObjective) slackAt(memo solve.Memo) float64 { return memo.(*medianMemo).slack }

// leastCurvature implements followedObjective: the Hessian is at least this across the directions to the data, if these are all the same.
func (k *medianObjective) leastCurvature(memo solve.Memo) float64 {
	return memo.(*medianMemo).inverse * math.Sqrt(k.m.Kappa())
}

// quadratic implements followedObjective; measured on scattered data.
func (k *medianObjective) quadratic() float64 { return 0.3 }

// fewRows is the number of rows up to which the directions to the data may all be about the same, so that curvature across them says little.
const fewRows = 8

// Certify implements solve.Certifier. The cost is convex along geodesics but not strongly, so there is no bound: the value is the gradient over the
// curvature sum w_k/d_k across the directions to the data; with few rows at least the length of the Newton step.
func (k *medianObjective) Certify(p manifold.Point, gradientNorm float64, memo solve.Memo) solve.Certificate {
	c := k.leastCurvature(memo)
	if c == 0 {
		return solve.Certificate{Kind: "data-point", Bound: true}
	}
	across := solve.Certificate{Kind: "mean-curvature", Value: gradientNorm / c}
	if k.n > fewRows {
		return across
	}
	grad := make([]float64, k.n*k.n)
	if _, err := k.Evaluate(p, grad, memo); err != nil {
		return across
	}
	if step, _ := solve.Certify(k.m, smoothMedian{k, k}, p, grad, memo); step.Value > across.Value {
		return step
	}
	return across
}

// smoothMedian is a medianObjective without its own certificate.
type smoothMedian struct {
	solve.Objective
	solve.Hessian
}

// start returns a matrix that has half of the weight, which is the median; otherwise a point near the median, or near the mean.
func (k *medianObjective) start() *manifold.Frame {
	heaviest := slices.Max(k.weights)
	switch {
	case heaviest > 0.5 || heaviest == 0.5 && len(k.weights) > 2:
		return k.factors()[slices.Index(k.weights, heaviest)].Clone().(*manifold.Frame)
	case len(k.weights) == 2:
		return k.karcherObjective.start() // every point between two matrices of one weight is a median
	}
	if p := k.singleStart(true); p != nil {
		return p
	}
	return k.startFromMeans()
}

func medianNewton(in instance, _ *manifold.Affine, o *Options) (*solve.Result, error) {
	k := in.(*medianObjective)
	first, err := k.singleFirst(k, o, true)
	if err != nil {
		return nil, err
	}
	r, err := k.newton(first, o)
	if err != nil || r.Reason.Name != iteration.Stalled || k.single == nil || o.Start != nil {
		return r, err
	}
	clear(k.tried)
	if again, err := followedFrom(k, k.startFromMeans(), o, newtonDirection); err == nil && again.Converged {
		return again, nil
	}
	return r, nil
}

// newton is Newton's method from that point, without decompositions where they are not needed. Between data that are near one another it may stall at a kink.
func (k *medianObjective) newton(first *manifold.Frame, o *Options) (*solve.Result, error) {
	if s := newShiftedMedian(k, o); s != nil {
		return shiftedIterate(s, k, first, o)
	}
	return followedFrom(k, first, o, newtonDirection)
}

func medianWeiszfeld(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
	relax := newRelaxation(1, m.VectorLen())
	return followedIterate(in.(*medianObjective), o, func(r *followedRun) {
		r.unjudged = true
		relax.plain = 1 / r.k.leastCurvature(r.memo)
		copy(r.step, relax.next(r.grad))
	})
}

// settle implements followedObjective: it tries the matrix nearest to the point if the step could reach that and it is far from the others. Of two that are about as near the next step
// shows which it could be; among many, as in a cluster far from a few outliers, none is likely to be.
func (k *medianObjective) settle(memo solve.Memo, step float64) (*settlement, error) {
	m := memo.(*medianMemo)
	nearest, untried := math.Inf(1), -1
	for i, d := range m.distances {
		if k.weights[i] == 0 {
			continue
		}
		nearest = min(nearest, d)
		if !k.tried[i] && (untried < 0 || d < m.distances[untried]) {
			untried = i
		}
	}
	if nearest > atData && (step < 0.1*nearest || !k.isolated(m, nearest)) {
		return nil, nil
	}
	if untried < 0 || m.distances[untried] > max(atData, 2*nearest) {
		return nil, nil
	}
	k.tried[untried] = true
	return k.try(untried)
}

// try tells whether 0 is a subgradient at matrix i: the pull of the others there is at most the weight of all that lie on it.
func (k *medianObjective) try(i int) (*settlement, error) {
	at, grad := k.NewMemo().(*medianMemo), make([]float64, k.n*k.n)
	accuracy := k.accuracy
	defer k.tune(accuracy)
	k.tune(exactAccuracy)
	cost, err := k.Evaluate(k.factors()[i], grad, at)
	if err != nil {
		return nil, err
	}
	var here float64
	for j, d := range at.distances {
		if d <= atData {
			here += k.weights[j]
		}
	}
	if pull := math.Sqrt(k.m.Inner(k.factors()[i], grad, grad)); pull > here {
		return nil, nil
	}
	return &settlement{k.factors()[i], cost, fmt.Sprintf("matrix %d is the median: its weight outweighs the pull of the others", i)}, nil
}

// isolated tells whether the harmonic mean of the distances above 2 d is at least 4 d.
func (k *medianObjective) isolated(m *medianMemo, d float64) bool {
	var weight, inverse float64
	for i, far := range m.distances {
		if far > 2*d {
			weight += k.weights[i]
			inverse += k.weights[i] / far
		}
	}
	return weight > 4*d*inverse
}

func (k *medianObjective) finish(p *manifold.Frame, _ *Options) *mat.SymDense { return p.Sym() }
