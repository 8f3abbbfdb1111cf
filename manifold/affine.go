package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// AffineOptions configures NewAffine; the zero value is the default.
type AffineOptions struct {
	// Kappa is the metric convention: the inner product at S is tr(S^-1 xi S^-1 xi')/Kappa. 1 (the default, also for 0) is the
	// affine-invariant metric of most of the literature; 2 is the Fisher-Rao metric of the zero-mean Gaussian.
	Kappa int
	// Retraction is what Retract uses; DefaultStep is RationalStep.
	Retraction Retraction
	// MaxStep bounds the Frobenius norm of a whitened step; the default for 0 is 600 (factors up to e^600 in an eigenvalue).
	MaxStep float64
}

// Validate returns an error that names the first field that is out of range.
func (o AffineOptions) Validate() error {
	switch {
	case o.Kappa < 0 || o.Kappa > 2:
		return fmt.Errorf("manifold: Kappa is %d, want 1 or 2 (0 for the default, 1)", o.Kappa)
	case o.Retraction < 0 || int(o.Retraction) >= len(retractions):
		return fmt.Errorf("manifold: unknown Retraction %d, want one of DefaultStep, RationalStep, SecondOrderStep, GeodesicStep, SweepStep, TriangularStep", o.Retraction)
	case o.MaxStep < 0 || o.MaxStep > 600 || math.IsNaN(o.MaxStep):
		return fmt.Errorf("manifold: MaxStep is %v, want a number from 0 to 600", o.MaxStep)
	}
	return nil
}

// Affine is the manifold of n x n SPD matrices with the affine-invariant metric tr(S^-1 xi S^-1 xi')/kappa. Points are *Frame, tangent
// vectors whitened symmetric n x n matrices. It is a Hadamard manifold: geodesics between two points are unique, distances are convex.
// Formulas: Bhatia, "Positive Definite Matrices", Princeton 2007, chapter 6; Pennec, Fillard and Ayache, IJCV 66 (2006).
type Affine struct {
	n          int
	kappa      float64
	retraction Retraction
	maxStep    float64
}

var (
	_ Manifold        = (*Affine)(nil)
	_ Exponential     = (*Affine)(nil)
	_ Logarithm       = (*Affine)(nil)
	_ Distancer       = (*Affine)(nil)
	_ RandomTangenter = (*Affine)(nil)
	_ Checker         = (*Affine)(nil)
	_ Completer       = (*Affine)(nil)
	_ FreeTransporter = (*Affine)(nil)
	_ Whitened        = (*Affine)(nil)
	_ Isometric       = (*Affine)(nil)
)

// NewAffine returns the affine-invariant manifold of n x n SPD matrices.
func NewAffine(n int, o AffineOptions) (*Affine, error) {
	if n < 1 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 1", n)
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	m := &Affine{n: n, kappa: float64(o.Kappa), retraction: o.Retraction, maxStep: o.MaxStep}
	if m.kappa == 0 {
		m.kappa = 1
	}
	if m.maxStep == 0 {
		m.maxStep = 600
	}
	return m, nil
}

// Dim returns the number of rows of the matrices.
func (m *Affine) Dim() int { return m.n }

// Kappa returns the metric convention, 1 or 2.
func (m *Affine) Kappa() float64 { return m.kappa }

// VectorLen returns n*n.
func (m *Affine) VectorLen() int { return m.n * m.n }

// Inner returns tr(u v)/kappa in n^2 operations; the point does not enter.
func (m *Affine) Inner(_ Point, u, v []float64) float64 { return dense.Dot(u, v) / m.kappa }

// FreeTransport reports true: vectors keep their coordinates.
func (m *Affine) FreeTransport() bool { return true }

// Transport does nothing: keeping eta while the frame moves is isometric. After GeodesicStep it is parallel transport along
// the geodesic, because F exp(eta/2) zeta exp(eta/2) F^T = E (F zeta F^T) E^T with E = F exp(eta/2) F^-1.
func (m *Affine) Transport(_, _ Point, _ []float64) {}

// ImageLen returns n(n+1)/2.
func (m *Affine) ImageLen() int { return m.n * (m.n + 1) / 2 }

// Image writes to dst the upper triangle of v by rows, over sqrt(kappa), with the elements beside the diagonal times sqrt(2).
func (m *Affine) Image(dst, v []float64) {
	on, off := 1/math.Sqrt(m.kappa), math.Sqrt(2/m.kappa)
	for i := range m.n {
		row := v[i*m.n+i : (i+1)*m.n]
		dst[0] = on * row[0]
		dense.Scale(off, row[1:], dst[1:len(row)])
		dst = dst[len(row):]
	}
}

