package problem

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
)

// singleTangents lets a singleSearch hold gradients and steps as symmetric tangent vectors G: a step takes half of the products that it takes with N = X^-1 G, and no inverse of
// the point. Inner products tr X^-1 G X^-1 M are those at the first point, by a few random vectors. Differences of gradients at different points are not those of vectors at one point, which
// costs a fast search, of many matrices, more than it gains.
type singleTangents struct {
	whiten          dense.Matrix[float32] // L, L L' = X^-1 at the first point
	probes, product dense.Matrix[float32] // L Z, the elements of Z are signs
}

const (
	// mostTangents is the number of matrices up to which a search of the mean works with tangent vectors: the more there are, the less does a step cost besides their inverses.
	mostTangents = 8
	// singleProbes is the number of columns of Z: norms are off by a few percent, the less the more rows there are.
	singleProbes = 16
)

func newSingleTangents(s *singleSearch) *singleTangents {
	t := &singleTangents{whiten: dense.New[float32](s.n, s.n)}
	for _, m := range []*dense.Matrix[float32]{&t.probes, &t.product, &s.grad.seen, &s.last.seen, &s.past[0].grad.seen, &s.past[1].grad.seen} {
		*m = dense.New[float32](s.n, singleProbes)
	}
	return t
}

// begin takes the inverse of the first point.
func (t *singleTangents) begin(y dense.Matrix[float32]) bool {
	t.whiten.Copy(y)
	if dense.Cholesky(t.whiten) >= 0 {
		return false
	}
	signs := rand.NewChaCha8([32]byte{'s', 'i', 'g', 'n', 's'})
	for i := range t.product.Data {
		t.product.Data[i] = float32(2*int(signs.Uint64()&1) - 1)
	}
	dense.MulLower(dense.NoTrans, t.whiten, t.product, t.probes)
	return true
}

// see sets v.seen = L' G L Z.
func (t *singleTangents) see(v *singleVector) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, v.all, t.probes, 0, t.product)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, t.whiten, t.product, 0, v.seen)
}

// inner returns the mean over the columns z of Z of (L' G L z)' (L' M L z), whose expectation is tr L' G L L' M L.
func (t *singleTangents) inner(g, m *singleVector) float64 {
	return float64(dense.Dot(g.seen.Data, m.seen.Data)) / singleProbes
}

// tangent sets grad = (X Z - constant I) X - half A for Z in sum. The constant is taken off between the products, so that rounding is relative to what is left.
func (s *singleSearch) tangent(constant float64, half float32) {
	g := s.grad.all
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.x, s.sum, 0, s.t)
	subtractIdentity(s.t, constant)
	dense.Scale(-half, s.arithmetic.Data, g.Data)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, s.t, s.x, 1, g)
	dense.Mirror(g)
	s.tangents.see(&s.grad)
}

// moveAlong takes X to X + G + G Y G/2, G the step and Y the inverse of the first point, if short to X + G.
func (s *singleSearch) moveAlong(short bool) {
	dense.Axpy(1, s.step.Data, s.x.Data)
	if short {
		return
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, s.step, s.y, 0, s.t)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, s.t, s.step, 1, s.x)
	dense.Mirror(s.x)
}
