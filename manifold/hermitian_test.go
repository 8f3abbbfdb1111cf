package manifold

import (
	"errors"
	"math"
	"math/cmplx"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestHermitian: distances against the eigenvalues of a 2 x 2 complex pencil in closed form, invariance under complex congruence, gradient.
func TestHermitian(t *testing.T) {
	m, err := NewHermitian(2, HermitianOptions{})
	if err != nil || m.Order() != 2 {
		t.Fatal(err)
	}
	a := mat.NewCDense(2, 2, []complex128{2, 1 + 1i, 1 - 1i, 3})
	b := mat.NewCDense(2, 2, []complex128{1, 0.5i, -0.5i, 2})
	p, err1 := m.PointOf(a)
	q, err2 := m.PointOf(b)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	// A^-1 B has determinant 1.75/4 and trace tr(adj(A) B)/det A.
	det, trace := 1.75/4, (3*1+2*2-2*real((1+1i)*cmplx.Conj(0.5i)))/4
	r := math.Sqrt(trace*trace/4 - det)
	want := math.Hypot(math.Log(trace/2+r), math.Log(trace/2-r))
	if d, err := m.Distance(p, q); err != nil || math.Abs(d-want) > 1e-13 {
		t.Errorf("distance %v, want %v (%v)", d, want, err)
	}
	c := m.Complex(p)
	for i := range 2 {
		for j := range 2 {
			if cmplx.Abs(c.At(i, j)-a.At(i, j)) > 1e-14 {
				t.Errorf("element (%d,%d) is %v, want %v", i, j, c.At(i, j), a.At(i, j))
			}
		}
	}
	rng := source(101)
	g := make([]float64, m.VectorLen())
	m.Gradient(g, p, b)
	rep, err := CheckGradient(m, p, func(x Point) (float64, error) { // Re tr(B Z)
		z := m.Complex(x)
		var s complex128
		for i := range 2 {
			for j := range 2 {
				s += b.At(i, j) * z.At(j, i)
			}
		}
		return real(s), nil
	}, g, rng)
	if err != nil || !rep.OK {
		t.Errorf("%v %v", rep, err)
	}
	for what, z := range map[string]*mat.CDense{
		"not Hermitian":         mat.NewCDense(2, 2, []complex128{2, 1i, 1i, 3}),
		"not positive definite": mat.NewCDense(2, 2, []complex128{1, 2i, -2i, 1}),
		"NaN":                   mat.NewCDense(2, 2, []complex128{complex(math.NaN(), 0), 0, 0, 1}),
		"shape":                 mat.NewCDense(1, 1, []complex128{1}),
	} {
		if _, err := m.PointOf(z); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, r := range []Retraction{SweepStep, TriangularStep} {
		if _, err := NewHermitian(2, HermitianOptions{Retraction: r}); err == nil {
			t.Errorf("the %v step was accepted", r)
		}
	}
}

// TestHermitianBetween: the point at a third of a geodesic lies on it, and its frame has the structure that coordinates of tangent vectors rely on.
func TestHermitianBetween(t *testing.T) {
	m, err := NewHermitian(3, HermitianOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rng := source(102)
	p, q, mid := m.RandomPoint(rng), m.RandomPoint(rng), m.RandomPoint(rng)
	if err := m.Between(mid, p, q, 1.0/3); err != nil {
		t.Fatal(err)
	}
	whole, err1 := m.Distance(p, q)
	first, err2 := m.Distance(p, mid)
	second, err3 := m.Distance(mid, q)
	if err := errors.Join(err1, err2, err3); err != nil || math.Abs(first-whole/3) > 1e-12*whole || math.Abs(second-2*whole/3) > 1e-12*whole {
		t.Errorf("distances %v and %v of %v (%v)", first, second, whole, err)
	}
	for name, f := range map[string]*mat.Dense{"F": mid.(*Frame).F(), "F^-1": mid.(*Frame).Inverse()} {
		for i := range 3 {
			for j := range 3 {
				if f.At(i, j) != f.At(3+i, 3+j) || f.At(3+i, j) != -f.At(i, 3+j) {
					t.Errorf("%s has another structure at (%d,%d)", name, i, j)
				}
			}
		}
	}
}
