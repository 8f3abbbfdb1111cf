package manifold

import (
	"errors"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// TestTriangularStep: at every length of the step the point is that of the rational retraction up to the stated error, the frame stays lower triangular, and
// F, F^-1 and log det belong together.
func TestTriangularStep(t *testing.T) {
	for _, n := range []int{1, 2, 7, 40, 70, 130} {
		for _, c := range []struct{ length, tol float64 }{{1e-9, 1e-13}, {0.01, 1e-6}, {0.0624, 5e-5}, {0.07, 1e-4}, {0.49, 5e-4}, {0.51, 5e-4}, {6, 1e-11}} {
			seed := uint64(1000*n) + uint64(100*c.length)
			rng := source(seed)
			p := mustFrame(t, randomSPD(rng, n, 1e3))
			v := make([]float64, n*n)
			rational, triangular := mustAffine(t, n, AffineOptions{}), mustAffine(t, n, AffineOptions{Retraction: TriangularStep})
			rational.RandomTangent(v, p, rng)
			dense.Scale(c.length, v, v)
			want, got := p.Clone().(*Frame), p.Clone().(*Frame)
			if err := errors.Join(rational.Retract(want, p, v), triangular.Retract(got, p, v)); err != nil {
				t.Fatal(err)
			}
			if d, err := rational.Distance(want, got); err != nil || d > c.tol {
				t.Errorf("n %d, step %g, seed %d: %.2e from the rational step (%v)", n, c.length, seed, d, err)
			}
			if want.Lower() && n > 1 || !got.Lower() {
				t.Errorf("n %d: Lower is %v after the rational step, %v after the triangular one", n, want.Lower(), got.Lower())
			}
			if math.Abs(got.LogDet()-want.LogDet()) > c.tol*float64(n)+1e-12 {
				t.Errorf("n %d, step %g, seed %d: log det %v, want %v", n, c.length, seed, got.LogDet(), want.LogDet())
			}
			var one mat.Dense
			one.Mul(got.F(), got.Inverse())
			for i := range n {
				one.Set(i, i, one.At(i, i)-1)
				for j := i + 1; j < n; j++ {
					if got.F().At(i, j) != 0 || got.Inverse().At(i, j) != 0 {
						t.Fatalf("n %d: element (%d,%d) of a triangular frame is not 0", n, i, j)
					}
				}
			}
			if e := mat.Norm(&one, 2); e > 1e-12*float64(n) {
				t.Errorf("n %d, step %g, seed %d: ||F F^-1 - I|| = %.2e", n, c.length, seed, e)
			}
		}
	}
}

// TestTriangularStepFromAnyFrame: a frame that is not triangular is moved to the same point.
func TestTriangularStepFromAnyFrame(t *testing.T) {
	const n = 9
	rng := source(91)
	m := mustAffine(t, n, AffineOptions{Retraction: TriangularStep})
	p := m.RandomPoint(rng).(*Frame)
	v := make([]float64, n*n)
	m.RandomTangent(v, p, rng)
	q, want := p.Clone().(*Frame), p.Clone().(*Frame)
	if err := errors.Join(m.Retract(q, p, v), m.Exp(want, p, v)); err != nil {
		t.Fatal(err)
	}
	if d, err := m.Distance(q, want); err != nil || d > 1e-4 || q.Lower() {
		t.Errorf("%v from the geodesic (%v), Lower %v", d, err, q.Lower())
	}
	if e := relative(q.Sym(), want.Sym()); e > 1e-3 {
		t.Errorf("F is off by %.2e", e)
	}
}

// TestTriangularBeyondRounding: a triangular frame whose matrix is singular to rounding is refused when F is asked for.
func TestTriangularBeyondRounding(t *testing.T) {
	m := mustAffine(t, 2, AffineOptions{Retraction: TriangularStep})
	p, q := IdentityFrame(2, 1), IdentityFrame(2, 1)
	v := []float64{5, 0, 0, -5}
	for range 10 {
		if err := m.Retract(q, p, v); err != nil {
			t.Fatal(err)
		}
		p, q = q, p
	}
	var e *PointError
	if err := m.Complete(p); !errors.As(err, &e) {
		t.Errorf("a point of condition e^90 or so: %v", err)
	}
}

// TestImages: images have the inner products of the vectors, and give them back.
func TestImages(t *testing.T) {
	for _, n := range []int{1, 2, 11} {
		for _, kappa := range []int{1, 2} {
			rng := source(uint64(40 + n))
			m := mustAffine(t, n, AffineOptions{Kappa: kappa})
			p := m.RandomPoint(rng)
			u, v, back := make([]float64, n*n), make([]float64, n*n), make([]float64, n*n)
			m.RandomTangent(u, p, rng)
			m.RandomTangent(v, p, rng)
			a, b := make([]float64, m.ImageLen()), make([]float64, m.ImageLen())
			m.Image(a, u)
			m.Image(b, v)
			if d := dense.Dot(a, b) - m.Inner(p, u, v); math.Abs(d) > 1e-14 {
				t.Errorf("n %d, kappa %d: inner products differ by %.2e", n, kappa, d)
			}
			m.Preimage(back, a)
			for i := range u {
				if math.Abs(back[i]-u[i]) > 1e-15 {
					t.Fatalf("n %d, kappa %d: element %d comes back as %v, was %v", n, kappa, i, back[i], u[i])
				}
			}
		}
	}
}