// Preimage inverts Image.
func (m *Affine) Preimage(v, image []float64) {
	on, off := math.Sqrt(m.kappa), math.Sqrt(m.kappa/2)
	for i := range m.n {
		row := v[i*m.n+i : (i+1)*m.n]
		row[0] = on * image[0]
		dense.Scale(off, image[1:len(row)], row[1:])
		image = image[len(row):]
	}
	dense.Mirror(dense.Wrap(m.n, m.n, v))
}

// FromWhitened overwrites the whitened differential w = F^T G F by the Riemannian gradient kappa*w.
func (m *Affine) FromWhitened(_ *Frame, w []float64) {
	if m.kappa != 1 {
		for i := range w {
			w[i] *= m.kappa
		}
	}
}

// Gradient writes to v the Riemannian gradient kappa F^T G F of a function whose Euclidean gradient at S is g; g is symmetrised.
// Two products.
func (m *Affine) Gradient(v []float64, p Point, g mat.Matrix) {
	f := asFrame(p, m.n)
	w := f.scratch(2)
	symmetrise(w[0], g)
	out := dense.Wrap(m.n, m.n, v)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w[0], f.matrix(), 0, w[1])
	dense.GemmUpper(dense.Transposed, dense.NoTrans, m.kappa, f.matrix(), w[1], 0, out)
	dense.Mirror(out)
}

// Embed writes to dst the matrix xi = F eta F^T of the tangent vector v at p. Two products.
func (m *Affine) Embed(dst *mat.SymDense, p Point, v []float64) {
	f := asFrame(p, m.n)
	setSym(dst, m.n, func(out dense.Matrix[float64]) {
		congruenceTo(out, f.matrix(), dense.Wrap(m.n, m.n, v), f.scratch(1)[0])
	})
}

// Whiten writes to v the coordinates eta = F^-1 xi F^-T of the symmetric matrix xi at p. Two products.
func (m *Affine) Whiten(v []float64, p Point, xi mat.Symmetric) {
	f := asFrame(p, m.n)
	w := f.scratch(2)
	copyTangent(w[0], xi)
	out := dense.Wrap(m.n, m.n, v)
	congruenceTo(out, f.inverse(), w[0], w[1])
	dense.Mirror(out)
}

// congruenceTo sets the upper triangle of dst to a s a^T for symmetric s.
func congruenceTo(dst, a, s, work dense.Matrix[float64]) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, s, 0, work)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, work, a, 0, dst)
}

// Distance returns the geodesic distance (sum of log^2 lambda_i / kappa)^(1/2), lambda_i the eigenvalues of F^-1 T F^-T, from eigenvalues
// only: about 5 n^3 operations.
func (m *Affine) Distance(p, q Point) (float64, error) {
	values, err := pencilValues(asFrame(p, m.n), asFrame(q, m.n))
	if err != nil {
		return 0, err
	}
	var s float64
	for _, l := range values {
		s += math.Log(l) * math.Log(l)
	}
	return math.Sqrt(s / m.kappa), nil
}

// Log writes to v the tangent vector log(F^-1 T F^-T) at p that points to q: one eigendecomposition and three products.
func (m *Affine) Log(v []float64, p, q Point) error {
	f := asFrame(p, m.n)
	basis, values, err := pencilEigen(f, asFrame(q, m.n))
	if err != nil {
		return err
	}
	for i, l := range values {
		values[i] = math.Log(l)
	}
	spectralSum(dense.Wrap(m.n, m.n, v), basis, values, f.scratch(1)[0])
	return nil
}

func (m *Affine) concurrentLog() {}

// Between sets dst to the point at time t on the geodesic from p to q: F_p Q diag(c^(t/2)) with C = F_p^-1 T F_p^-T = Q diag(c) Q^T. It is
// Log, scaling and Exp at the cost of one eigendecomposition, but the frame is turned: tangent coordinates at p mean nothing at dst.
func (m *Affine) Between(dst, p, q Point, t float64) error {
	f, g, out := asFrame(p, m.n), asFrame(q, m.n), asFrame(dst, m.n)
	if out == f || out == g {
		panic(Error("Between: dst is one of the points"))
	}
	basis, values, err := pencilEigen(f, g)
	if err != nil {
		return err
	}
	out.stale, out.lower = false, false
	to, inv := out.matrix(), out.inverse()
	if f.lower {
		dense.MulLower(dense.NoTrans, f.matrix(), basis, to)
		dense.Transpose(f.scratch(1)[0], basis)
		dense.MulLowerRight(dense.NoTrans, f.inverse(), f.scratch(1)[0], inv)
	} else {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.matrix(), basis, 0, to)
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, basis, f.inverse(), 0, inv)
	}
	out.logDet, out.spectral = f.logDet, false
	for i, c := range values {
		out.logDet += t * math.Log(c)
		values[i] = math.Pow(c, t/2)
	}
	for i, c := range values {
		row, invRow := to.Row(i), inv.Row(i)
		for j, d := range values {
			row[j] *= d
			invRow[j] /= c
		}
	}
	return nil
}

