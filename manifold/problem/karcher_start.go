package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// start returns a point near the mean without decomposing any of the matrices: the mean itself for one or two, that of singleStart where the data allow
// it, otherwise the geometric mean A # H of the arithmetic and the harmonic mean (which is the Karcher mean of pairs C^1/2 exp(+-S) C^1/2), improved by gradient steps in which the
// logarithm is replaced by an odd rational function fitted to the spread of the data (rationalLog). A step costs one Cholesky factorization
// and inversion per matrix and shift.
func (k *karcherObjective) start() *manifold.Frame {
	if len(k.matrices) == 1 {
		return k.factors()[0].Clone().(*manifold.Frame)
	}
	if p := manifold.IdentityFrame(k.n, 1); len(k.matrices) == 2 && k.m.Between(p, k.factors()[0], k.factors()[1], k.weights[1]) == nil {
		return p
	}
	if p := k.singleStart(false); p != nil {
		return p
	}
	return k.startFromMeans()
}

// startFromMeans returns the geometric mean of the arithmetic and the harmonic mean, improved by gradient steps.
func (k *karcherObjective) startFromMeans() *manifold.Frame {
	s, err := newKarcherStart(k)
	if err != nil { // means too ill-conditioned to invert; any start converges
		return k.factors()[0].Clone().(*manifold.Frame)
	}
	for _, centres := range []int{1, 2, 2} {
		done, err := s.step(centres)
		if done || err != nil {
			break
		}
	}
	return s.p
}

// karcherStart is the state of the search for a first point.
type karcherStart struct {
	k                    *karcherObjective
	m                    *manifold.Affine
	arithmetic, harmonic dense.Matrix[float64] // mean of A_k and mean of A_k^-1
	p, q                 *manifold.Frame
	x, eta, work         dense.Matrix[float64]
	bundles              *resolvents[float64] // of matrices of at most largestBundled rows
}

func newKarcherStart(k *karcherObjective) (*karcherStart, error) {
	m, err := manifold.NewAffine(k.n, manifold.AffineOptions{})
	if err != nil {
		return nil, err
	}
	s := &karcherStart{k: k, m: m, q: manifold.IdentityFrame(k.n, 1)}
	for _, m := range []*dense.Matrix[float64]{&s.arithmetic, &s.harmonic, &s.x, &s.eta, &s.work} {
		*m = dense.New[float64](k.n, k.n)
	}
	data := k.data()
	for i, f := range k.factors() {
		dense.Axpy(k.weights[i], data[i].Data, s.arithmetic.Data)
		addGram(k.weights[i], view(f.Inverse()), s.harmonic)
	}
	dense.Mirror(s.harmonic)
	a, err := manifold.NewFrame(symmetric(s.arithmetic))
	if err != nil {
		return nil, err
	}
	h, err := manifold.NewFrame(symmetric(s.harmonic))
	if err != nil {
		return nil, err
	}
	h.Invert()
	s.p = manifold.IdentityFrame(k.n, 1)
	return s, k.m.Between(s.p, a, h, 0.5)
}

// step makes one approximate gradient step with 1 shift, or with 2 or 3; done means that further steps would not help.
func (s *karcherStart) step(centres int) (done bool, err error) {
	n := s.k.n
	f, inv := view(s.p.F()), view(s.p.Inverse())
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, s.x)
	dense.Mirror(s.x)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, inv, s.arithmetic, 0, s.work)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, s.work, inv, 0, s.eta)
	var trace float64
	for i := range n {
		trace += s.eta.At(i, i)
	}
	width, shifts := spread(trace/float64(n)), 1
	if centres > 1 && width < 3 {
		shifts = 2
	} else if centres > 1 {
		shifts = 3
	}
	r := newRationalLog(width, shifts)
	if err := s.inverses(r, s.work.Data); err != nil {
		return true, err
	}
	// eta = sinh/2 (F^-1 A F^-T - F^T H F) + constant I - F^T (sum of inverses) F
	dense.Axpy(r.sinh/2, s.harmonic.Data, s.work.Data)
	for i := range s.eta.Data {
		s.eta.Data[i] *= r.sinh / 2
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.work, f, 0, s.x)
	dense.Gemm(dense.Transposed, dense.NoTrans, -1, f, s.x, 1, s.eta)
	for i := range n {
		s.eta.Set(i, i, s.eta.At(i, i)+r.constant)
		for j := i; j < n; j++ {
			v := (s.eta.At(i, j) + s.eta.At(j, i)) / (2 * r.hessian)
			s.eta.Set(i, j, v)
			s.eta.Set(j, i, v)
		}
	}
	norm := math.Sqrt(dense.Dot(s.eta.Data, s.eta.Data))
	dispersion := r.spread * math.Sqrt(float64(n)/3)
	if norm <= 1e-5*dispersion {
		return true, nil
	}
	if err := s.m.Retract(s.q, s.p, s.eta.Data); err != nil {
		return true, err
	}
	s.p, s.q = s.q, s.p
	return norm <= 5e-3*dispersion, nil
}

// inverses sets dst = sum over the matrices and shifts of w_k c_j (A_k + s_j X)^-1.
func (s *karcherStart) inverses(r *rationalLog, dst []float64) error {
	singular := &manifold.PointError{What: "a sum of SPD matrices is not positive definite to rounding"}
	if s.k.n <= largestBundled {
		if s.bundles == nil {
			s.bundles = newResolvents[float64](s.k.upper)
		}
		if !s.bundles.sumTo(dense.Wrap(s.k.n, s.k.n, dst), s.x, r.shift, s.k.weights, r.weight) {
			return singular
		}
		return nil
	}
	data := s.k.data()
	return s.k.team.run(func(w *worker, i int) error {
		m := w.t[0]
		for j, shift := range r.shift {
			copy(m.Data, data[i].Data)
			dense.Axpy(shift, s.x.Data, m.Data)
			if !dense.InvertUpper(m, w.work) {
				return singular
			}
			dense.Axpy(s.k.weights[i]*r.weight[j], m.Data, w.acc.Data)
		}
		return nil
	}, dst)
}

// spread returns the L for which the mean of e^l over [-L, L], sinh(L)/L, is m.
func spread(m float64) float64 {
	lo, hi := 0.0, 1.0
	for math.Sinh(hi) < m*hi && hi < 700 {
		hi *= 2
	}
	for range 40 {
		mid := (lo + hi) / 2
		if math.Sinh(mid) < m*mid {
			lo = mid
		} else {
			hi = mid
		}
	}
	return max(hi, 0.1)
}

// addGram adds alpha W' W to the upper triangle of c for a lower triangular W whose upper triangle is zero, in about half the work of a half
// product: the rows of a panel of W have no columns beyond the panel.
func addGram(alpha float64, w, c dense.Matrix[float64]) {
	const panels = 3
	for p := range panels {
		lo, hi := p*w.Rows/panels, (p+1)*w.Rows/panels
		if hi > lo {
			rows := w.View(lo, 0, hi-lo, hi)
			dense.GemmUpper(dense.Transposed, dense.NoTrans, alpha, rows, rows, 1, c.View(0, 0, hi, hi))
		}
	}
}
