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
	constant  float64
	along     []float64 // scratch
	total     []float32
}

// nearestSingle is the distance to a matrix, in parts of the root mean square distance of spread data, below which single precision does not bear
// the weight of it.
const nearestSingle = 0.02

func newSingleMedian(s *singleMean) *singleMedian {
	m := &singleMedian{distances: make([]float64, len(s.data)), along: make([]float64, s.k.n*s.k.n), total: make([]float32, s.k.n*s.k.n)}
	for range s.data {
		m.sums = append(m.sums, dense.New[float32](s.k.n, s.k.n))
	}
	s.weights = make([]float64, len(s.data))
	return m
}

// measure is term with the weight w_k/d_k, d_k measured by the way: d_k^2 = tr (constant I - S_k X)^2.
func (s *singleMean) measure(w *singleWorker, i int) {
	m, sum, part := w.t[0], s.median.sums[i], w.t[1]
	sum.Zero()
	part.Zero()
	if s.k.weights[i] == 0 {
		return
	}
	for j, shift := range s.log.shift {
		m.Copy(s.data[i])
		dense.Axpy(float32(shift), s.x.Data, m.Data)
		if !dense.InvertUpper(m, w.work) {
			w.failed = true
			return
		}
		dense.Axpy(float32(s.log.weight[j]), m.Data, sum.Data)
		if at := s.part.find(j); at >= 0 {
			dense.Axpy(float32(s.part.weight[at]), m.Data, part.Data)
		}
	}
	dense.Mirror(sum)
	dense.Gemm(dense.NoTrans, dense.NoTrans, -1, sum, s.x, 0, m)
	for k := range s.k.n {
		m.Set(k, k, m.At(k, k)+float32(s.log.constant))
	}
	dense.Transpose(w.t[2], m)
	square := float64(dense.Dot(m.Data, w.t[2].Data))
	if shortest := nearestSingle * s.log.width; !(square > shortest*shortest*float64(s.k.n)/3) {
		w.failed = true
		return
	}
	d := math.Sqrt(square)
	s.median.distances[i] = d
	weight := float32(s.k.weights[i] / d)
	dense.Axpy(weight, sum.Data, w.acc.Data)
	dense.Axpy(weight, part.Data, w.part.Data)
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
	s.median.constant = s.log.constant
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
