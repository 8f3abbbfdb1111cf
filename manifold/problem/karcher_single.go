package problem

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

const (
	// smallestSingle is the number of rows from which on the search in single precision pays.
	smallestSingle = 24
	// worstSpread bounds tr A/n tr A^-1/n for data that single precision bears; it is 118 for eigenvalues spread evenly over the logarithms of a condition of 1e4.
	worstSpread = 200
	// singleFloor is the gradient, relative to the root mean square distance, at which the search ends.
	singleFloor = 4e-6
	// probeLength is the root mean square of the eigenvalues of a step over which gradients are compared: the quadratic terms and the rounding of single
	// precision leave errors of 1e-3 and 1e-4 in a Hessian product.
	probeLength = 0.01
	// manyMatrices is the number of matrices from which on their Hessians average so well that the coarser differences are enough.
	manyMatrices = 8
)

// singleMean finds a point near the mean in single precision and without eigendecompositions. The logarithm is a shiftedLog, so that a gradient costs one
// inverse (resolvents) for each matrix and shift, and the steps are Newton's with differences of gradients for Hessian products. Its result is a first
// point, whose quality is measured in double precision; nothing is claimed of it.
type singleMean struct {
	k         *karcherObjective
	f, moved  dense.Matrix[float32] // the point is F F'
	x, y, z   dense.Matrix[float32]
	inverses  *resolvents[float32] // nil for the mean of large matrices
	log       *shiftedLog          // of the present gradient
	spread    float64              // what width returned
	weights   []float64            // of sum 1
	measuring bool                 // the weights of a median are measured
	median    *singleMedian        // nil for the mean

	grad, step  []float64
	base, probe []float64 // gradients of the coarser logarithm at f and at moved
	res, dir    []float64
}

// singleStart returns a point where the gradient of the mean's cost, or of the median's, is near the rounding of single precision, or nil where the data are
// too few, too small or too ill-conditioned for that.
func (k *karcherObjective) singleStart(median bool) *manifold.Frame {
	if k.n < smallestSingle || len(k.matrices) < 3 {
		return nil
	}
	arithmetic, harmonic, ok := k.singleMeans()
	if !ok {
		return nil
	}
	s := newSingleMean(k, median)
	if !s.between(arithmetic, harmonic) {
		return nil
	}
	s.spread = s.width(harmonic)
	var x dense.Matrix[float32]
	if median {
		if !s.search(s.spread) {
			return nil
		}
		x = s.x
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, s.f, s.f, 0, x)
	} else {
		q := newSingleSearch(k, s, arithmetic, harmonic)
		if !q.search() {
			return nil
		}
		x = q.x
	}
	double := dense.New[float64](k.n, k.n)
	for i, v := range x.Data {
		double.Data[i] = float64(v)
	}
	p, err := manifold.NewFrame(symmetric(double))
	if err != nil {
		return nil
	}
	if k.single = s; k.mean != nil {
		k.doubles()
	}
	return p
}

// singleMeans returns the means of the data and of their inverses, and whether single precision bears their condition.
func (k *karcherObjective) singleMeans() (arithmetic, harmonic dense.Matrix[float32], ok bool) {
	arithmetic, harmonic = dense.New[float32](k.n, k.n), dense.New[float32](k.n, k.n)
	if k.mean != nil {
		k.sideBySide().mean(arithmetic, k.weights)
		harmonic.Copy(*k.mean)
		return arithmetic, harmonic, true
	}
	n, a, h := float64(k.n), dense.New[float64](k.n, k.n), dense.New[float64](k.n, k.n)
	for i, f := range k.factors() {
		l, inv := view(f.F()), view(f.Inverse())
		if s := dense.Dot(l.Data, l.Data) / n * dense.Dot(inv.Data, inv.Data) / n; !(s <= worstSpread) {
			return arithmetic, harmonic, false
		}
		for j := range k.n {
			dense.Axpy(k.weights[i], k.upper[i].Row(j)[j:], a.Row(j)[j:])
		}
		addGram(k.weights[i], inv, h)
	}
	narrow(arithmetic.Data, a.Data)
	narrow(harmonic.Data, h.Data)
	dense.Mirror(arithmetic)
	dense.Mirror(harmonic)
	return arithmetic, harmonic, true
}

