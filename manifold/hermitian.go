package manifold

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// Hermitian is the manifold of n x n Hermitian positive definite matrices with the affine-invariant metric Re tr(Z^-1 U Z^-1 V). Z = A + iB is
// kept as the real SPD matrix [A -B; B A] of 2n rows; these are a totally geodesic subspace of Affine(2n), on which the metric with Kappa = 2 is the
// complex one. Points are *Frame with F of the same structure, tangent vectors whitened real 2n x 2n matrices of that structure. It costs about
// twice what complex arithmetic would.
type Hermitian struct {
	Affine // of 2n rows
}

var (
	_ Manifold        = (*Hermitian)(nil)
	_ Exponential     = (*Hermitian)(nil)
	_ Logarithm       = (*Hermitian)(nil)
	_ Distancer       = (*Hermitian)(nil)
	_ RandomTangenter = (*Hermitian)(nil)
	_ Checker         = (*Hermitian)(nil)
	_ Completer       = (*Hermitian)(nil)
	_ FreeTransporter = (*Hermitian)(nil)
)

var hermitian = Space{
	Name: "hermitian",
	What: "n x n Hermitian positive definite matrices, affine-invariant",
	New:  func(n int) (Manifold, error) { return NewHermitian(n, HermitianOptions{}) },
}

// HermitianOptions configures NewHermitian; the zero value is the default.
type HermitianOptions struct {
	// Retraction is what Retract uses; DefaultStep is RationalStep. SweepStep and TriangularStep, whose frames lose the
	// structure, are not supported.
	Retraction Retraction
}

// Validate returns an error that names the first field that is out of range.
func (o HermitianOptions) Validate() error {
	if o.Retraction == SweepStep || o.Retraction == TriangularStep {
		return fmt.Errorf("manifold: the Hermitian space does not support the %v step", o.Retraction)
	}
	return AffineOptions{Retraction: o.Retraction}.Validate()
}

// NewHermitian returns the manifold of n x n Hermitian positive definite matrices.
func NewHermitian(n int, o HermitianOptions) (*Hermitian, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 1", n)
	}
	a, err := NewAffine(2*n, AffineOptions{Kappa: 2, Retraction: o.Retraction})
	if err != nil {
		return nil, err
	}
	return &Hermitian{*a}, nil
}

// Order returns n, the number of rows of the complex matrices.
func (m *Hermitian) Order() int { return m.n / 2 }

// project replaces w by its orthogonal projection [A -B; B A] with A the mean of the diagonal blocks and B half the difference of the others.
func (m *Hermitian) project(w dense.Matrix[float64]) {
	h := m.n / 2
	for i := range h {
		for j := range h {
			a, b := (w.At(i, j)+w.At(h+i, h+j))/2, (w.At(h+i, j)-w.At(i, h+j))/2
			w.Set(i, j, a)
			w.Set(h+i, h+j, a)
			w.Set(h+i, j, b)
			w.Set(i, h+j, -b)
		}
	}
}

// real writes the Hermitian part of z to w.
func (m *Hermitian) real(w dense.Matrix[float64], z mat.CMatrix) error {
	h := m.n / 2
	if absent.Complex(z) {
		return errNil
	}
	if r, c := z.Dims(); r != h || c != h {
		return fmt.Errorf("manifold: the matrix has shape %dx%d, want %dx%d", r, c, h, h)
	}
	for i := range h {
		for j := range h {
			x := (z.At(i, j) + cmplx.Conj(z.At(j, i))) / 2
			w.Set(i, j, real(x))
			w.Set(h+i, h+j, real(x))
			w.Set(h+i, j, imag(x))
			w.Set(i, h+j, -imag(x))
		}
	}
	return nil
}

// PointOf returns the point of z, which must be Hermitian to a relative 1e-8 and positive definite, by an eigendecomposition of 2n rows.
func (m *Hermitian) PointOf(z mat.CMatrix) (Point, error) {
	w := dense.New[float64](m.n, m.n)
	if err := m.real(w, z); err != nil {
		return nil, err
	}
	h := m.n / 2
	var skew, size float64
	for i := range h {
		for j := range h {
			skew = math.Max(skew, cmplx.Abs(z.At(i, j)-cmplx.Conj(z.At(j, i))))
			size = math.Max(size, cmplx.Abs(z.At(i, j)))
		}
	}
	if skew > 1e-8*size {
		return nil, &PointError{What: fmt.Sprintf("not Hermitian: an element differs by %.2g from the conjugate of its mirror image", skew)}
	}
	e, err := NewEigenPoint(mat.NewSymDense(m.n, w.Data))
	if err != nil {
		return nil, err
	}
	return m.frame(e), nil
}

