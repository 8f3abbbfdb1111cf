package problem

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var median = Problem{
	Name:  "median",
	What:  "geometric median: minimize sum w_k dist(X, A_k) in the affine-invariant metric",
	Input: "one or more SPD matrices (an m x n x n stack or several n x n files), optional weights",
	Takes: Matrices | Weights,
	Uses:  []string{"power"},
	Own: []Method{{
		Name: "weiszfeld",
		What: "Weiszfeld's iteration along geodesics (Fletcher, Venkatasubramanian and Joshi, NeuroImage 45 (2009)), over-relaxed; tries near data as medians",
		run:  medianWeiszfeld,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), o *Options) (instance, error) {
		in, err := mean.prepare(d, m, o)
		if err != nil {
			return nil, err
		}
		k := &medianObjective{karcherObjective: in.(*karcherObjective)}
		k.evaluate, k.product = k.evaluateTerm, k.addTerm
		return k, nil
	},
}

// medianObjective is sum w_k dist(X, A_k). With L_k = log(F^-1 A_k F^-T), d_k = ||L_k||, the whitened differential is -sum w_k L_k/d_k and the
// Hessian sum (w_k/d_k) (H_k eta - <L_k, eta> L_k/d_k^2), H_k that of dist^2/2. Both leave out data at distance zero, where the cost has a kink.
// Distances are those of the metric: Kappa divides the cost by its square root.
type medianObjective struct {
	*karcherObjective
	inverse float64 // sum w_k/d_k at the last evaluation
	nearest int     // and the nearest matrix
	here    *medianMemo
}

type medianMemo struct {
	karcherMemo
	logs      []dense.Matrix[float64]
	distances []float64 // norms of logs
}

// medianAccuracy is the error that Weiszfeld's iteration allows the next gradient, relative to the present one, whose scale is 1.
const medianAccuracy = 1e-4

// atData is the distance below which a point counts as the matrix itself.
const atData = 1e-9

// NewMemo implements solve.Memoizer.
func (k *medianObjective) NewMemo() solve.Memo {
	m := &medianMemo{karcherMemo: *k.karcherObjective.NewMemo().(*karcherMemo), distances: make([]float64, len(k.frames))}
	for range k.frames {
		m.logs = append(m.logs, dense.New[float64](k.n, k.n))
	}
	return m
}

// Evaluate implements solve.Objective; the cost is that of the Karcher mean.
func (k *medianObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	m := memo.(*medianMemo)
	k.here, k.inv = m, view(p.(*manifold.Frame).Inverse())
	dense.Transpose(k.invT, k.inv)
	for {
		if err := k.team.run(k.evaluate, grad); err != nil {
			return math.Inf(1), err
		}
		if k.accuracy <= exactAccuracy || math.Sqrt(dense.Dot(grad, grad)) >= 10*k.accuracy {
			break
		}
		k.accuracy = max(exactAccuracy, k.accuracy/100) // a gradient this small must be known better
	}
	var sum float64
	k.inverse, k.nearest = 0, 0
	for i, d := range m.distances {
		sum += k.weights[i] * d
		if d > atData {
			k.inverse += k.weights[i] / d
		}
		if d < m.distances[k.nearest] {
			k.nearest = i
		}
	}
	return sum / math.Sqrt(k.m.Kappa()), nil
}

func (k *medianObjective) evaluateTerm(w *worker, i int) error {
	s, l := k.here.spectra[i], k.here.logs[i]
	k.begin(s, i)
	if err := s.locate(k.inv, k.invT, view(k.frames[i].F()), math.Sqrt(k.accuracy), w); err != nil {
		return err
	}
	l.Zero()
	sum := w.acc
	w.acc = l
	s.addLog(1, w)
	w.acc = sum
	dense.Mirror(l)
	d := math.Sqrt(dense.Dot(l.Data, l.Data))
	k.here.distances[i] = d
	if d > atData {
		dense.Axpy(-k.weights[i]*math.Sqrt(k.m.Kappa())/d, l.Data, w.acc.Data)
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
		c := k.weights[i] * math.Sqrt(k.m.Kappa()) / d
		k.here.spectra[i].addHessian(c, k.eta, w)
		l := k.here.logs[i].Data
		dense.Axpy(-c/(d*d)*dense.Dot(l, k.eta.Data), l, w.acc.Data)
	}
	return nil
}