func newSingleMean(k *karcherObjective, median bool) *singleMean {
	s := &singleMean{k: k, weights: k.weights}
	for _, m := range []*dense.Matrix[float32]{&s.f, &s.moved, &s.x, &s.y, &s.z} {
		*m = dense.New[float32](k.n, k.n)
	}
	for _, v := range []*[]float64{&s.base, &s.probe, &s.res, &s.dir, &s.grad, &s.step} {
		*v = make([]float64, k.n*k.n)
	}
	if median || k.n <= largestBundled {
		s.inverses = k.sideBySide()
	}
	if median {
		s.median = newSingleMedian(s)
	}
	return s
}

// between sets f to a factor of the geometric mean A # H^-1, s.x to the mean and s.y to its inverse, by A <- (A + H^-1)/2 and H <- (H + A^-1)/2: the
// iteration of arithmetic and harmonic means, which converges quadratically.
func (s *singleMean) between(arithmetic, harmonic dense.Matrix[float32]) bool {
	own := &s.k.team.scratch[0].single
	own.need(s.k.n)
	a, h, work := s.x, s.y, own.work
	a.Copy(arithmetic)
	h.Copy(harmonic)
	for range 3 {
		s.f.Copy(a)
		s.z.Copy(h)
		if !dense.InvertUpper(s.f, work) || !dense.InvertUpper(s.z, work) {
			return false
		}
		for i := range a.Data {
			a.Data[i], h.Data[i] = (a.Data[i]+s.z.Data[i])/2, (h.Data[i]+s.f.Data[i])/2
		}
	}
	dense.Mirror(a)
	dense.Mirror(h)
	s.f.Copy(a)
	return dense.Cholesky(s.f) < 0
}

// width estimates L such that the spectra of the data seen from the point lie in [e^-L, e^L], from the traces of the data and of their mean inverse seen
// from there. It expects s.x and s.y as between leaves them.
func (s *singleMean) width(harmonic dense.Matrix[float32]) float64 {
	most := float64(dense.Dot(s.x.Data, harmonic.Data))
	traces := make([]float64, len(s.k.matrices))
	if s.inverses != nil {
		s.inverses.inner(traces, s.y)
	} else {
		for i, v := range s.y.Data {
			s.probe[i] = 2 * float64(v)
		}
		for i := 0; i < len(s.probe); i += s.k.n + 1 {
			s.probe[i] /= 2
		}
		for k, a := range s.k.upper {
			for i := range s.k.n {
				traces[k] += dense.Dot(s.probe[i*(s.k.n+1):(i+1)*s.k.n], a.Row(i)[i:])
			}
		}
	}
	most = max(most, slices.Max(traces))
	return 1.03*spread(most/float64(s.k.n)) + 0.05
}

// search moves F towards the mean: the first step with the logarithm of three shifts, the others with the gradient to single precision. It refuses where
// the geometric mean of A and H^-1 is the mean or very near to it, as for pairs C^1/2 exp(+-S) C^1/2: in double precision that needs no search.
func (s *singleMean) search(width float64) bool {
	first, fine := newShiftedLog(width, 3), shiftedLogWithin(width, 2e-5)
	if fine == nil || !s.look(first, nil) {
		return false
	}
	copy(s.base, s.grad)
	n := float64(s.k.n)
	floor := singleFloor * width * math.Sqrt(n/3)
	coarse, last := first, math.Inf(1)
	for step := range 4 {
		norm := math.Sqrt(dense.Dot(s.grad, s.grad))
		if step == 0 && norm <= 30*floor {
			return false
		}
		if norm <= floor || norm > last/2 {
			return !math.IsNaN(norm)
		}
		left, ok := s.newton(coarse, max(floor/3, 3e-3*norm), 4)
		if !ok {
			return false
		}
		s.move(s.moved, 1, s.step)
		s.f, s.moved = s.moved, s.f
		// What the coarser logarithm and the quadratic terms of the step leave, as measured on scattered data.
		if last = norm; step > 0 && max(left, 0.01*norm) <= floor {
			return true
		}
		if len(s.k.matrices) >= manyMatrices {
			coarse = fine.coarse()
		}
		if !s.gradients(fine, coarse) {
			return false
		}
	}
	return true
}

// gradients sets grad to the gradient at F by fine and base to that by coarse.
func (s *singleMean) gradients(fine, coarse *shiftedLog) bool {
	if coarse.within != nil {
		return s.look(fine, coarse)
	}
	return s.look(fine, nil) && s.gradient(s.f, coarse, s.base, nil)
}

