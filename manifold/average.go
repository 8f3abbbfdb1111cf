package manifold

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// MeanOptions configures Mean and Median; the zero value is the default.
type MeanOptions struct {
	// Tolerance ends the iteration when the step that is left is below Tolerance times the spread of the data, see MeanReport, or below ten
	// times the norm of the computed logarithm of a point to itself, which is rounding; the default for 0 is 1e-10.
	Tolerance float64
	// MaxIterations bounds the steps; the default for 0 is 1000.
	MaxIterations int
	// Start is the first point; the default for nil is the data point with the largest weight.
	Start Point
	// Stop is asked after every iteration; true ends the run with a *ConvergenceError that says so. Default none.
	Stop func(MeanReport) bool
}

// Validate returns an error that names the first field that is out of range.
func (o MeanOptions) Validate() error {
	switch {
	case !(o.Tolerance >= 0 && o.Tolerance < 1):
		return fmt.Errorf("manifold: Tolerance is %v, want a number from 0 to 1 (0 for the default, 1e-10)", o.Tolerance)
	case o.MaxIterations < 0:
		return fmt.Errorf("manifold: MaxIterations is %d, want at least 1 (0 for the default, 1000)", o.MaxIterations)
	}
	return nil
}

// withDefaults returns o with the defaults filled in.
func (o MeanOptions) withDefaults() MeanOptions {
	if o.Tolerance == 0 {
		o.Tolerance = 1e-10
	}
	if o.MaxIterations == 0 {
		o.MaxIterations = 1000
	}
	return o
}

// over returns nil, or the error that ends a run with this report: no more iterations are allowed, or Stop asks for it.
func (o *MeanOptions) over(r MeanReport, limit float64) error {
	if r.Iterations > 0 && o.Stop != nil && o.Stop(r) {
		return &ConvergenceError{Report: r, Limit: limit, Stopped: true}
	}
	if r.Iterations >= o.MaxIterations {
		return &ConvergenceError{Report: r, Limit: limit}
	}
	return nil
}

// MeanReport says how Mean or Median ended.
type MeanReport struct {
	Iterations int
	Residual   float64 // norm of the step that is left: of the weighted mean of the logarithms, or of the Weiszfeld step
	Spread     float64 // root mean square distance of the data from the mean (of the cheap and the recursive means from the first matrix), or mean distance from the median
}

// ConvergenceError says that Mean or Median stopped before it converged; the point that is returned with it is the best so far.
type ConvergenceError struct {
	Report  MeanReport
	Limit   float64 // bound on Report.Residual that was asked for
	Cause   error   // why the last step could not be taken; nil if it could
	Stopped bool    // MeanOptions.Stop ended the run
}

// Unwrap returns Cause.
func (e *ConvergenceError) Unwrap() error { return e.Cause }

// Error states the residual and what to do.
func (e *ConvergenceError) Error() string {
	if e.Stopped {
		return fmt.Sprintf("not converged after %d iterations: stopped when the step that is left had norm %.3g, wanted %.3g", e.Report.Iterations, e.Report.Residual, e.Limit)
	}
	if e.Cause != nil {
		return fmt.Sprintf("not converged after %d iterations: no step can be taken: %v", e.Report.Iterations, e.Cause)
	}
	return fmt.Sprintf("not converged after %d iterations: the step that is left has norm %.3g, wanted %.3g; allow more iterations, a larger tolerance, or start closer",
		e.Report.Iterations, e.Report.Residual, e.Limit)
}

// Mean returns the weighted Frechet mean of points, the minimizer of sum w_k d(x, A_k)^2, by the iteration x <- Exp_x(tau sum w_k Log_x(A_k)),
// with the step tau, at first 1, then from the curvature along the last step, halved when neither the residual nor the cost falls. On the flat
// metrics the first step is exact; on Bures-Wasserstein it is the fixed point iteration of Alvarez-Esteban, del Barrio, Cuesta-Albertos and
// Matran, J. Math. Anal. Appl. 441 (2016). nil weights are equal; weights are scaled to sum 1. m must implement Exponential and Logarithm. On
// manifolds with positive curvature (orthogonal group) the result is a stationary point near the start. A run that ends early is a
// *ConvergenceError.
func Mean(m Manifold, points []Point, weights []float64, o MeanOptions) (Point, MeanReport, error) {
	a, err := newAverage(m, innerLength(m), points, weights, o)
	if err != nil {
		return nil, MeanReport{}, err
	}
	return a.mean()
}

