package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	// probeLength is the root mean square of the eigenvalues of a step over which gradients are compared: the quadratic terms and the rounding of single
	// precision leave errors of 1e-3 and 1e-4 in a Hessian product.
	probeLength = 0.01
	// roughError is that of the logarithms of these gradients, root mean square.
	roughError = 1.5e-3
	// sinhMatrices is the number of matrices from which on sinh, which takes two products, takes the place of a shift.
	sinhMatrices = 6
)

// singleMean computes Hessian products of the mean's cost, or of the median's, as differences of gradients in single precision.
type singleMean struct {
	k         *karcherObjective
	f, moved  dense.Matrix[float32] // the point is F F'
	x, y, z   dense.Matrix[float32]
	inverses  singleInverses
	spread    float64 // L such that the spectra of the data lie in [e^-L, e^L], estimated
	log       *rationalLog
	weights   []float64 // of sum 1
	means     [2]dense.Matrix[float32]
	work      []float32
	median    *singleMedian // nil for the mean
	inner     []float64     // scratch of across
	at, probe []float64     // gradients at f and at moved
}

// newSingleMean works with the data and, for a median, near the last point of the search.
func newSingleMean(m *singleSearch) *singleMean {
	s := &singleMean{k: m.k, inverses: m.inverses, spread: m.width, weights: m.k.weights, median: m.median, means: [2]dense.Matrix[float32]{m.arithmetic, m.harmonic},
		work: m.work}
	for _, m := range []*dense.Matrix[float32]{&s.f, &s.moved, &s.x, &s.y, &s.z} {
		*m = dense.New[float32](s.k.n, s.k.n)
	}
	for _, v := range []*[]float64{&s.at, &s.probe} {
		*v = make([]float64, s.k.n*s.k.n)
	}
	if s.median != nil {
		s.weights, s.inner = s.median.weights, make([]float64, len(s.weights))
	}
	fit := newPlainLog
	if s.median == nil && len(s.weights) >= sinhMatrices {
		fit = newRationalLog
	}
	s.log = logWithin(fit, s.spread, 1, roughError)
	return s
}

// base takes the point F F', from which hessian starts.
func (s *singleMean) base(f dense.Matrix[float64]) bool {
	narrow(s.f.Data, f.Data)
	return s.log != nil && s.gradient(s.f, s.at)
}

// gradient sets dst to the whitened gradient at F F'.
func (s *singleMean) gradient(f dense.Matrix[float32], dst []float64) bool {
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, s.x)
	dense.Mirror(s.x)
	if !s.inverses.sumTo(s.z, s.x, s.log.shift, s.weights, s.log.weight) {
		return false
	}
	if s.log.sinh != 0 && !s.addMeans() {
		return false
	}
	s.whiten(dst, f, s.log.constant)
	return true
}

// addMeans adds sinh/2 (H - X^-1 A X^-1) to z.
func (s *singleMean) addMeans() bool {
	half := float32(s.log.sinh / 2)
	dense.Axpy(half, s.means[1].Data, s.z.Data)
	ok := dense.InvertUpper(s.x, s.work)
	dense.Mirror(s.x)
	dense.Gemm(dense.NoTrans, dense.NoTrans, -half, s.x, s.means[0], 0, s.y)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, s.y, s.x, 1, s.z)
	dense.Mirror(s.z)
	return ok
}

// whiten sets dst = F' z F - constant I.
func (s *singleMean) whiten(dst []float64, f dense.Matrix[float32], constant float64) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.z, f, 0, s.y)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f, s.y, 0, s.x)
	dense.Mirror(s.x)
	for i, v := range s.x.Data {
		dst[i] = float64(v)
	}
	for i := 0; i < len(dst); i += s.k.n + 1 {
		dst[i] -= constant
	}
}

// move sets moved = F (I + t eta/2 + (t eta)^2/8).
func (s *singleMean) move(t float64, eta []float64) {
	for i, v := range eta {
		s.y.Data[i] = float32(t / 2 * v)
	}
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 0.5, s.y, s.y, 0, s.z)
	dense.Mirror(s.z)
	dense.Axpy(1, s.y.Data, s.z.Data)
	for i := range s.k.n {
		s.z.Set(i, i, s.z.At(i, i)+1)
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.f, s.z, 0, s.moved)
}

// hessian sets dst to the Hessian product with v at the base.
func (s *singleMean) hessian(dst, v []float64) bool {
	t := probeLength * math.Sqrt(float64(s.k.n)/dense.Dot(v, v))
	s.move(t, v)
	if !s.gradient(s.moved, s.probe) {
		return false
	}
	for i, b := range s.at {
		dst[i] = (s.probe[i] - b) / t
	}
	if s.median != nil {
		s.across(dst, v)
	}
	return true
}

// across takes from hv, the Hessian product of the mean's cost with v, what the median's lacks, sum w_k <L_k, v> L_k/d_k^2. It is first order in the steps
// and needs no accuracy: distances and logarithms L_k = constant I - F' S_k F are those of the last point of the search.
func (s *singleMean) across(hv, v []float64) {
	m, n := s.median, s.k.n
	narrow(s.y.Data, v)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.f, s.y, 0, s.z)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, s.z, s.f, 0, s.x)
	dense.Mirror(s.x)
	var trace, part float64
	for i := range n {
		trace += v[i*(n+1)]
	}
	s.inverses.keptInner(s.inner, s.x)
	for k, w := range s.weights {
		if w == 0 {
			s.inner[k] = 0
			continue
		}
		s.inner[k] = w * (m.constant*trace - s.inner[k]) / m.squares[k]
		part += s.inner[k] * m.constant
	}
	s.inverses.keptSum(s.z, s.inner)
	s.whiten(s.probe, s.f, part)
	dense.Axpy(1, s.probe, hv)
}
