package manifold

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestCongruent: a congruence keeps distances and tangent coordinates, with triangular frames and others.
func TestCongruent(t *testing.T) {
	const n = 7
	rng := rand.New(rand.NewPCG(5, 6))
	turn := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			turn.Set(i, j, rng.NormFloat64())
		}
	}
	var inverse mat.Dense
	if err := inverse.Inverse(turn); err != nil {
		t.Fatal(err)
	}
	logDet, _ := mat.LogDet(turn)
	m, err := NewAffine(n, AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dense := m.RandomPoint(rng).(*Frame)
	lower, err := NewFrame(m.RandomPoint(rng).(*Frame).Sym())
	if err != nil {
		t.Fatal(err)
	}
	images := [2]*Frame{IdentityFrame(n, 1), IdentityFrame(n, 1)}
	v, w := make([]float64, n*n), make([]float64, n*n)
	for _, put := range []*mat.Dense{turn, nil} { // with the frame, and with the frame put off
		for i, p := range []*Frame{dense, lower} {
			p.Congruent(images[i], put, &inverse, logDet)
			var want mat.Dense
			want.Product(turn, p.Sym(), turn.T())
			if got := images[i].Sym(); !mat.EqualApprox(got, &want, 1e-11*mat.Norm(&want, 1)) {
				t.Errorf("frame %d: T S T' is wrong", i)
			}
			if d, _ := mat.LogDet(images[i].Sym()); math.Abs(d-images[i].LogDet()) > 1e-10 {
				t.Errorf("frame %d: log det %g, want %g", i, images[i].LogDet(), d)
			}
			if err := m.Check(images[i]); err != nil {
				t.Error(err)
			}
		}
		before, err := m.Distance(dense, lower)
		if err != nil {
			t.Fatal(err)
		}
		after, err := m.Distance(images[0], images[1])
		if err != nil || math.Abs(before-after) > 1e-10 {
			t.Errorf("distance %g, before %g (%v)", after, before, err)
		}
		if err := m.Log(v, dense, lower); err != nil {
			t.Fatal(err)
		}
		if err := m.Log(w, images[0], images[1]); err != nil {
			t.Fatal(err)
		}
		for i := range v {
			if math.Abs(v[i]-w[i]) > 1e-9 {
				t.Fatalf("coordinate %d is %g, before %g", i, w[i], v[i])
			}
		}
	}
	for name, f := range map[string]func(){
		"itself":          func() { dense.Congruent(dense, turn, &inverse, logDet) },
		"a larger frame":  func() { dense.Congruent(IdentityFrame(n+1, 1), turn, &inverse, logDet) },
		"a larger T":      func() { dense.Congruent(images[0], mat.NewDense(n+1, n+1, nil), &inverse, logDet) },
		"a large inverse": func() { dense.Congruent(images[0], turn, mat.NewDense(n+1, n+1, nil), logDet) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(Error); !ok {
					t.Errorf("%s: no Error", name)
				}
			}()
			f()
		}()
	}
}
