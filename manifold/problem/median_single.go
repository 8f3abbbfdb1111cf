package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// singleMedian is what the search for a median needs besides: that is the mean with the weights w_k/d_k, which change from point to point. With weights of sum 1
// both gradients are the same. Distances come from the traces of the inverses that a gradient is made of (rationalSquare).
type singleMedian struct {
	squares          []float64 // of the distances
	weights          []float64 // w_k/d_k over their sum
	inverse          float64   // sum w_k/d_k
	traces, harmonic []float64 // of the data and of their inverses
}

// nearestSingle is the distance to a matrix, in parts of the root mean square distance of spread data, below which single precision does not bear
// the weight of it.
const nearestSingle = 0.02

func newSingleMedian(k *karcherObjective) *singleMedian {
	m := new(singleMedian)
	for _, v := range []*[]float64{&m.squares, &m.weights, &m.traces, &m.harmonic} {
		*v = make([]float64, len(k.matrices))
	}
	return m
}

// weigh finds the distances and weights at the point and sets sum to that of the inverses, arithmetic and harmonic to the means. False means that a matrix is too near.
func (s *singleSearch) weigh(log *rationalLog) bool {
	m, square := s.median, newRationalSquare(log)
	if !s.inverses.keep(s.x, log.shift, log.weight, square.weight, m.squares) {
		return false
	}
	s.inverses.data().inner(m.traces, s.y)
	s.inverses.inverses().inner(m.harmonic, s.x)
	shortest := nearestSingle * s.width
	m.inverse = 0
	for k, w := range s.k.weights {
		m.squares[k] += square.cosh/2*(m.traces[k]+m.harmonic[k]) + square.constant*float64(s.n)
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
	s.inverses.kept().sum(s.sum, m.weights)
	s.inverses.data().sum(s.arithmetic, m.weights)
	s.inverses.inverses().sum(s.harmonic, m.weights)
	return true
}