// Median returns the weighted geometric median of points, the minimizer of sum w_k d(x, A_k), by Weiszfeld's iteration x <- Exp_x(tau s), s the
// mean of the logarithms with weights w_k / d(x, A_k), with the correction of Vardi and Zhang, PNAS 97 (2000) 1423-1426, where x meets a data
// point, and over-relaxed; next to a data point its step is that of a model in which the distance from that point is linear along its geodesic. On the Bures-Wasserstein metrics there may be
// several local medians: unless a start is given it is the lower of that reached from between the data and that reached from the heaviest. Source: Fletcher, Venkatasubramanian
// and Joshi, NeuroImage 45 (2009) S143-S152. Requirements and errors as for Mean.
func Median(m Manifold, points []Point, weights []float64, o MeanOptions) (Point, MeanReport, error) {
	a, err := newAverage(m, innerLength(m), points, weights, o)
	if err != nil {
		return nil, MeanReport{}, err
	}
	return a.median()
}

// innerLength returns the norm of the Riemannian metric of m.
func innerLength(m Manifold) func(Point, []float64) float64 {
	return func(p Point, v []float64) float64 { return math.Sqrt(m.Inner(p, v, v)) }
}

// average is the state of a mean or median.
type average struct {
	m          Manifold
	exp        Exponential
	log        Logarithm
	length     func(Point, []float64) float64
	points     []Point
	w          []float64
	x, y       Point
	step, next []float64
	unit       []float64
	parts      []averagePart
	looks      *lookouts // nil where only one goroutine may use the manifold
	o          MeanOptions
	scale      float64 // median: spread of the data at the start
	floor      float64 // rounding of a logarithm
}

func newAverage(m Manifold, length func(Point, []float64) float64, points []Point, weights []float64, o MeanOptions) (*average, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	exp, ok1 := m.(Exponential)
	log, ok2 := m.(Logarithm)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("manifold: a mean or median needs a manifold with Exp and Log")
	}
	w, heaviest, err := normalisedWeights(len(points), weights)
	if err != nil {
		return nil, err
	}
	if k := slices.Index(points, nil); k >= 0 {
		return nil, fmt.Errorf("manifold: point %d is nil", k)
	}
	o = o.withDefaults()
	n := m.VectorLen()
	a := &average{m: m, exp: exp, log: log, length: length, points: points, w: w, step: make([]float64, n), next: make([]float64, n),
		unit: make([]float64, n), o: o}
	start := o.Start
	if start == nil {
		start = points[heaviest]
	}
	a.x, a.y = start.Clone(), start.Clone()
	if err := a.split(); err != nil {
		return nil, err
	}
	if err := log.Log(a.unit, a.x, a.y); err != nil {
		return nil, fmt.Errorf("manifold: the start: %w", err)
	}
	a.floor = 10 * length(a.x, a.unit)
	return a, nil
}

// normalisedWeights returns weights scaled to sum 1 and the index of the largest.
func normalisedWeights(n int, weights []float64) ([]float64, int, error) {
	if n == 0 {
		return nil, 0, fmt.Errorf("manifold: the mean of no points is not defined; give at least one")
	}
	if weights != nil && len(weights) != n {
		return nil, 0, fmt.Errorf("manifold: there are %d weights for %d points", len(weights), n)
	}
	w, sum, heaviest := make([]float64, n), 0.0, 0
	for i := range w {
		w[i] = 1
		if weights != nil {
			w[i] = weights[i]
		}
		if !(w[i] >= 0) || math.IsInf(w[i], 1) {
			return nil, 0, fmt.Errorf("manifold: weight %d is %v, want a nonnegative number", i, w[i])
		}
		if w[i] > w[heaviest] {
			heaviest = i
		}
		sum += w[i]
	}
	if !(sum > 0) || math.IsInf(sum, 1) {
		return nil, 0, fmt.Errorf("manifold: the weights sum to %v, want a positive number", sum)
	}
	dense.Scale(1/sum, w, w)
	return w, heaviest, nil
}

// framesToAverage returns the frames of the matrices, their normalised weights and the index of the largest, if the options are valid.
func framesToAverage(ms []mat.Symmetric, weights []float64, o *MeanOptions) (frames []*Frame, w []float64, heaviest int, err error) {
	if err = o.Validate(); err != nil {
		return nil, nil, 0, err
	}
	if w, heaviest, err = normalisedWeights(len(ms), weights); err != nil {
		return nil, nil, 0, err
	}
	frames, err = framesOf(ms)
	return frames, w, heaviest, err
}

func (a *average) mean() (Point, MeanReport, error) { return a.run(a.meanStep) }

func (a *average) median() (Point, MeanReport, error) {
	_, square, err := a.meanStep(a.step, a.x)
	if err != nil {
		return nil, MeanReport{}, err
	}
	a.scale = math.Sqrt(square)
	if _, ok := a.m.(positivelyCurved); ok && a.o.Start == nil && a.scale > 0 {
		return a.lowerMedian()
	}
	return a.run(a.medianStep)
}

