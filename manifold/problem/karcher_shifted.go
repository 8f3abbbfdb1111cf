package problem

import (
	"errors"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// shiftedMean is the objective of the Karcher mean without eigendecompositions: the logarithms are a shiftedLog, so that a gradient costs one inverse, in
// double precision, for each matrix and shift. It is for data whose spectra, seen from the point, are known to lie in the interval of the
// shiftedLog, which Evaluate proves by the signs of pivots; its error there bounds that of the gradient. Hessian products are differences of gradients in
// single precision.
type shiftedMean struct {
	*karcherObjective
	log       *shiftedLog
	rough     *shiftedLog // of Hessian products
	x         dense.Matrix[float64]
	t, u      dense.Matrix[float64]
	distances []float64 // squared
	ones      []float64
	measured  func(p *resolventPart[float64], w *resolventScratch[float64]) bool // measure
	proved    *shiftedPoint
	err       float64 // of the gradient, as tuned
	gain      float64 // of the error of the gradient over that of a logarithm, in the Frobenius norm
}

// shiftedPoint is a point from which the spectra of the data are proved to lie in [e^-width, e^width], and the cost there.
type shiftedPoint struct {
	f     dense.Matrix[float64]
	width float64
	cost  float64
	grad  []float64
}

// shiftedMemo tells whether the base of the search in single precision is the gradient at its point.
type shiftedMemo struct{ based bool }

var errOutside = errors.New("spectra of the data do not lie in the interval of the rational logarithm")

const (
	// provedMargin is the part of the width of the interval that is kept for steps from the point where spectra were proved to lie in it.
	provedMargin = 1e-3
	// largestShifted is the number of rows up to which the data are inverted side by side: bundles of larger ones leave the second-level cache, and with 9 shifts
	// the run then takes as long as with decompositions.
	largestShifted = 128
	// shiftedWork bounds the product of shifts and rows; measured at n = 100, 13 shifts still pay.
	shiftedWork = 1300
	// roughError is that of the logarithm of Hessian products.
	roughError = 2e-3
)

// newShiftedMean returns nil where there was no search in single precision or a shiftedLog as accurate as the tolerance asks for does not pay.
func newShiftedMean(k *karcherObjective, o *Options) *shiftedMean {
	if k.single == nil {
		return nil
	}
	return newShifted(k, o, k.single.spread*math.Sqrt(float64(k.n)/3), 1)
}

// newShifted is newShiftedMean given the scale of gradients and gain.
func newShifted(k *karcherObjective, o *Options, scale, gain float64) *shiftedMean {
	if k.mean == nil || k.afresh {
		return nil
	}
	s := &shiftedMean{karcherObjective: k, distances: make([]float64, len(k.weights)), rough: shiftedLogWithin(k.single.spread, roughError), gain: gain}
	s.measured, s.ones = s.measure, ones[float64](len(k.weights))
	solver := o.Solver.WithDefaults(k.n * k.n)
	s.err = 0.25 * max(solver.Tolerance*scale, solver.AbsoluteTolerance)
	if s.rough == nil || !s.widen(k.single.spread) {
		return nil
	}
	for _, m := range []*dense.Matrix[float64]{&s.x, &s.t, &s.u} {
		*m = dense.New[float64](k.n, k.n)
	}
	return s
}

// widen takes the shiftedLog for an interval, if that pays.
func (s *shiftedMean) widen(width float64) bool {
	s.log = shiftedLogWithin(width, s.err/(s.gain*math.Sqrt(float64(s.n))))
	if s.log != nil && len(s.log.shift)*s.n > shiftedWork {
		s.log = nil
	}
	return s.log != nil
}

// tune implements followedObjective.
func (s *shiftedMean) tune(accuracy float64) {
	if accuracy >= s.err {
		return
	}
	s.err = accuracy
	if s.log != nil {
		s.widen(s.log.width)
	}
}

// NewMemo implements solve.Memoizer.
func (s *shiftedMean) NewMemo() solve.Memo { return new(shiftedMemo) }

// Evaluate implements solve.Objective.
func (s *shiftedMean) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	memo.(*shiftedMemo).based = false
	f := p.(*manifold.Frame)
	near, ok := s.place(f)
	weights := s.weights
	if !near {
		weights, s.inverses.visit = s.ones, s.measured
	}
	if !ok || !s.sum(weights, grad) {
		return math.Inf(1), errOutside
	}
	s.whiten(f, grad, s.log.constant)
	if near {
		return s.costNear(grad), nil
	}
	var cost float64
	for k, d := range s.distances {
		cost += s.weights[k] * d
	}
	s.proved.cost = cost / (2 * s.m.Kappa())
	copy(s.proved.grad, grad)
	return s.proved.cost, nil
}