// frame returns the frame with F the symmetric square root, which has the structure of the matrix.
func (m *Hermitian) frame(e *EigenPoint) *Frame {
	p := IdentityFrame(m.n, 1)
	p.lower = false
	e.function(p.matrix(), math.Sqrt)
	e.function(p.inverse(), func(d float64) float64 { return 1 / math.Sqrt(d) })
	for _, d := range e.d {
		p.logDet += math.Log(d)
	}
	return m.clean(p)
}

// clean removes what rounding has put outside the structure.
func (m *Hermitian) clean(f *Frame) *Frame {
	m.project(f.inverse())
	if !f.stale {
		m.project(f.matrix())
	}
	return f
}

// Complex returns the complex matrix of p.
func (m *Hermitian) Complex(p Point) *mat.CDense {
	h, s := m.n/2, asFrame(p, m.n).Sym()
	z := mat.NewCDense(h, h, nil)
	for i := range h {
		for j := range h {
			z.Set(i, j, complex((s.At(i, j)+s.At(h+i, h+j))/2, (s.At(h+i, j)-s.At(i, h+j))/2))
		}
	}
	return z
}

// Gradient writes to v the Riemannian gradient of a real function with df = Re tr(g dZ); the Hermitian part of g is taken.
func (m *Hermitian) Gradient(v []float64, p Point, g mat.CMatrix) {
	w := dense.New[float64](m.n, m.n)
	if err := m.real(w, g); err != nil {
		panic(Error(err.Error()))
	}
	dense.Scale(0.5, w.Data, w.Data) // the real trace counts twice
	m.Affine.Gradient(v, p, mat.NewSymDense(m.n, w.Data))
	m.project(dense.Wrap(m.n, m.n, v))
}

// Retract moves p along v by the retraction chosen in the options.
func (m *Hermitian) Retract(dst, p Point, v []float64) error {
	if err := m.Affine.Retract(dst, p, v); err != nil {
		return err
	}
	m.clean(asFrame(dst, m.n))
	return nil
}

// Exp moves p along the geodesic.
func (m *Hermitian) Exp(dst, p Point, v []float64) error {
	if err := m.Affine.Exp(dst, p, v); err != nil {
		return err
	}
	m.clean(asFrame(dst, m.n))
	return nil
}

// Between sets dst to the point at time t on the geodesic from p to q, by Log and Exp: the frame that Affine.Between turns loses the structure.
func (m *Hermitian) Between(dst, p, q Point, t float64) error {
	v := make([]float64, m.VectorLen())
	if err := m.Log(v, p, q); err != nil {
		return err
	}
	dense.Scale(t, v, v)
	if err := m.Exp(dst, p, v); err != nil {
		return err
	}
	return m.Complete(dst)
}

// Log writes to v the tangent vector at p that points to q.
func (m *Hermitian) Log(v []float64, p, q Point) error {
	err := m.Affine.Log(v, p, q)
	m.project(dense.Wrap(m.n, m.n, v))
	return err
}

// Complete computes what Retract put off.
func (m *Hermitian) Complete(p Point) error {
	if err := m.Affine.Complete(p); err != nil {
		return err
	}
	m.clean(asFrame(p, m.n))
	return nil
}

// RandomPoint returns Q diag(exp(z)) Q^* with standard normal z and Q the eigenvectors of a random Hermitian matrix.
func (m *Hermitian) RandomPoint(rng *rand.Rand) Point {
	e := newEigenPoint(m.n)
	m.RandomTangent(e.q.Data, nil, rng)
	if !eigen.Sym(e.q, e.d) {
		panic(Error("RandomPoint: eigendecomposition of a random matrix failed"))
	}
	for i := 0; i < m.n; i += 2 { // eigenvalues of the real matrix come in pairs
		e.d[i] = math.Exp(rng.NormFloat64())
		e.d[i+1] = e.d[i]
	}
	return m.frame(e)
}

// RandomTangent fills v with a random Hermitian matrix (the Gaussian unitary ensemble) scaled to unit norm.
func (m *Hermitian) RandomTangent(v []float64, p Point, rng *rand.Rand) {
	m.Affine.RandomTangent(v, p, rng)
	m.project(dense.Wrap(m.n, m.n, v))
	dense.Scale(1/math.Sqrt(m.Inner(p, v, v)), v, v)
}