// positivelyCurved is implemented by manifolds on which a data point may be a local median, and others be lower.
type positivelyCurved interface{ positivelyCurved() }

// lowerMedian runs from a point between the data points, and again from the first data point if that is lower than where the run ends. step holds the mean
// of the logarithms at the first data point.
func (a *average) lowerMedian() (Point, MeanReport, error) {
	first := a.x.Clone()
	if err := a.exp.Exp(a.y, a.x, a.step); err != nil {
		return nil, MeanReport{}, err
	}
	a.x, a.y = a.y, a.x
	x, r, err := a.run(a.medianStep)
	if x == nil {
		return nil, r, err
	}
	_, cost, costErr := a.medianStep(a.next, first)
	if costErr != nil || r.Spread <= cost {
		return x, r, cmp.Or(err, costErr)
	}
	before := r.Iterations
	a.x = first
	x, r, err = a.run(a.medianStep)
	r.Iterations += before
	return x, r, err
}

// run iterates x <- Exp_x(tau step) until the step is short. fill writes the step at a point and returns its norm and the cost.
func (a *average) run(fill func(s []float64, x Point) (norm, cost float64, err error)) (Point, MeanReport, error) {
	var r MeanReport
	norm, cost, err := fill(a.step, a.x)
	if err != nil {
		return nil, r, err
	}
	var cause error
	tau, spread := 1.0, a.spread(cost)
	for {
		r.Residual, r.Spread = norm, spread
		limit := max(a.o.Tolerance*spread, a.floor)
		if !(norm > limit) {
			return a.x, r, complete(a.m, a.x)
		}
		if tau < 0x1p-20 {
			if a.round(); norm <= a.floor {
				return a.x, r, complete(a.m, a.x)
			}
			return a.x, r, &ConvergenceError{Report: r, Limit: limit, Cause: cause}
		}
		if err := a.o.over(r, limit); err != nil {
			return a.x, r, err
		}
		r.Iterations++
		dense.Scale(tau, a.step, a.unit)
		n, c := math.Inf(1), math.Inf(1)
		if cause = a.exp.Exp(a.y, a.x, a.unit); cause == nil {
			if n, c, err = fill(a.next, a.y); err != nil {
				return nil, r, err
			}
		}
		if !(n < norm || c < cost*(1-1e-13)) {
			tau /= 2
			continue
		}
		tau = a.stepLength(tau)
		a.x, a.y, a.step, a.next = a.y, a.x, a.next, a.step
		norm, cost, spread = n, c, a.spread(c)
	}
}

// round raises the floor to ten times the most that the step, or a logarithm, changes by on the way to its point and back: next to equal points a step may be
// shorter than what the coordinates of a point can tell apart.
func (a *average) round() {
	copy(a.unit, a.step)
	a.roundTrip()
	for _, p := range a.points {
		if a.log.Log(a.unit, a.x, p) == nil {
			a.roundTrip()
		}
	}
}

// roundTrip raises the floor to ten times what the vector unit changes by.
func (a *average) roundTrip() {
	if a.exp.Exp(a.y, a.x, a.unit) != nil || complete(a.m, a.y) != nil || a.log.Log(a.next, a.x, a.y) != nil {
		return
	}
	dense.Axpy(-1, a.unit, a.next)
	a.floor = max(a.floor, 10*a.length(a.x, a.next))
}

// longestTau is the largest factor of a step of a median: the model of Weiszfeld's iteration lies above the cost, often far.
const longestTau = 1000

// stepLength returns the tau that the curvature along the last step, from x to y, asks for (Barzilai and Borwein, IMA J. Numer. Anal. 8 (1988)), at most 1 for a
// mean. A constant tau may stand at the edge of stability, where both the cost and the norm fall by a thousandth in every iteration.
func (a *average) stepLength(tau float64) float64 {
	most := 1.0
	if a.scale > 0 {
		most = longestTau
	}
	a.m.Transport(a.x, a.y, a.step)
	whole := a.m.Inner(a.y, a.step, a.step)
	curvature := (1 - a.m.Inner(a.y, a.step, a.next)/whole) / tau
	if !(curvature > 0) {
		return min(most, 1.5*tau)
	}
	return min(most, max(1/curvature, tau/4))
}

// spread turns the cost at a point into a length: the root mean square distance for the mean, the mean distance for the median.
func (a *average) spread(cost float64) float64 {
	if a.scale > 0 {
		return cost
	}
	return math.Sqrt(cost)
}

func complete(m Manifold, p Point) error {
	if c, ok := m.(Completer); ok {
		return c.Complete(p)
	}
	return nil
}

