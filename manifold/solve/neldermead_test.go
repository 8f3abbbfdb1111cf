package solve

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// squaredDistance is the cost d(S, target)^2, whose minimizer is the target.
func squaredDistance(m *manifold.Affine, target manifold.Point) Cost {
	return func(p manifold.Point) (float64, error) {
		d, err := m.Distance(p, target)
		return d * d, err
	}
}

func TestNelderMead(t *testing.T) {
	const seed = 41
	rng := rand.New(rand.NewChaCha8([32]byte{seed}))
	for _, n := range []int{1, 2, 3} {
		m := affine(t, n, manifold.AffineOptions{})
		target := m.RandomPoint(rng)
		start := manifold.IdentityFrame(n, 1)
		r, err := NelderMead(m, squaredDistance(m, target), start, nil)
		if err != nil || !r.Converged || r.Reason.Name != "simplex" || r.Certificate.Kind != "none" {
			t.Errorf("n = %d, seed %d: %+v %v", n, seed, r, err)
			continue
		}
		if d, err := m.Distance(r.Point, target); err != nil || d > 1e-6 || math.Abs(r.Objective-d*d) > 1e-15 {
			t.Errorf("n = %d, seed %d: distance %v to the minimizer after %d iterations, cost %v (%v)", n, seed, d, r.Iterations, r.Objective, err)
		}
		if d, _ := m.Distance(start, manifold.IdentityFrame(n, 1)); d != 0 {
			t.Error("the start was changed")
		}
	}
}

// TestNelderMeadBasis: the basis spans the symmetric matrices and is orthonormal.
func TestNelderMeadBasis(t *testing.T) {
	m := affine(t, 4, manifold.AffineOptions{Kappa: 2})
	r, err := prepare("nelder-mead", m, squaredDistance(m, manifold.IdentityFrame(4, 2)), manifold.IdentityFrame(4, 1), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSimplex(r)
	if err != nil || len(s.basis) != 10 {
		t.Fatalf("%d vectors, want 10 (%v)", len(s.basis), err)
	}
	for i, a := range s.basis {
		for j, b := range s.basis {
			want := 0.0
			if i == j {
				want = 1
			}
			if d := m.Inner(nil, a, b) - want; math.Abs(d) > 1e-14 {
				t.Errorf("basis vectors %d and %d: defect %g", i, j, d)
			}
		}
	}
}

func TestNelderMeadResumes(t *testing.T) {
	m := affine(t, 2, manifold.AffineOptions{})
	target := m.RandomPoint(rand.New(rand.NewChaCha8([32]byte{42})))
	checkResume(t, "nelder-mead", 17, func(o *Options) (*Result, error) {
		return NelderMead(m, squaredDistance(m, target), manifold.IdentityFrame(2, 1), o)
	})
}

func TestNelderMeadStops(t *testing.T) {
	m := affine(t, 2, manifold.AffineOptions{})
	f, start := squaredDistance(m, manifold.IdentityFrame(2, 5)), manifold.IdentityFrame(2, 1)
	for name, o := range map[string]*Options{
		"iterations": {MaxIterations: 7}, "evaluations": {Stop: EvaluationLimit(20)}, "cost": {Stop: CostBelow(0.5)},
		"time":     {MaxTime: 1},
		"callback": {Callback: func(s *Status) bool { return s.Iteration == 4 }},
	} {
		r, err := NelderMead(m, f, start, o)
		if err != nil || r.Converged || r.Reason.Name != name {
			t.Errorf("%s: %+v %v", name, r, err)
			continue
		}
		if c, err := f(r.Point); err != nil || c != r.Objective || !(c < 2*math.Pow(math.Log(5), 2)) {
			t.Errorf("%s: the point returned has cost %v, the result says %v (%v)", name, c, r.Objective, err)
		}
	}
	broken := errors.New("disk full")
	count := 0
	_, err := NelderMead(m, Cost(func(p manifold.Point) (float64, error) {
		if count++; count == 9 {
			return 0, broken
		}
		return f(p)
	}), start, nil)
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want the objective's", err)
	}
	half := Cost(func(p manifold.Point) (float64, error) {
		if p.(*manifold.Frame).LogDet() > 1 {
			return math.NaN(), nil
		}
		return f(p)
	})
	r, err := NelderMead(m, half, start, nil)
	if err != nil || !r.Converged || math.Abs(r.Point.(*manifold.Frame).LogDet()-1) > 1e-3 {
		t.Errorf("domain with an edge: %+v %v, log det %v, want 1", r, err, r.Point.(*manifold.Frame).LogDet())
	}
	if _, err := LBFGS(m, f, start, nil); err == nil {
		t.Error("lbfgs ran without gradient")
	}
}

func TestNelderMeadAllocatesNothing(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{})
	cost := Cost(func(p manifold.Point) (float64, error) {
		inv := p.(*manifold.Frame).Inverse().RawMatrix().Data
		return dense.Dot(inv, inv) + p.(*manifold.Frame).LogDet(), nil
	})
	run := func(iterations int) func() {
		return func() {
			if _, err := NelderMead(m, cost, manifold.IdentityFrame(3, 2), &Options{MaxIterations: iterations}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if more := allocs.Growth(3, run(10), run(60)); more >= 5 { // a pool of the kernels may refill
		t.Errorf("%v allocations more in 60 iterations than in 10", more)
	}
}
