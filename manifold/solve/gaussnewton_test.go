package solve

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// ellipsoid is the sum over points x of (x' S x - 1)^2/2; with u = F' x the residual changes by u' eta u along eta.
type ellipsoid struct {
	m      *manifold.Affine
	points dense.Matrix[float64]
}

type ellipsoidMemo struct {
	u dense.Matrix[float64]
	r []float64
}

func (e *ellipsoid) NewMemo() Memo {
	return &ellipsoidMemo{dense.New[float64](e.points.Rows, e.points.Cols), make([]float64, e.points.Rows)}
}

func (e *ellipsoid) Residuals() int { return e.points.Rows }

func (e *ellipsoid) Evaluate(p manifold.Point, grad []float64, memo Memo) (cost float64, err error) {
	m := memo.(*ellipsoidMemo)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, e.points, dense.Of(p.(*manifold.Frame).F().RawMatrix()), 0, m.u)
	for i := range m.r {
		m.r[i] = dense.Dot(m.u.Row(i), m.u.Row(i)) - 1
		cost += m.r[i] * m.r[i] / 2
	}
	return cost, e.AdjointVec(grad, p, m.r, memo)
}

func (e *ellipsoid) JacobianVec(dst []float64, _ manifold.Point, v []float64, memo Memo) error {
	u, n := memo.(*ellipsoidMemo).u, e.points.Cols
	for i := range dst {
		dst[i] = 0
		for a, x := range u.Row(i) {
			dst[i] += x * dense.Dot(u.Row(i), v[a*n:(a+1)*n])
		}
	}
	return nil
}

func (e *ellipsoid) AdjointVec(dst []float64, p manifold.Point, w []float64, memo Memo) error {
	u, n := memo.(*ellipsoidMemo).u, e.points.Cols
	clear(dst)
	for i, c := range w {
		for a, x := range u.Row(i) {
			dense.Axpy(c*x, u.Row(i), dst[a*n:(a+1)*n])
		}
	}
	e.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// newEllipsoid draws points whose distance from the ellipsoid x' S x = 1 of a random S is the noise, and returns S.
func newEllipsoid(m *manifold.Affine, count int, noise float64, seed byte) (*ellipsoid, *manifold.Frame) {
	rng := rand.New(rand.NewChaCha8([32]byte{seed}))
	s := m.RandomPoint(rng).(*manifold.Frame)
	e := &ellipsoid{m, dense.New[float64](count, m.Dim())}
	inv := s.Inverse()
	z := make([]float64, m.Dim())
	for i := range count {
		for j := range z {
			z[j] = rng.NormFloat64()
		}
		length := math.Sqrt(dense.Dot(z, z)) / (1 + noise*rng.NormFloat64())
		for j := range z { // x = F^-T z/|z|
			for k, v := range z {
				e.points.Data[i*m.Dim()+j] += inv.At(k, j) * v / length
			}
		}
	}
	return e, s
}

func TestGaussNewton(t *testing.T) {
	for _, kappa := range []int{1, 2} {
		m := affine(t, 5, manifold.AffineOptions{Kappa: kappa})
		f, want := newEllipsoid(m, 60, 0, 71)
		r, err := GaussNewton(m, f, manifold.IdentityFrame(5, 1), &Options{Tolerance: 1e-10})
		if err != nil || !r.Converged || r.HessianProducts == 0 {
			t.Fatalf("%+v %v", r, err)
		}
		if d, err := m.Distance(r.Point, want); err != nil || d > 1e-9 {
			t.Errorf("distance %v to the ellipsoid that the points lie on (%v)", d, err)
		}
		if r.Certificate.Kind != "newton-step" || r.Certificate.Value > 1e-8 {
			t.Errorf("certificate %+v", r.Certificate)
		}
		var gradients []float64
		if _, err := GaussNewton(m, f, manifold.IdentityFrame(5, 1), &Options{Tolerance: 1e-10, Callback: func(s *Status) bool {
			gradients = append(gradients, s.GradientNorm)
			return false
		}}); err != nil {
			t.Fatal(err)
		}
		best := 1.0
		for k := 1; k < len(gradients); k++ {
			best = min(best, gradients[k]/gradients[k-1])
		}
		if best > 1e-3 {
			t.Errorf("gradients %v: the best step gains a factor %.2g, want superlinear convergence", gradients, best)
		}
	}
}

// TestGaussNewtonWithResiduals: with noise the minimizer is that of the solvers that know nothing of the residuals.
func TestGaussNewtonWithResiduals(t *testing.T) {
	m := affine(t, 4, manifold.AffineOptions{})
	f, _ := newEllipsoid(m, 40, 0.05, 72)
	a, err1 := GaussNewton(m, f, manifold.IdentityFrame(4, 1), nil)
	b, err2 := LBFGS(m, f, manifold.IdentityFrame(4, 1), nil)
	if err1 != nil || err2 != nil || !a.Converged || !b.Converged {
		t.Fatalf("%+v %v, %+v %v", a, err1, b, err2)
	}
	if d, err := m.Distance(a.Point, b.Point); err != nil || d > 1e-6 {
		t.Errorf("distance %v (%v)", d, err)
	}
	if _, err := GaussNewton(m, newLogdet(4, 10, 1), manifold.IdentityFrame(4, 1), nil); err == nil || !strings.Contains(err.Error(), "LeastSquares") {
		t.Errorf("without residuals: %v", err)
	}
}

// TestEllipsoidDerivative: the gradient J* r of the test problem is that of its cost, so that J and J* above belong together.
func TestEllipsoidDerivative(t *testing.T) {
	const seed = 73
	m := affine(t, 4, manifold.AffineOptions{Kappa: 2})
	f, _ := newEllipsoid(m, 30, 0.3, seed)
	rng := rand.New(rand.NewChaCha8([32]byte{seed}))
	p, memo, other := m.RandomPoint(rng), f.NewMemo(), f.NewMemo()
	grad, scratch := make([]float64, 16), make([]float64, 16)
	if _, err := f.Evaluate(p, grad, memo); err != nil {
		t.Fatal(err)
	}
	cost := func(q manifold.Point) (float64, error) { return f.Evaluate(q, scratch, other) }
	if r, err := manifold.CheckGradient(m, p, cost, grad, rng); err != nil || !r.OK {
		t.Errorf("seed %d: %v %v", seed, r, err)
	}
	v, w, jv, jw := make([]float64, 16), make([]float64, 30), make([]float64, 30), make([]float64, 16)
	m.RandomTangent(v, p, rng)
	for i := range w {
		w[i] = rng.NormFloat64()
	}
	if f.JacobianVec(jv, p, v, memo) != nil || f.AdjointVec(jw, p, w, memo) != nil {
		t.Fatal("products failed")
	}
	if d := dense.Dot(jv, w) - m.Inner(p, jw, v); math.Abs(d) > 1e-12*math.Abs(dense.Dot(jv, w)) {
		t.Errorf("seed %d: <Jv, w> - <v, J*w> = %g", seed, d)
	}
}

func TestGaussNewtonResumes(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{})
	checkResume(t, "gauss-newton", 1, func(o *Options) (*Result, error) {
		f, _ := newEllipsoid(m, 30, 0.05, 74)
		return GaussNewton(m, f, manifold.IdentityFrame(3, 1), o)
	})
}
