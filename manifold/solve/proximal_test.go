package solve

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

// tug is d(S, B)^2/2 + weight d(S, A). Its minimizer lies on the geodesic from B to A, at distance min(weight, d(A,B)) from B.
type tug struct {
	m       *manifold.Affine
	a, b    manifold.Point
	weight  float64
	penalty func() (float64, error) // if not nil, may replace the penalty
}

func (p *tug) Evaluate(s manifold.Point, grad []float64, _ Memo) (float64, error) {
	if err := p.m.Log(grad, s, p.b); err != nil {
		return 0, err
	}
	for i := range grad {
		grad[i] = -grad[i]
	}
	return p.m.Inner(s, grad, grad) / 2, nil
}

func (p *tug) Penalty(s manifold.Point) (float64, error) {
	if p.penalty != nil {
		if v, err := p.penalty(); err != nil || v != 0 {
			return v, err
		}
	}
	d, err := p.m.Distance(s, p.a)
	return p.weight * d, err
}

func (p *tug) Prox(dst, s manifold.Point, t float64) error {
	d, err := p.m.Distance(s, p.a)
	if err != nil || d == 0 {
		dst.CopyFrom(s)
		return err
	}
	return p.m.Between(dst, s, p.a, min(1, t*p.weight/d))
}

func newTug(m *manifold.Affine, weight float64, seed byte) *tug {
	rng := rand.New(rand.NewChaCha8([32]byte{seed}))
	return &tug{m: m, a: m.RandomPoint(rng), b: m.RandomPoint(rng), weight: weight}
}

func TestProximalGradient(t *testing.T) {
	m := affine(t, 4, manifold.AffineOptions{})
	for _, weight := range []float64{0, 0.3, 1, 100} {
		f := newTug(m, weight, 61)
		whole, err := m.Distance(f.a, f.b)
		if err != nil {
			t.Fatal(err)
		}
		want := manifold.IdentityFrame(4, 1)
		if err := m.Between(want, f.b, f.a, min(1, weight/whole)); err != nil {
			t.Fatal(err)
		}
		r, err := ProximalGradient(m, f, manifold.IdentityFrame(4, 1), nil)
		if err != nil || !r.Converged || r.Certificate.Kind != "none" {
			t.Errorf("weight %v: %+v %v", weight, r, err)
			continue
		}
		if d, err := m.Distance(r.Point, want); err != nil || d > 1e-7 {
			t.Errorf("weight %v: distance %v to the minimizer (%v)", weight, d, err)
		}
		away := min(weight, whole)
		if total := away*away/2 + weight*(whole-away); math.Abs(r.Objective-total) > 1e-10*(1+total) {
			t.Errorf("weight %v: cost %v, want %v", weight, r.Objective, total)
		}
	}
}

func TestProximalGradientAtMinimizer(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{})
	f := newTug(m, 50, 62)
	r, err := ProximalGradient(m, f, f.a, nil)
	if err != nil || !r.Converged || r.Iterations > 1 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestProximalGradientResumes(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{})
	checkResume(t, "proximal", 3, func(o *Options) (*Result, error) {
		return ProximalGradient(m, newTug(m, 0.4, 63), manifold.IdentityFrame(3, 1), o)
	})
}

func TestProximalGradientFailures(t *testing.T) {
	m, start := affine(t, 3, manifold.AffineOptions{}), manifold.IdentityFrame(3, 1)
	if _, err := ProximalGradient(m, newLogdet(3, 10, 1), start, nil); err == nil || !strings.Contains(err.Error(), "Penalized") {
		t.Errorf("without penalty: %v", err)
	}
	broken := errors.New("disk full")
	for what, answer := range map[string]func() (float64, error){
		"Inf": func() (float64, error) { return math.Inf(1), nil }, "NaN": func() (float64, error) { return math.NaN(), nil },
		"point": func() (float64, error) { return 0, &manifold.PointError{What: "outside"} }, "error": func() (float64, error) { return 0, broken },
	} {
		f, count := newTug(m, 0.4, 64), 0
		f.penalty = func() (float64, error) {
			if count++; count == 3 {
				return answer()
			}
			return 0, nil
		}
		r, err := ProximalGradient(m, f, start, nil)
		if what == "error" {
			if !errors.Is(err, broken) || !strings.Contains(err.Error(), "iteration 2") {
				t.Errorf("error %v, want the penalty's with the iteration", err)
			}
		} else if err != nil || !r.Converged {
			t.Errorf("%s: %+v %v", what, r, err)
		}
		f.penalty = answer
		if _, err := ProximalGradient(m, f, start, nil); err == nil {
			t.Errorf("%s at the start accepted", what)
		}
	}
	f, count := newTug(m, 0.4, 64), 0
	f.penalty = func() (float64, error) { count++; return float64(count), nil }
	if r, err := ProximalGradient(m, f, start, nil); err != nil || r.Converged || r.Reason.Name != "stalled" {
		t.Errorf("a cost that only rises: %+v %v", r, err)
	}
}
