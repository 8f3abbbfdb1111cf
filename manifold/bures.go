package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// BuresRetraction names a way to move under the Bures-Wasserstein metric. With H = L_S(U), the solution of H S + S H = U:
type BuresRetraction int

const (
	// BuresGeodesic takes (I + H) S (I + H), the exponential map. It is one only while I + H is positive definite, which is checked. The default.
	BuresGeodesic BuresRetraction = iota
	// BuresSquare takes (I + H + H^2/2) S (I + H + H^2/2), which stays in the cone for every step; it agrees with the geodesic to first order.
	BuresSquare
)

// BuresOptions configures NewBures; the zero value is the default.
type BuresOptions struct {
	// Retraction is what Retract uses; the default is BuresGeodesic.
	Retraction BuresRetraction
}

// Validate returns an error that names the first field that is out of range.
func (o BuresOptions) Validate() error {
	if o.Retraction != BuresGeodesic && o.Retraction != BuresSquare {
		return fmt.Errorf("manifold: unknown Retraction %d, want BuresGeodesic or BuresSquare", o.Retraction)
	}
	return nil
}

// Bures is the manifold of n x n SPD matrices with the Bures-Wasserstein metric tr(L_S(U) V)/2, where L_S(U) solves L S + S L = U. Its
// distance, (tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2)^1/2, is the Wasserstein distance of zero-mean Gaussians. Points are *EigenPoint; the
// coordinates of U are the square root of the metric applied to it, U'_ij / (2 d_i + 2 d_j)^1/2 in the eigenbasis of S. Transport keeps them:
// isometric and free, and agrees with parallel transport, which has no closed form here, to zeroth order. The curvature is nonnegative and the
// manifold is not complete: the exponential map is defined only while I + L_S(U) is positive definite. Source: Bhatia, Jain and Lim, Expo.
// Math. 37 (2019) 165-191; Malago, Montrucchio and Pistone, Inf. Geometry 1 (2018) 137-179.
type Bures struct {
	eigenMetric
	retraction BuresRetraction
}

var (
	_ Matrices        = (*Bures)(nil)
	_ Exponential     = (*Bures)(nil)
	_ Logarithm       = (*Bures)(nil)
	_ Distancer       = (*Bures)(nil)
	_ RandomTangenter = (*Bures)(nil)
	_ Checker         = (*Bures)(nil)
	_ FreeTransporter = (*Bures)(nil)
)

var buresWasserstein = Metric{
	Name: "bures-wasserstein",
	What: "tr(L_S(X) Y)/2: Wasserstein distance of zero-mean Gaussians; accepts nearly singular matrices, steps are guarded",
	New:  func(n int) (Manifold, error) { return NewBures(n, BuresOptions{}) },
}

// NewBures returns the Bures-Wasserstein manifold of n x n SPD matrices.
func NewBures(n int, o BuresOptions) (*Bures, error) {
	if n < 1 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 1", n)
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Bures{eigenMetric{n: n, weight: func(a, b float64) float64 { return math.Sqrt(2 * (a + b)) }}, o.Retraction}, nil
}

// Exp moves p along the geodesic to (I + H) S (I + H), H = L_S(U). A step for which I + H is not positive definite leaves the domain of the
// exponential and is a *PointError with the extreme eigenvalues of I + H. About four products and an eigendecomposition.
func (m *Bures) Exp(dst, p Point, v []float64) error { return m.move(BuresGeodesic, dst, p, v) }

// Retract moves p along v by the retraction chosen in BuresOptions.
func (m *Bures) Retract(dst, p Point, v []float64) error { return m.move(m.retraction, dst, p, v) }

func (m *Bures) move(r BuresRetraction, dst, p Point, v []float64) error {
	to, from, err := m.endpoints(dst, p, v)
	if err != nil {
		return err
	}
	w := to.scratch(3)
	k, h, t := w[0], w[1], w[2]
	from.toBasis(h, dense.Wrap(m.n, m.n, v))
	for i, a := range from.d {
		row := h.Row(i)
		for j, b := range from.d {
			row[j] *= math.Sqrt(2 / (a + b))
		}
	}
	k.Copy(h)
	addIdentity(k)
	if r == BuresSquare {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, h, h, 1, k)
	} else if err := m.guard(k, t, to.values); err != nil {
		return err
	}
	for i, d := range from.d { // k is symmetric: scaled rows of k are scaled columns of its transpose
		dense.Scale(math.Sqrt(d), k.Row(i), k.Row(i))
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, k, k, 0, t)
	dense.Mirror(t)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, from.q, t, 0, h)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, h, from.q, 0, to.q)
	if err := to.decompose(); err != nil {
		return fmt.Errorf("the step reaches the boundary of the cone; shorten it: %w", err)
	}
	return nil
}

// guard returns an error unless k = I + H is positive definite; t is overwritten.
func (m *Bures) guard(k, t dense.Matrix[float64], values []float64) error {
	t.Copy(k)
	if dense.Cholesky(t) < 0 {
		return nil
	}
	t.Copy(k)
	e := &PointError{What: "the step leaves the domain of the Bures-Wasserstein exponential: I + L_S(U) is not positive definite; shorten it"}
	if eigen.SymValues(t, values) {
		e.Min, e.Max = values[0], values[m.n-1]
	}
	return e
}

// Log writes to v the tangent vector at p whose geodesic reaches q: L_S(U) = S^-1 # T - I. One eigendecomposition and about four products.
func (m *Bures) Log(v []float64, p, q Point) error {
	from, to := asEigenPoint(p, m.n), asEigenPoint(q, m.n)
	w := from.scratch(3)
	r, t := w[1], w[2]
	// M = D^1/2 Q^T T Q D^1/2 = R R^T with R = D^1/2 Q^T Q_T D_T^1/2.
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, from.q, to.q, 0, r)
	for i, a := range from.d {
		row := r.Row(i)
		for j, b := range to.d {
			row[j] *= math.Sqrt(a) * math.Sqrt(b)
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, r, r, 0, t)
	dense.Mirror(t)
	if !from.solver.Sym(t, from.values) {
		return &PointError{What: "logarithm: the product of the two points overflows"}
	}
	for i, l := range from.values {
		from.values[i] = math.Sqrt(math.Max(l, 0))
	}
	spectralSum(r, t, from.values, w[0])
	for i, a := range from.d {
		row := r.Row(i)
		for j, b := range from.d {
			x := row[j] / math.Sqrt(a) / math.Sqrt(b)
			if i == j {
				x--
			}
			row[j] = x * math.Sqrt((a+b)/2)
		}
	}
	from.fromBasis(dense.Wrap(m.n, m.n, v), r)
	return finiteStep(v)
}

func (m *Bures) concurrentLog() {}

func (m *Bures) positivelyCurved() {}

// Distance returns the Bures-Wasserstein distance as the norm of the logarithm, which does not cancel for close points as the differences of
// traces would. One eigendecomposition and about four products.
func (m *Bures) Distance(p, q Point) (float64, error) {
	v := make([]float64, m.VectorLen())
	if err := m.Log(v, p, q); err != nil {
		return 0, err
	}
	return math.Sqrt(dense.Dot(v, v)), nil
}

// RandomPoint returns Q diag(4 + exp(z)) Q^T with standard normal z and a Haar-distributed orthogonal Q: so far from the boundary of the cone
// that every unit tangent vector stays in the domain of the exponential.
func (m *Bures) RandomPoint(rng *rand.Rand) Point {
	p := m.eigenMetric.RandomPoint(rng).(*EigenPoint)
	for i := range p.d {
		p.d[i] += 4
	}
	return p
}