// Exp moves p along the geodesic: F+ = F exp(eta/2). One eigendecomposition and five products.
func (m *Affine) Exp(dst, p Point, v []float64) error { return m.move(GeodesicStep, dst, p, v) }

// Retract moves p along v by the retraction chosen in AffineOptions.
func (m *Affine) Retract(dst, p Point, v []float64) error { return m.move(m.retraction, dst, p, v) }

func (m *Affine) move(r Retraction, dst, p Point, v []float64) error {
	f, g := asFrame(p, m.n), asFrame(dst, m.n)
	if f == g {
		panic(Error("Retract: dst is the point itself"))
	}
	if norm := math.Sqrt(dense.Dot(v, v)); !(norm <= m.maxStep) {
		return &StepError{Norm: norm, Limit: m.maxStep}
	}
	g.spectral, g.stale, g.lower = false, true, false
	return retractions[r].move(g, f, dense.Wrap(m.n, m.n, v))
}

// Check verifies that p is a finite point. Where F has been computed it also checks that F and F^-1 belong together, which proves S = F F^T
// positive definite in floating point (||I - F F^-1||_F < 1 makes F regular), and removes drift of F^-1 by one Newton step: one product, two
// with the repair. A point that Retract has moved is positive definite because every factor of the step passed a Cholesky factorization;
// checking it costs n^2 operations.
func (m *Affine) Check(p Point) error {
	f := asFrame(p, m.n)
	inv := f.inverse()
	if !allFinite(inv) || f.logDet-f.logDet != 0 {
		return &PointError{What: "the point has a NaN or Inf entry"}
	}
	if f.stale {
		return nil
	}
	if !allFinite(f.matrix()) {
		return &PointError{What: "the point has a NaN or Inf entry"}
	}
	w := f.scratch(2)
	defect := f.defect(w[0])
	switch {
	case !(defect < 0.5):
		return &PointError{What: fmt.Sprintf("the point is singular to rounding: ||I - F F^-1|| = %.2g", defect)}
	case defect > 1e-11*math.Sqrt(float64(m.n)):
		w[1].Copy(inv)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w[1], w[0], 1, inv)
	}
	return nil
}

// Complete computes what Retract put off, so that the point can be handed out; a point that is singular to rounding is a *PointError.
func (m *Affine) Complete(p Point) error { return asFrame(p, m.n).complete() }

// RandomPoint returns Q diag(exp(z)) Q^T as a frame, with standard normal z and a Haar-distributed orthogonal Q.
func (m *Affine) RandomPoint(rng *rand.Rand) Point {
	v := make([]float64, m.n*m.n)
	p, q := IdentityFrame(m.n, 1), IdentityFrame(m.n, 1)
	m.RandomTangent(v, p, rng)
	w := dense.Wrap(m.n, m.n, v)
	z := make([]float64, m.n)
	if !eigen.Sym(w, z) {
		panic(Error("RandomPoint: eigendecomposition of a random matrix failed"))
	}
	for i := range z {
		z[i] = rng.NormFloat64()
	}
	out, work := dense.New[float64](m.n, m.n), dense.New[float64](m.n, m.n)
	spectralSum(out, w, z, work)
	if err := m.Exp(q, p, out.Data); err != nil {
		panic(Error("RandomPoint: " + err.Error()))
	}
	return q
}

// RandomTangent fills v with a random symmetric matrix (the Gaussian orthogonal ensemble) scaled to unit norm.
func (m *Affine) RandomTangent(v []float64, p Point, rng *rand.Rand) {
	w := dense.Wrap(m.n, m.n, v)
	for i := range m.n {
		w.Set(i, i, math.Sqrt2*rng.NormFloat64())
		for j := i + 1; j < m.n; j++ {
			w.Set(i, j, rng.NormFloat64())
		}
	}
	dense.Mirror(w)
	scale := 1 / math.Sqrt(m.Inner(p, v, v))
	for i := range v {
		v[i] *= scale
	}
}

// spectralSum sets dst = q diag(w) q^T, complete.
func spectralSum(dst, q dense.Matrix[float64], w []float64, work dense.Matrix[float64]) {
	for i := range q.Rows {
		row, out := q.Row(i), work.Row(i)
		for j, v := range row {
			out[j] = v * w[j]
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, work, q, 0, dst)
	dense.Mirror(dst)
}