// place sets x to the point and sees to it that the spectra seen from there are proved to lie in the interval of the shiftedLog: near the last point where
// they were, or afresh.
func (s *shiftedMean) place(p *manifold.Frame) (near, ok bool) {
	f, inv := view(p.F()), view(p.Inverse())
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, s.x)
	dense.Mirror(s.x)
	if near = s.near(inv); !near {
		if !s.prove() {
			return false, false
		}
		s.proved.f.Copy(f)
	}
	return near, s.log != nil
}

// sum sets grad to the sum of the S_k with the weights given.
func (s *shiftedMean) sum(weights, grad []float64) bool {
	return s.inverses.sum(s.x, s.log.shift, weights, resolventSum{s.log.weight, dense.Wrap(s.n, s.n, grad)})
}

// whiten sets grad = F' grad F - constant I.
func (s *shiftedMean) whiten(p *manifold.Frame, grad []float64, constant float64) {
	f, g := view(p.F()), dense.Wrap(s.n, s.n, grad)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, g, f, 0, s.t)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f, s.t, 0, g)
	dense.Mirror(g)
	for i := range s.n {
		g.Set(i, i, g.At(i, i)-constant)
	}
}

func (s *shiftedMean) measure(p *resolventPart[float64], w *resolventScratch[float64]) bool {
	return s.inverses.reweigh(p, w, s.x, s.log.constant, func(k int, _ dense.Matrix[float64], square float64) (float64, bool) {
		s.distances[k] = square
		return s.weights[k], true
	})
}

// prove finds an interval for the spectra seen from x.
func (s *shiftedMean) prove() bool {
	for range 5 {
		if s.log == nil {
			return false
		}
		width := s.log.width - provedMargin
		if s.inverses.between(s.x, math.Exp(-width), math.Exp(width)) {
			if s.proved == nil {
				s.proved = &shiftedPoint{f: dense.New[float64](s.n, s.n), grad: make([]float64, s.n*s.n)}
			}
			s.proved.width = width
			return true
		}
		s.widen(1.08 * s.log.width)
	}
	return false
}

// near tells whether the point with the inverse frame inv is so near the one where the spectra were proved to lie in an interval that they lie in that of the
// shiftedLog. It leaves u = F^-1 Y F^-T - I, Y that point.
func (s *shiftedMean) near(inv dense.Matrix[float64]) bool {
	if s.proved == nil {
		return false
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, inv, s.proved.f, 0, s.t)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, s.t, s.t, 0, s.u)
	dense.Mirror(s.u)
	for i := range s.n {
		s.u.Set(i, i, s.u.At(i, i)-1)
	}
	distance := math.Sqrt(dense.Dot(s.u.Data, s.u.Data)) // eigenvalues within [1 - distance, 1 + distance]
	return distance < 0.5 && s.proved.width-math.Log1p(-distance) <= s.log.width
}

// costNear returns the cost from the one where the spectra were proved, by the trapezoidal rule along u.
func (s *shiftedMean) costNear(grad []float64) float64 {
	var change float64
	for i, u := range s.u.Data {
		change -= u * (grad[i] + s.proved.grad[i]) / 2
	}
	return s.proved.cost + change/s.m.Kappa()
}

// slackAt implements followedObjective.
func (s *shiftedMean) slackAt(solve.Memo) float64 {
	return s.gain * s.log.err * math.Sqrt(float64(s.n))
}

// Certify implements solve.Certifier by strong convexity.
func (s *shiftedMean) Certify(_ manifold.Point, gradientNorm float64, memo solve.Memo) solve.Certificate {
	return solve.Certificate{Kind: "strong-convexity", Value: gradientNorm + s.slackAt(memo)/math.Sqrt(s.m.Kappa()), Bound: true}
}

// leastCurvature implements followedObjective: the cost is 1-strongly convex.
func (s *shiftedMean) leastCurvature(solve.Memo) float64 { return 1 }

// hessianVec32 implements followedObjective.
func (s *shiftedMean) hessianVec32(dst, v []float64, _ []float32, p manifold.Point, memo solve.Memo) {
	m, single := memo.(*shiftedMemo), s.single
	if !m.based {
		narrow(single.f.Data, view(p.(*manifold.Frame).F()).Data)
		m.based = single.gradient(single.f, s.rough, single.base, nil)
	}
	copy(dst, v)
	if m.based && single.hessian(v, s.rough) {
		copy(dst, single.probe)
	}
}
