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
	proved    *shiftedPoint
	err       float64 // of the gradient, as tuned
}

// shiftedPoint is a point from which the spectra of the data are proved to lie in [e^-width, e^width], and the cost there.
type shiftedPoint struct {
	inv   dense.Matrix[float64] // F^-1
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
	// shiftedWork bounds the product of shifts and rows: measured, an evaluation costs less than a decomposition of each matrix up to 13 shifts at n = 100 and 9 at
	// 150, for which inverses take .7 and .65 of a product.
	shiftedWork = 1300
	// largestShifted is the number of rows up to which the data are inverted side by side.
	largestShifted = 180
	// roughError is that of the logarithm of Hessian products.
	roughError = 2e-3
)

// newShiftedMean returns nil where there was no search in single precision or a shiftedLog cannot be as accurate as the tolerance asks for.
func newShiftedMean(k *karcherObjective, o *Options) *shiftedMean {
	if k.single == nil || k.inverses == nil || k.afresh {
		return nil
	}
	s := &shiftedMean{karcherObjective: k, distances: make([]float64, len(k.data)), rough: shiftedLogWithin(k.single.spread, roughError)}
	solver := o.Solver.WithDefaults(k.n * k.n)
	target := max(solver.Tolerance*k.single.spread*math.Sqrt(float64(k.n)/3), solver.AbsoluteTolerance)
	s.err = 0.25 * target
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
	s.log = shiftedLogWithin(width, s.err/math.Sqrt(float64(s.n)))
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
	f, inv := view(p.(*manifold.Frame).F()), view(p.(*manifold.Frame).Inverse())
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, s.x)
	dense.Mirror(s.x)
	near := s.near(inv)
	if !near && !s.prove() || s.log == nil {
		return math.Inf(1), errOutside
	}
	if !s.sum(grad, !near) {
		return math.Inf(1), errOutside
	}
	g := dense.Wrap(s.n, s.n, grad)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, g, f, 0, s.t)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f, s.t, 0, g)
	dense.Mirror(g)
	for i := range s.n {
		g.Set(i, i, g.At(i, i)-s.log.constant)
	}
	if near {
		return s.costNear(grad), nil
	}
	var cost float64
	for k, d := range s.distances {
		cost += s.weights[k] * d
	}
	s.proved.cost = cost / (2 * s.m.Kappa())
	s.proved.inv.Copy(inv)
	s.proved.f.Copy(f)
	copy(s.proved.grad, grad)
	return s.proved.cost, nil
}

// sum sets grad to the weighted sum of the S_k, and if it is to measure, distances.
func (s *shiftedMean) sum(grad []float64, measure bool) bool {
	weights := s.weights
	s.inverses.visit = nil
	if measure {
		s.inverses.visit = s.measure
		weights = make([]float64, len(s.weights))
		for i := range weights {
			weights[i] = 1
		}
	}
	return s.inverses.sum(s.x, s.log.shift, weights, resolventSum{s.log.weight, dense.Wrap(s.n, s.n, grad)})
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
				s.proved = &shiftedPoint{inv: dense.New[float64](s.n, s.n), f: dense.New[float64](s.n, s.n), grad: make([]float64, s.n*s.n)}
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
func (s *shiftedMean) slackAt(solve.Memo) float64 { return s.log.err * math.Sqrt(float64(s.n)) }

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
	if copy(dst, v); m.based && single.hessian(v, s.rough) {
		copy(dst, single.probe)
	}
}
