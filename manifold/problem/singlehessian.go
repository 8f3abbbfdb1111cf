package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// singleHessian multiplies with the Hessian of the mean's cost in single precision: with differences of gradients, whose logarithm is a rationalLog. The
// data are those seen from the point, L^-1 A_k L^-T, so that this is the identity. The part of the sinh is known exactly from their mean.
type singleHessian struct {
	n             int
	inverses      singleInverses
	weights       []float64
	width         float64        // of the interval
	logs          []*rationalLog // the i-th with i+1 shifts
	bases         []singleBase   // of logs
	log           *rationalLog   // of the last product
	scale         float64        // of errors of logarithms, over those of products
	one, mean     dense.Matrix[float32]
	sum           dense.Matrix[float32] // of the inverses near the point
	v, moved, w   dense.Matrix[float32]
	left, swapped dense.Matrix[float32]
	radial        *radialPart // that the cost has not; nil for the mean
}

// singleBase is the sum of the inverses at the point, of one logarithm.
type singleBase struct {
	sum   dense.Matrix[float32] // made when it is needed
	known bool
}

// probeLength is the root mean square of the eigenvalues of a step over which gradients are compared: the cubic terms and the rounding of single
// precision each leave an error of probeError in a Hessian product.
const probeLength, probeError = 0.005, 1e-4

// hessianError is that of a Hessian product that is accurate enough for any gradient; greatest is the largest that is of use.
const hessianError, greatestError = 2e-4, 0.1

// newSingleHessian returns the products for the weights, of sum 1, and inverses of the data that will be seen from the point. It returns nil where no logarithm is accurate enough.
func newSingleHessian(n int, inverses singleInverses, width float64, weights []float64) *singleHessian {
	// What the search leaves of the gradient lies where the Hessian is far from its mean, so that the error of a product depends on the ends of the spectra, of few matrices above all: a wider
	// interval halves it for three or four. It is 7/L times that of the logarithm in the mean over the matrices. Measured on scattered data.
	h := &singleHessian{n: n, inverses: inverses, weights: weights, scale: width / (7 * math.Sqrt(dense.Dot(weights, weights)))}
	if !h.fit(width * (1 + 0.4*dense.Dot(weights, weights))) {
		return nil
	}
	for _, m := range []*dense.Matrix[float32]{&h.one, &h.mean, &h.sum, &h.v, &h.moved, &h.w, &h.left, &h.swapped} {
		*m = dense.New[float32](n, n)
	}
	for i := range n {
		h.one.Set(i, i, 1)
	}
	return h
}

// fit takes logarithms for an interval of that width at least; false means that none is accurate enough.
func (h *singleHessian) fit(width float64) bool {
	if width <= h.width {
		return true
	}
	h.width, h.logs = width, h.logs[:0]
	for shifts := 1; shifts <= mostShifts && h.within(hessianError) == nil; shifts++ {
		h.logs = append(h.logs, newRationalLog(width, shifts))
	}
	h.bases = append(h.bases, make([]singleBase, max(0, len(h.logs)-len(h.bases)))...)
	return h.within(hessianError) != nil
}

// within returns the logarithm with the fewest shifts for which products are off by that at most, or nil.
func (h *singleHessian) within(err float64) *rationalLog {
	for _, l := range h.logs {
		if l.err <= err*h.scale {
			return l
		}
	}
	return nil
}

// start takes the data as they are seen from the point.
func (h *singleHessian) start() {
	h.inverses.data().sum(h.mean, h.weights)
	for i := range h.bases {
		h.bases[i].known = false
	}
}

// choose takes the logarithm for products of that error for which the fewest inversions are needed, those at the point included.
func (h *singleHessian) choose(err float64) {
	least := math.MaxInt
	for i, l := range h.logs {
		if l.err > max(min(err, greatestError), hessianError)*h.scale {
			continue
		}
		cost := h.inverses.rounds(len(l.shift))
		if !h.bases[i].known {
			cost *= 2
		}
		if cost < least {
			h.log, least = l, cost
		}
	}
}

// base returns the sum of the inverses at the point, where it is known already or can be had.
func (h *singleHessian) base(log *rationalLog) (sum dense.Matrix[float32], ok bool) {
	b := &h.bases[len(log.shift)-1]
	if b.known {
		return b.sum, true
	}
	if b.sum.Rows == 0 {
		b.sum = dense.New[float32](h.n, h.n)
	}
	common := 0
	if m := len(log.shift); m%2 == 1 && m > 1 && h.inverses.rounds(m-1)+h.inverses.rounds(1) == h.inverses.rounds(m) {
		common = 1 // logarithms with an odd number of shifts have the shift 1 in common, their first
	}
	if !h.inverses.sumTo(b.sum, h.one, log.shift[common:], h.weights, log.weight[common:]) {
		return b.sum, false
	}
	if common == 1 {
		first := h.logs[0]
		one, ok := h.base(first)
		if !ok {
			return b.sum, false
		}
		dense.Axpy(float32(log.weight[0]/first.weight[0]), one.Data, b.sum.Data)
	}
	b.known = true
	return b.sum, true
}

// error estimates that of the last product.
func (h *singleHessian) error() float64 { return max(h.log.err/h.scale, probeError) }

// product sets dst to the product with v, of about that relative error, at the point where start was; they may be the same.
//
// Along E = exp(V), V = t v, the gradient in the frame that goes along is E^1/2 S(E) E^1/2 - c I - sinh/2 (E^-1/2 M E^-1/2 - E^1/2 H E^1/2), S the sum of the inverses, M and H the
// means of the data and of their inverses. At the optimum it vanishes, S(I) - c I = sinh/2 (M - H), and to third order in V it is D + c (E - I) + (V W + W V)/2 with D = S(E) - S(I)
// and W = D + sinh M.
func (h *singleHessian) product(dst, v []float64, err float64) bool {
	h.choose(err)
	base, ok := h.base(h.log)
	if !ok {
		return false
	}
	t := probeLength * math.Sqrt(float64(h.n)/dense.Dot(v, v))
	for i, x := range v {
		h.v.Data[i] = float32(t * x)
	}
	h.moved.Copy(h.v)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 0.5, h.v, h.v, 1, h.moved)
	for i := range h.n {
		h.moved.Set(i, i, h.moved.At(i, i)+1)
	}
	dense.Mirror(h.moved)
	if !h.inverses.sumTo(h.sum, h.moved, h.log.shift, h.weights, h.log.weight) {
		return false
	}
	dense.Axpy(-1, base.Data, h.sum.Data)
	dense.Blend(1, h.sum.Data, float32(h.log.sinh), h.mean.Data, h.w.Data)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, h.v, h.w, 0, h.left)
	dense.Transpose(h.swapped, h.left)
	c, back := float32(h.log.constant), 1/t
	for i := range h.n {
		h.moved.Set(i, i, h.moved.At(i, i)-1)
	}
	sum, moved, left, swapped := h.sum.Data, h.moved.Data, h.left.Data, h.swapped.Data
	for i := range dst {
		dst[i] = back * float64(sum[i]+c*moved[i]+(left[i]+swapped[i]))
	}
	if h.radial != nil {
		h.radial.subtract(dst, h, back)
	}
	return true
}
