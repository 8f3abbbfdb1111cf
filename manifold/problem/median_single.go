package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// singleMedian is what a singleMean needs besides to find a median: that is the mean with the weights w_k/d_k, which are measured anew at every point. With
// weights of sum 1 both gradients are the same, and the Hessian of the median lacks what lies along the logarithms, sum w_k <L_k, eta> L_k/d_k^2.
type singleMedian struct {
	sums      []dense.Matrix[float32] // S_k = sum_j weight_j (A_k + shift_j X)^-1, for which L_k = constant I - F' S_k F
	distances []float64
	inverse   float64 // sum w_k/d_k
	constant  float64
	along     []float64 // scratch
	ones      []float64
	visit     func(p *resolventPart[float32], w *resolventScratch[float32]) bool // measure
	total     []float32
}

// nearestSingle is the distance to a matrix, in parts of the root mean square distance of spread data, below which single precision does not bear
// the weight of it.
const nearestSingle = 0.02

func newSingleMedian(s *singleMean) *singleMedian {
	m := &singleMedian{distances: make([]float64, len(s.k.matrices)), along: make([]float64, s.k.n*s.k.n), total: make([]float32, s.k.n*s.k.n)}
	for range s.k.matrices {
		m.sums = append(m.sums, dense.New[float32](s.k.n, s.k.n))
	}
	s.weights, m.ones, m.visit = make([]float64, len(s.k.matrices)), ones[float64](len(s.k.matrices)), s.measure
	return m
}

// measure gives the sums of a part the weights w_k/d_k and keeps those of each matrix.
func (s *singleMean) measure(p *resolventPart[float32], w *resolventScratch[float32]) bool {
	shortest := nearestSingle * s.log.width
	return s.inverses.reweigh(p, w, s.x, float32(s.log.constant), func(k int, sum dense.Matrix[float32], square float64) (float64, bool) {
		if s.k.weights[k] == 0 {
			return 0, true
		}
		if !(square > shortest*shortest*float64(s.k.n)/3) {
			return 0, false
		}
		s.median.sums[k].Copy(sum)
		s.median.distances[k] = math.Sqrt(square)
		return s.k.weights[k] / s.median.distances[k], true
	})
}

// weigh sets the weights to w_k/d_k over their sum, which it returns.
func (s *singleMean) weigh() float64 {
	var total float64
	for i, w := range s.k.weights {
		if s.weights[i] = 0; w > 0 {
			s.weights[i] = w / s.median.distances[i]
		}
		total += s.weights[i]
	}
	dense.Scale(1/total, s.weights, s.weights)
	s.median.constant, s.median.inverse = s.log.constant, total
	return total
}

// across takes from hv, the Hessian product of the mean's cost with v, what the median's lacks. It is first order in the steps of the search and needs no
// accuracy: the sums may be those of a coarser logarithm.
func (s *singleMean) across(v, hv []float64) {
	m, n := s.median, s.k.n
	narrow(s.y.Data, v)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.f, s.y, 0, s.z)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, s.z, s.f, 0, s.x)
	var trace, part float64
	for i := range n {
		trace += v[i*(n+1)]
	}
	clear(m.total)
	for k, sum := range m.sums {
		if s.weights[k] == 0 {
			continue
		}
		inner := m.constant*trace - float64(dense.Dot(sum.Data, s.x.Data))
		c := s.weights[k] * inner / (m.distances[k] * m.distances[k])
		dense.Axpy(float32(c), sum.Data, m.total)
		part += c * m.constant
	}
	for i, x := range m.total {
		m.along[i] = float64(x)
	}
	s.whiten(s.f, m.along, part)
	dense.Axpy(1, m.along, hv)
}
