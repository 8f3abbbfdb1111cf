package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// singleMedian is what the search for a median needs besides: that is the mean with the weights w_k/d_k, which change from point to point. With weights of sum 1
// both gradients are the same. Distances come from the traces of the inverses that a gradient is made of (rationalSquare).
type singleMedian struct {
	squares []float64    // of the distances
	weights []float64    // w_k/d_k over their sum
	inverse float64      // sum w_k/d_k
	log     *rationalLog // of the last point
	traces  []float64    // scratch, of weigh and across
	along   []float64    // scratch of across
	seen    dense.Matrix[float32]
}

// nearestSingle is the distance to a matrix, in parts of the root mean square distance of spread data, below which single precision does not bear
// the weight of it.
const nearestSingle = 0.02

func newSingleMedian(k *karcherObjective) *singleMedian {
	m := &singleMedian{seen: dense.New[float32](k.n, k.n)}
	for _, v := range []*[]float64{&m.squares, &m.weights, &m.traces, &m.along} {
		*v = make([]float64, len(k.matrices))
	}
	return m
}

// weigh finds the distances and weights at the point and sets sum to that of the inverses, arithmetic and harmonic to the means. False means that a matrix is too near.
func (s *singleSearch) weigh(log *rationalLog) bool {
	m, square := s.median, newRationalSquare(log)
	if m.log = log; !s.inverses.keep(s.x, log.shift, log.weight, square.weight, m.squares) {
		return false
	}
	s.inverses.data().inner(m.traces, s.y)
	s.inverses.inverses().inner(m.along, s.x)
	shortest := nearestSingle * s.width
	m.inverse = 0
	for k, w := range s.k.weights {
		m.squares[k] += square.cosh/2*(m.traces[k]+m.along[k]) + square.constant*float64(s.n)
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

// across takes from hv, the Hessian product of the mean's cost with v at F F', what the median's lacks, sum w_k <L_k, v> L_k/d_k^2. It is first order in the
// steps and needs no accuracy: distances and logarithms L_k = constant I + sinh/2 (F^-1 A_k F^-T - F' A_k^-1 F) - F' S_k F are those of the last point of the search.
func (s *singleSearch) across(hv, v []float64, f, inv dense.Matrix[float32]) {
	m := s.median
	half := m.log.sinh / 2
	narrow(s.t.Data, v)
	s.see(m.seen, dense.Transposed, inv, s.t)
	s.inverses.data().inner(m.along, m.seen)
	dense.Scale(-half, m.along, m.along)
	s.see(m.seen, dense.NoTrans, f, s.t)
	s.inverses.inverses().inner(m.traces, m.seen)
	dense.Axpy(half, m.traces, m.along)
	s.inverses.kept().inner(m.traces, m.seen)
	dense.Axpy(1, m.traces, m.along)
	var trace, part float64
	for i := range s.n {
		trace += v[i*(s.n+1)]
	}
	for k, w := range m.weights {
		if w == 0 {
			m.along[k] = 0
			continue
		}
		m.along[k] = w * (m.log.constant*trace - m.along[k]) / m.squares[k]
		part += m.along[k] * m.log.constant
	}
	s.inverses.kept().sum(s.sum, m.along)
	s.inverses.inverses().sum(s.t, m.along)
	dense.Axpy(float32(half), s.t.Data, s.sum.Data)
	s.see(m.seen, dense.Transposed, f, s.sum)
	s.inverses.data().sum(s.sum, m.along)
	s.see(s.t, dense.NoTrans, inv, s.sum)
	for i, x := range m.seen.Data {
		hv[i] += float64(x) - half*float64(s.t.Data[i])
	}
	for i := 0; i < len(hv); i += s.n + 1 {
		hv[i] -= part
	}
}

// see sets dst to B M B', or to B' M B if transposed.
func (s *singleSearch) see(dst dense.Matrix[float32], trans dense.Trans, b, m dense.Matrix[float32]) {
	if trans == dense.NoTrans {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, b, m, 0, s.next)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, s.next, b, 0, dst)
	} else {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m, b, 0, s.next)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, b, s.next, 0, dst)
	}
	dense.Mirror(dst)
}
