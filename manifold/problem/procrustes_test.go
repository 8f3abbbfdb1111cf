package problem

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// TestProcrustesFindsTheRotation: matrices and their images are matched exactly, by the rotation up to its sign.
func TestProcrustesFindsTheRotation(t *testing.T) {
	const n = 5
	q := gallery.Orthogonal(95, n)
	for _, m := range []int{2, 4} {
		r := solved(t, "procrustes", turned(n, m, 0), nil)
		if r.Objective > 1e-12 || !strings.Contains(r.Reason, "global minimum") {
			t.Errorf("%d pairs: objective %v, %+v", m, r.Objective, r.Certificate)
		}
		got := r.Part("rotation")
		sign := math.Copysign(1, got.At(0, 0)*q.At(0, 0))
		got.Scale(sign, got)
		if d := distanceRelative(got, dataOf(q)); d > 1e-6 {
			t.Errorf("%d pairs: rotation %g off", m, d)
		}
	}
}

// TestProcrustesOfOnePair reaches the lower bound; the rotation is orthogonal.
func TestProcrustesOfOnePair(t *testing.T) {
	r := solved(t, "procrustes", Data{Matrices: spdPair(6, 100)}, nil)
	bound := r.Part("lower_bound").At(0, 0)
	if math.Abs(r.Objective-bound) > 1e-9 {
		t.Errorf("objective %v, lower bound %v", r.Objective, bound)
	}
	d := r.Part("distances").At(0, 0)
	if math.Abs(d*d/2-r.Objective) > 1e-9 {
		t.Errorf("distance %v, objective %v", d, r.Objective)
	}
	var e mat.Dense
	e.Mul(r.Part("rotation"), r.Part("rotation").T())
	if distanceRelative(&e, identity(6)) > 1e-13 {
		t.Errorf("not orthogonal: %v", mat.Formatted(&e))
	}
}

// TestProcrustesGradient by central differences along a skew-symmetric direction.
func TestProcrustesGradient(t *testing.T) {
	const n = 4
	d := turned(n, 3, 0.5)
	frames, err := factorMatrices(d.Matrices)
	if err != nil {
		t.Fatal(err)
	}
	o := newProcrustes(frames[:3], frames[3:])
	g := newRotations(n)
	p := g.RandomPoint(source(3))
	grad, v := make([]float64, n*n), make([]float64, n*n)
	s := gallery.NewStream(4)
	for i := range n {
		for j := range i {
			v[i*n+j] = s.Normal() / 4
			v[j*n+i] = -v[i*n+j]
		}
	}
	if _, err := o.Evaluate(p, grad, nil); err != nil {
		t.Fatal(err)
	}
	slope := func(h float64) float64 {
		var f [2]float64
		for k, sign := range []float64{1, -1} {
			u, q := make([]float64, n*n), p.Clone()
			dense.Scale(sign*h, v, u)
			if err := g.Retract(q, p, u); err != nil {
				t.Fatal(err)
			}
			if f[k], err = o.Evaluate(q, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		return (f[0] - f[1]) / (2 * h)
	}
	want := dense.Dot(grad, v)
	coarse, fine := math.Abs(slope(1e-2)-want), math.Abs(slope(1e-3)-want)
	if fine > 1e-4*math.Abs(want) || coarse/fine < 50 || coarse/fine > 200 {
		t.Errorf("slope %v, errors %g and %g: not of second order", want, coarse, fine)
	}
}

func TestProcrustesBadInput(t *testing.T) {
	refused(t, "procrustes", Data{}, nil, "no matrices")
	refused(t, "procrustes", Data{Matrices: spdPair(3, 2)[:1]}, nil, "1 matrices are no pairs")
}