// GradientScale implements solve.Scaler: the gradient is a weighted sum of unit vectors.
func (k *medianObjective) GradientScale(float64) float64 { return 1 }

// Certify implements solve.Certifier. The cost is convex along geodesics but not strongly, so there is no bound: the value is the gradient over the
// curvature sum w_k/d_k across the directions to the data.
func (k *medianObjective) Certify(_ manifold.Point, gradientNorm float64, _ solve.Memo) solve.Certificate {
	if k.inverse == 0 {
		return solve.Certificate{Kind: "data-point", Bound: true}
	}
	return solve.Certificate{Kind: "mean-curvature", Value: gradientNorm / (k.inverse * math.Sqrt(k.m.Kappa()))}
}

func medianWeiszfeld(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
	k := in.(*medianObjective)
	relax := newRelaxation(1, m.VectorLen())
	tried := make([]bool, len(k.frames))
	var found *manifold.Frame
	k.accuracy = medianAccuracy
	r, err := drive(in, m, o.until(func() bool { return found != nil }), func(next, p *manifold.Frame, grad []float64, norm float64, memo solve.Memo) error {
		if i := k.nearest; !tried[i] && memo.(*medianMemo).distances[i]*k.inverse < 0.5 {
			tried[i] = true
			best, err := k.isMedian(i)
			if err != nil {
				return err
			}
			if best {
				found = k.frames[i]
				next.CopyFrom(found)
				return nil
			}
		}
		k.accuracy = max(exactAccuracy, medianAccuracy*norm)
		relax.plain = 1 / (k.inverse * math.Sqrt(m.Kappa()))
		return m.Retract(next, p, relax.next(grad))
	})
	if err != nil || found == nil {
		return r, err
	}
	r.Converged, r.GradientNorm, r.RelativeGradient = true, 0, 0
	r.Reason = solve.Reason{Name: "data-point", Detail: fmt.Sprintf("matrix %d is the median: its weight outweighs the pull of the others", k.nearest), Converged: true}
	r.Certificate = solve.Certificate{Kind: "data-point", Bound: true}
	return r, nil
}

// until returns options that stop as soon as the condition holds.
func (o *Options) until(stop func() bool) *Options {
	c := *o
	before := o.Solver.Stop
	c.Solver.Stop = criterion(func(s *solve.Status) (solve.Reason, bool) {
		if stop() {
			return solve.Reason{Name: "found", Converged: true}, true
		}
		if before != nil {
			return before.Check(s)
		}
		return solve.Reason{}, false
	})
	return &c
}

type criterion func(s *solve.Status) (solve.Reason, bool)

// Check implements solve.Criterion.
func (c criterion) Check(s *solve.Status) (solve.Reason, bool) { return c(s) }

// isMedian tells whether 0 is a subgradient at matrix i: the pull of the others there is at most the weight of all that lie on it.
func (k *medianObjective) isMedian(i int) (bool, error) {
	memo, grad := k.NewMemo().(*medianMemo), make([]float64, k.n*k.n)
	inverse, nearest, accuracy := k.inverse, k.nearest, k.accuracy
	defer func() { k.inverse, k.nearest, k.accuracy = inverse, nearest, accuracy }()
	k.accuracy = exactAccuracy
	if _, err := k.Evaluate(k.frames[i], grad, memo); err != nil {
		return false, err
	}
	var here float64
	for j, d := range memo.distances {
		if d <= atData {
			here += k.weights[j]
		}
	}
	return math.Sqrt(k.m.Inner(k.frames[i], grad, grad)) <= here, nil
}

func (k *medianObjective) finish(p *manifold.Frame, _ *Options) *mat.SymDense { return p.Sym() }