// averagePart is what some of the points add to a step.
type averagePart struct {
	sum               []float64
	cost, here, total float64
	nearest           int     // median: the point whose logarithm has the largest weight
	most              float64 // and that weight
}

// concurrent is implemented by manifolds whose Log may run at the same time from different points to the same one, once that is complete.
type concurrent interface{ concurrentLog() }

// split splits the points into parts.
func (a *average) split() error {
	a.parts = make([]averagePart, 1)
	if _, ok := a.m.(concurrent); ok {
		a.looks, a.parts = newLookouts(len(a.unit)), make([]averagePart, min(len(a.points), mostParts))
		for k, p := range a.points {
			if err := complete(a.m, p); err != nil {
				return fmt.Errorf("manifold: point %d: %w", k, err)
			}
		}
	}
	for i := range a.parts[1:] { // the first one has the step
		a.parts[i+1].sum = make([]float64, len(a.unit))
	}
	return nil
}

// sum writes to s the sum of the logarithms at x, each times what weigh says given its length, and returns the sums of what weigh adds to the other fields.
func (a *average) sum(s []float64, x Point, weigh func(p *averagePart, k int, d float64) float64) (*averagePart, error) {
	work, all := 0, &a.parts[0]
	all.sum = s
	if a.looks != nil {
		a.looks.from(x)
		work = operations(len(a.points), int(math.Sqrt(float64(len(s)))))
	}
	err := dense.Each(len(a.parts), work, func(part int) error {
		at, v := x, a.unit
		if a.looks != nil {
			l := a.looks.take()
			defer a.looks.give(l)
			at, v = l.at, l.v
		}
		p, fresh := &a.parts[part], true
		p.cost, p.here, p.total, p.most = 0, 0, 0, 0
		for k := part; k < len(a.points); k += len(a.parts) {
			if err := a.log.Log(v, at, a.points[k]); err != nil {
				return fmt.Errorf("manifold: point %d: %w", k, err)
			}
			w := weigh(p, k, a.length(at, v))
			switch {
			case fresh:
				dense.Scale(w, v, p.sum)
			case w != 0:
				dense.Axpy(w, v, p.sum)
			}
			fresh = false
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range a.parts[1:] {
		dense.Axpy(1, p.sum, all.sum)
		all.cost, all.here, all.total = all.cost+p.cost, all.here+p.here, all.total+p.total
		if p.most > all.most {
			all.nearest, all.most = p.nearest, p.most
		}
	}
	return all, nil
}

func (a *average) meanStep(s []float64, x Point) (norm, cost float64, err error) {
	all, err := a.sum(s, x, func(p *averagePart, k int, d float64) float64 {
		p.cost += a.w[k] * d * d
		return a.w[k]
	})
	if err != nil {
		return 0, 0, err
	}
	return a.length(x, s), all.cost, nil
}

func (a *average) medianStep(s []float64, x Point) (norm, cost float64, err error) {
	all, err := a.sum(s, x, func(p *averagePart, k int, d float64) float64 {
		p.cost += a.w[k] * d
		if d <= a.o.Tolerance*a.scale {
			p.here += a.w[k]
			return 0
		}
		weight := a.w[k] / d
		p.total += weight
		if weight > p.most {
			p.nearest, p.most = k, weight
		}
		return weight
	})
	if err != nil {
		return 0, 0, err
	}
	pull := a.length(x, s)
	if pull <= all.here || all.total == 0 {
		clear(s)
		return 0, all.cost, nil
	}
	dense.Scale((1-all.here/pull)/all.total, s, s)
	if others := all.total - all.most; all.here == 0 && 0 < others && others < all.most {
		if err := a.lengthen(s, x, all.nearest, all.most/others); err != nil {
			return 0, 0, err
		}
	}
	return a.length(x, s), all.cost, nil
}

// lengthen adds share times the part of s along the geodesic to a point. The distance from a data point is linear along it, and bent across only, so that the model
// of Weiszfeld's iteration, which bends the weight w/d of the point in all directions, makes steps next to it too short by the factor 1 + share, the total weight over that
// of the others. Steps towards the point end there, where the distance has its kink.
func (a *average) lengthen(s []float64, x Point, point int, share float64) error {
	if err := a.log.Log(a.unit, x, a.points[point]); err != nil {
		return fmt.Errorf("manifold: point %d: %w", point, err)
	}
	along := a.m.Inner(x, a.unit, s) / a.m.Inner(x, a.unit, a.unit)
	more := share * along
	if along > 0 {
		more = min(more, max(0, 1-along))
	}
	dense.Axpy(more, a.unit, s)
	return nil
}
