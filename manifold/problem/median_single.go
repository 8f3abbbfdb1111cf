package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// singleMedian is what the search for a median needs besides: that is the mean with the weights w_k/d_k, which change from point to point. With weights of sum 1
// both gradients are the same. Distances are measured at every other point, by a product for each matrix; from there to the next one they change by the
// trapezoidal rule, whose error is of third order in the step.
type singleMedian struct {
	squares    []float64 // of the distances
	slopes     []float64 // of the squares along the step, at its ends
	weights    []float64 // w_k/d_k over their sum
	inverse    float64   // sum w_k/d_k
	constant   float64
	trace      float64 // of the step
	directions dense.Matrix[float32]
	along      []float64 // scratch of across
}

// nearestSingle is the distance to a matrix, in parts of the root mean square distance of spread data, below which single precision does not bear
// the weight of it.
const nearestSingle = 0.02

func newSingleMedian(k *karcherObjective) *singleMedian {
	m := &singleMedian{directions: dense.New[float32](k.n, k.n)}
	for _, v := range []*[]float64{&m.squares, &m.slopes, &m.weights, &m.along} {
		*v = make([]float64, len(k.matrices))
	}
	return m
}

// weigh finds the distances and weights at the point and sets sum to that of the inverses. False means that a matrix is too near.
func (s *singleSearch) weigh(log *rationalLog, step int) bool {
	m := s.median
	if !s.inverses.keep(s.x, log.shift, log.weight) {
		return false
	}
	if m.constant = log.constant; step%2 == 0 {
		s.inverses.keptSquares(m.squares, s.x, log.constant)
	} else {
		s.addSlopes()
	}
	shortest := nearestSingle * s.width
	m.inverse = 0
	for k, w := range s.k.weights {
		if m.weights[k] = 0; w == 0 {
			continue
		}
		if !(m.squares[k] > shortest*shortest*float64(s.n)/3) {
			return false
		}
		m.weights[k] = w / math.Sqrt(m.squares[k])
		m.inverse += m.weights[k]
	}
	dense.Scale(1/m.inverse, m.weights, m.weights)
	s.inverses.keptSum(s.sum, m.weights)
	return true
}

// leave adds half of the change of the squares along the step to them: what the slopes at its beginning tell.
func (s *singleSearch) leave() {
	s.median.trace = 0
	for i := range s.n {
		s.median.trace += float64(s.step.At(i, i))
	}
	s.addSlopes()
}

// addSlopes adds <N, S_k X - constant I> to the squares: half of their change along the step N if the slope were that everywhere.
func (s *singleSearch) addSlopes() {
	m := s.median
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, s.x, s.step, 0, m.directions)
	dense.Mirror(m.directions)
	s.inverses.keptInner(m.slopes, m.directions)
	for k, v := range m.slopes {
		m.squares[k] += v - m.constant*m.trace
	}
}

// across takes from hv, the Hessian product of the mean's cost with v at F F', what the median's lacks, sum w_k <L_k, v> L_k/d_k^2. It is first order in the
// steps and needs no accuracy: distances and logarithms L_k = constant I - F' S_k F are those of the last point of the search.
func (s *singleSearch) across(hv, v []float64, f dense.Matrix[float32]) {
	m := s.median
	narrow(s.t.Data, v)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f, s.t, 0, s.next)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, s.next, f, 0, s.t)
	dense.Mirror(s.t)
	s.inverses.keptInner(m.along, s.t)
	var trace, part float64
	for i := range s.n {
		trace += v[i*(s.n+1)]
	}
	for k, w := range m.weights {
		if w == 0 {
			m.along[k] = 0
			continue
		}
		m.along[k] = w * (m.constant*trace - m.along[k]) / m.squares[k]
		part += m.along[k] * m.constant
	}
	s.inverses.keptSum(s.sum, m.along)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.sum, f, 0, s.next)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f, s.next, 0, s.t)
	dense.Mirror(s.t)
	for i, x := range s.t.Data {
		hv[i] += float64(x)
	}
	for i := 0; i < len(hv); i += s.n + 1 {
		hv[i] -= part
	}
}