// look sets grad to the gradient at F, where a median's weights are measured.
func (s *singleMean) look(log, part *shiftedLog) bool {
	if s.median == nil {
		return s.gradient(s.f, log, s.grad, part)
	}
	s.measuring = true
	ok := s.gradient(s.f, log, s.grad, part)
	s.measuring = false
	return ok
}

// gradient sets dst to the gradient at F F' of the cost whose logarithm is log, and, if part is not nil, base to that of this part of it. False means
// that a matrix is not positive definite to rounding.
func (s *singleMean) gradient(f dense.Matrix[float32], log *shiftedLog, dst []float64, part *shiftedLog) bool {
	s.log = log
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, s.x)
	dense.Mirror(s.x)
	if !s.sums(dst, part) {
		return false
	}
	total := 1.0
	if s.measuring {
		total = s.weigh()
	}
	dense.Scale(1/total, dst, dst)
	s.whiten(f, dst, log.constant)
	if part != nil {
		dense.Scale(1/total, s.base, s.base)
		s.whiten(f, s.base, part.constant)
	}
	return true
}

// sums sets dst to sum w_k sum_j weight_j (A_k + shift_j X)^-1, and, if part is not nil, base to that with the weights of the part.
func (s *singleMean) sums(dst []float64, part *shiftedLog) bool {
	weights := s.weights
	if s.measuring {
		weights, s.inverses.visit = s.median.ones, s.median.visit
	}
	whole := resolventSum{s.log.weight, dense.Wrap(s.k.n, s.k.n, dst)}
	if part == nil {
		return s.inverses.sum(s.x, s.log.shift, weights, whole)
	}
	return s.inverses.sum(s.x, s.log.shift, weights, whole, resolventSum{part.within, dense.Wrap(s.k.n, s.k.n, s.base)})
}

// whiten sets g = F' g F - constant I.
func (s *singleMean) whiten(f dense.Matrix[float32], g []float64, constant float64) {
	narrow(s.y.Data, g)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, f, s.y, 0, s.z)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, s.z, f, 0, s.y)
	dense.Mirror(s.y)
	for i, v := range s.y.Data {
		g[i] = float64(v)
	}
	for i := 0; i < len(g); i += s.k.n + 1 {
		g[i] -= constant
	}
}

// move sets dst = F (I + t eta/2 + (t eta)^2/8).
func (s *singleMean) move(dst dense.Matrix[float32], t float64, eta []float64) {
	for i, v := range eta {
		s.y.Data[i] = float32(t / 2 * v)
	}
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 0.5, s.y, s.y, 0, s.z)
	dense.Mirror(s.z)
	dense.Axpy(1, s.y.Data, s.z.Data)
	for i := range s.k.n {
		s.z.Set(i, i, s.z.At(i, i)+1)
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.f, s.z, 0, dst)
}

// hessian sets probe to the Hessian product with v at F: the difference of coarse gradients, of which base is the one at F.
func (s *singleMean) hessian(v []float64, coarse *shiftedLog) bool {
	t := probeLength * math.Sqrt(float64(s.k.n)/dense.Dot(v, v))
	s.move(s.moved, t, v)
	if !s.gradient(s.moved, coarse, s.probe, nil) {
		return false
	}
	for i, b := range s.base {
		s.probe[i] = (s.probe[i] - b) / t
	}
	if s.median != nil {
		s.across(v, s.probe)
	}
	return true
}

// newton solves Hessian step = -grad by conjugate gradients to the residual given, with at most limit products, and returns what is left.
func (s *singleMean) newton(coarse *shiftedLog, target float64, limit int) (left float64, ok bool) {
	clear(s.step)
	for i, v := range s.grad {
		s.res[i], s.dir[i] = v, -v
	}
	rr := dense.Dot(s.res, s.res)
	for range limit {
		if math.Sqrt(rr) <= target {
			break
		}
		if !s.hessian(s.dir, coarse) {
			return 0, false
		}
		curvature := dense.Dot(s.dir, s.probe)
		if !(curvature > 0) {
			return 0, false
		}
		dense.Axpy(rr/curvature, s.dir, s.step)
		dense.Axpy(rr/curvature, s.probe, s.res)
		next := dense.Dot(s.res, s.res)
		for i, v := range s.res {
			s.dir[i] = next/rr*s.dir[i] - v
		}
		rr = next
	}
	return math.Sqrt(rr), true
}

// narrow rounds to single precision.
func narrow(dst []float32, src []float64) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = float32(v)
	}
}
