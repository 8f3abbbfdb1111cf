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
	inverse float64   // sum w_k/d_k at the last point
	grad    []float64 // there, for few rows
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
	if count := len(s.distances); count <= mostDeflated {
		s.hessian.radial.gram = dense.New[float64](count, count)
	}
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
	if s.n <= fewRows {
		s.grad = append(s.grad[:0], grad...)
	}
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
func (s *shiftedMedian) Certify(p manifold.Point, gradientNorm float64, memo solve.Memo) solve.Certificate {
	across := solve.Certificate{Kind: "mean-curvature", Value: gradientNorm / s.leastCurvature(memo)}
	if s.n > fewRows {
		return across
	}
	if step, _ := solve.Certify(s.m, shiftedProducts{s, s}, p, s.grad, memo); step.Value > across.Value {
		return step
	}
	return across
}

// shiftedProducts is a shiftedMedian without its own certificate, with products as accurate as it has them.
type shiftedProducts struct {
	solve.Objective
	s *shiftedMedian
}

// HessianVec implements solve.Hessian.
func (c shiftedProducts) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	target := c.s.target
	c.s.target = 0
	c.s.hessianVec32(dst, v, nil, p, memo)
	c.s.target = target
	return nil
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
	s.base(memo)
	s.shiftedMean.hessianVec32(dst, v, v32, p, memo)
	dense.Scale(s.leastCurvature(memo), dst, dst)
}

// base prepares products at the last point.
func (s *shiftedMedian) base(memo solve.Memo) {
	if memo.(*shiftedMemo).based {
		return
	}
	for k, d := range s.distances {
		if s.hessian.weights[k] = 0; s.weights[k] > 0 {
			s.hessian.weights[k] = s.weights[k] / (d * s.inverse)
		}
	}
	s.hessian.radial.constant = s.log.constant
	s.share = newtonShare * (1 - slices.Max(s.hessian.weights)) // along a logarithm the curvature is less by its weight
	if s.deflates() {
		s.hessian.radial.factor(s.hessian)
	}
	s.shiftedMean.base(memo)
}

// mostDeflated is the number of matrices up to which conjugate gradients are preconditioned: of six or more, whose radial part is small, they take as many products without that.
const mostDeflated = 5

func (s *shiftedMedian) deflates() bool { return len(s.weights) <= mostDeflated && !s.turned }

// Precondition implements solve.Preconditioner: by the inverse of a multiple of the identity less the radial part.
func (s *shiftedMedian) Precondition(dst []float64, _ manifold.Point, v []float64, memo solve.Memo) error {
	s.base(memo)
	if copy(dst, v); s.deflates() {
		s.hessian.radial.deflate(dst, s.hessian)
	}
	return nil
}

// radialPart is sum w_k <L_k, v> L_k/d_k^2, by which the median's Hessian product with v is less than the mean's with the same weights.
type radialPart struct {
	distances []float64
	logs      *tiledMatrices // constant I - L_k
	constant  float64
	along     []float64
	gram      dense.Matrix[float64] // see factor
}

// measure sets along to the <L_k, v>.
func (r *radialPart) measure(v dense.Matrix[float32]) {
	r.logs.inner(r.along, v)
	t := v.Trace()
	for k, a := range r.along {
		r.along[k] = r.constant*t - a
	}
}

// add adds sum along_k L_k.
func (r *radialPart) add(dst []float64, scratch dense.Matrix[float32]) {
	r.logs.sum(scratch, r.along)
	var sum float64
	for _, a := range r.along {
		sum += a
	}
	for i, x := range scratch.Data {
		dst[i] -= float64(x)
	}
	for i := 0; i < len(dst); i += scratch.Rows + 1 {
		dst[i] += sum * r.constant
	}
}

// subtract takes the part from back times a product with h.v.
func (r *radialPart) subtract(dst []float64, h *singleHessian, back float64) {
	r.measure(h.v)
	for k, w := range h.weights {
		if w > 0 {
			w *= -back * r.along[k] / (r.distances[k] * r.distances[k])
		}
		r.along[k] = w
	}
	r.add(dst, h.sum)
}

// factor sets gram to the Cholesky factor of diag(c/w_k) - (<L_k, L_l>/d_k d_l), c the mean of the curvatures of the mean's cost.
func (r *radialPart) factor(h *singleHessian) {
	c, traces, gram := meanCurvature(h.width), r.along, r.gram
	for k := range traces {
		r.logs.innerOf(k, gram.Row(k), h.v)
		traces[k] = h.v.Trace()
	}
	for k, w := range h.weights {
		for l := range k {
			inner := gram.At(k, l) + r.constant*(r.constant*float64(h.n)-traces[k]-traces[l])
			if gram.Set(k, l, 0); w > 0 && h.weights[l] > 0 {
				gram.Set(k, l, -inner/(r.distances[k]*r.distances[l]))
			}
		}
		if gram.Set(k, k, 1); w > 0 {
			gram.Set(k, k, c/w-1)
		}
	}
	dense.Cholesky(gram)
}

// deflate sets dst to the inverse of I - sum w_k/c <L_k, .> L_k/d_k^2 times it (Woodbury), with what factor has left.
func (r *radialPart) deflate(dst []float64, h *singleHessian) {
	dense.ScaleSingle(1, dst, h.v.Data)
	r.measure(h.v)
	for k, w := range h.weights {
		if w > 0 {
			r.along[k] /= r.distances[k]
		} else {
			r.along[k] = 0
		}
	}
	b := dense.Wrap(len(r.along), 1, r.along)
	dense.SolveLower(dense.NoTrans, r.gram, b)
	dense.SolveLower(dense.Transposed, r.gram, b)
	for k, w := range h.weights {
		if w > 0 {
			r.along[k] /= r.distances[k]
		}
	}
	r.add(dst, h.sum)
}
