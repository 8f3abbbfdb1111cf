package problem

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// shiftedMedian is the objective of the geometric median without eigendecompositions, as shiftedMean is that of the mean. It is not for points near the data,
// where the cost has kinks.
type shiftedMedian struct {
	*shiftedMean
	inverse float64 // sum w_k/d_k at the last point
}

// newShiftedMedian returns nil where newShiftedMean does.
func newShiftedMedian(k *medianObjective, o *Options) *shiftedMedian {
	if k.single == nil || k.single.median == nil {
		return nil
	}
	// L_k/d_k is off by at most twice what L_k is off by, over d_k.
	s := newShifted(k.karcherObjective, o, 1, 2*k.single.median.inverse*math.Sqrt(k.m.Kappa()))
	if s == nil {
		return nil
	}
	m := &shiftedMedian{shiftedMean: s}
	s.logs.weigh = m.weigh
	s.logs.kept = newTiledMatrices(len(k.weights), k.n)
	s.hessian.radial = &radialPart{distances: s.distances, logs: s.logs.kept, along: make([]float64, len(s.distances))}
	return m
}

// Evaluate implements solve.Objective.
func (s *shiftedMedian) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	memo.(*shiftedMemo).based = false
	var err error
	if s.inverse, err = s.gradient(p.(*manifold.Frame), grad); err != nil {
		return math.Inf(1), err
	}
	kappa := math.Sqrt(s.m.Kappa())
	dense.Scale(kappa, grad, grad)
	return dense.Dot(s.weights, s.distances) / kappa, nil
}

// weigh gives the terms the weights w_k/d_k and keeps their distances.
func (s *shiftedMedian) weigh(k int, distance float64) (float64, bool) {
	s.distances[k] = distance
	if s.weights[k] == 0 {
		return 0, true
	}
	return s.weights[k] / distance, distance > nearestSingle*s.log.width*math.Sqrt(float64(s.n)/3)
}

// GradientScale implements solve.Scaler: the gradient is a weighted sum of unit vectors.
func (s *shiftedMedian) GradientScale(float64) float64 { return 1 }

// leastCurvature implements followedObjective as for medianObjective.
func (s *shiftedMedian) leastCurvature(solve.Memo) float64 {
	return s.inverse * math.Sqrt(s.m.Kappa())
}

// quadratic implements followedObjective as for medianObjective.
func (s *shiftedMedian) quadratic() float64 { return 0.3 }

// Certify implements solve.Certifier as for medianObjective.
func (s *shiftedMedian) Certify(_ manifold.Point, gradientNorm float64, memo solve.Memo) solve.Certificate {
	return solve.Certificate{Kind: "mean-curvature", Value: gradientNorm / s.leastCurvature(memo)}
}

// settle implements followedObjective: steps that could reach a matrix of the data are left to medianObjective.
func (s *shiftedMedian) settle(_ solve.Memo, step float64) (*settlement, error) {
	for k, d := range s.distances {
		if s.weights[k] > 0 && step >= 0.1*d {
			return nil, errOutside
		}
	}
	return nil, nil
}

// hessianVec32 implements followedObjective: products are those with weights of sum 1.
func (s *shiftedMedian) hessianVec32(dst, v []float64, v32 []float32, p manifold.Point, memo solve.Memo) {
	if !memo.(*shiftedMemo).based {
		for k, d := range s.distances {
			if s.hessian.weights[k] = 0; s.weights[k] > 0 {
				s.hessian.weights[k] = s.weights[k] / (d * s.inverse)
			}
		}
		s.hessian.radial.constant = s.log.constant
		s.share = newtonShare * (1 - slices.Max(s.hessian.weights)) // along a logarithm the curvature is less by its weight
	}
	s.shiftedMean.hessianVec32(dst, v, v32, p, memo)
	dense.Scale(s.leastCurvature(memo), dst, dst)
}

// radialPart is sum w_k <L_k, v> L_k/d_k^2, by which the median's Hessian product with v is less than the mean's with the same weights.
type radialPart struct {
	distances []float64
	logs      *tiledMatrices // constant I - L_k
	constant  float64
	along     []float64
}

// subtract takes the part from back times a product with h.v.
func (r *radialPart) subtract(dst []float64, h *singleHessian, back float64) {
	r.logs.inner(r.along, h.v)
	var trace, sum float64
	for i := range h.n {
		trace += float64(h.v.At(i, i))
	}
	for k, w := range h.weights {
		if w > 0 {
			w *= back * (r.constant*trace - r.along[k]) / (r.distances[k] * r.distances[k])
		}
		r.along[k] = w
		sum += w
	}
	r.logs.sum(h.sum, r.along)
	for i, x := range h.sum.Data {
		dst[i] += float64(x)
	}
	for i := 0; i < len(dst); i += h.n + 1 {
		dst[i] -= sum * r.constant
	}
}
