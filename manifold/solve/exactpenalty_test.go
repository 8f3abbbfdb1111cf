package solve

import (
	"math"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

// TestExactPenalty: minimizer and multipliers are those in closed form, whatever is active; the two methods for constraints agree.
func TestExactPenalty(t *testing.T) {
	const n = 3
	m := affine(t, n, manifold.AffineOptions{})
	b := newTug(m, 0, 81)
	l := b.b.(*manifold.Frame).LogDet()
	for _, k := range []struct {
		equal, most []float64
		shift       float64
		multipliers []float64 // n times
	}{
		{equal: []float64{l + 2}, shift: 2, multipliers: []float64{-2}},
		{equal: []float64{l - 3}, shift: -3, multipliers: []float64{3}},
		{most: []float64{l - 1.5}, shift: -1.5, multipliers: []float64{1.5}},
		{most: []float64{l + 1}, multipliers: []float64{0}},
		{equal: []float64{l - 1}, most: []float64{l + 5}, shift: -1, multipliers: []float64{1, 0}},
		{most: []float64{l - 1, l - 2, l}, shift: -2, multipliers: []float64{0, 2, 0}},
	} {
		f := &bounded{tug: b, equal: k.equal, most: k.most}
		r, err := ExactPenalty(m, f, manifold.IdentityFrame(n, 1), nil)
		if err != nil || !r.Converged || r.Violation > 1e-6 || r.Certificate.Kind != "none" {
			t.Errorf("equal %v, most %v: %+v %v", k.equal, k.most, r, err)
			continue
		}
		if d, err := m.Distance(r.Point, b.b); err != nil || math.Abs(d-math.Abs(k.shift)/math.Sqrt(n)) > 1e-5 {
			t.Errorf("equal %v, most %v: distance %v from B, want %v (%v)", k.equal, k.most, d, math.Abs(k.shift)/math.Sqrt(n), err)
		}
		for i, y := range r.Multipliers {
			if want := k.multipliers[i] / n; math.Abs(y-want) > 1e-4 {
				t.Errorf("equal %v, most %v: multiplier %d is %v, want %v", k.equal, k.most, i, y, want)
			}
		}
		a, err := AugmentedLagrangian(m, f, manifold.IdentityFrame(n, 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := m.Distance(r.Point, a.Point); err != nil || d > 1e-5 {
			t.Errorf("equal %v, most %v: %g from the augmented Lagrangian's point (%v)", k.equal, k.most, d, err)
		}
	}
}

// TestSmoothedPenalty: the weights are the derivatives of the values, which tend to |c| and max(0, c) and do not overflow.
func TestSmoothedPenalty(t *testing.T) {
	p := &penalized{constraints: constraints{equalities: 1, c: make([]float64, 2)}, penalty: 3}
	for _, p.width = range []float64{1, 0.1, 1e-3} {
		for _, c := range []float64{-2, -0.1, -1e-3, 0, 1e-4, 0.2, 5} {
			h := 1e-5 * p.width
			for i := range p.c {
				at := func(x float64) float64 { p.c[i] = x; return p.value(i) }
				slope := (at(c+h) - at(c-h)) / (2 * h)
				p.c[i] = c
				if e := math.Abs(slope - p.slope(i)); e > 1e-4 {
					t.Errorf("width %g, constraint %d at %g: slope %v, differences say %v", p.width, i, c, p.slope(i), slope)
				}
				limit := 3 * math.Abs(c)
				if i == 1 {
					limit = 3 * max(0, c)
				}
				if v := p.value(i); v < limit || v > limit+3*p.width*math.Ln2+1e-15 {
					t.Errorf("width %g, constraint %d at %g: value %v, want %v to %v", p.width, i, c, v, limit, limit+3*p.width*math.Ln2)
				}
			}
		}
	}
	for _, p.c[1] = range []float64{-1e300, 1e300} {
		if v, s := p.value(1), p.slope(1); math.IsNaN(v) || math.IsInf(v, 0) || math.IsNaN(s) {
			t.Errorf("at %g: %v %v", p.c[1], v, s)
		}
	}
}

func TestExactPenaltyFailures(t *testing.T) {
	m, start := affine(t, 3, manifold.AffineOptions{}), manifold.IdentityFrame(3, 1)
	b := newTug(m, 0, 82)
	r, err := ExactPenalty(m, &bounded{tug: b, equal: []float64{0, 1}}, start, nil)
	if err != nil || r.Converged || r.Reason.Name != "infeasible" || r.Violation < 0.4 {
		t.Errorf("contradicting constraints: %+v %v", r, err)
	}
	for _, f := range []Objective{newLogdet(3, 10, 1), &bounded{tug: b}} {
		if _, err := ExactPenalty(m, f, start, nil); err == nil || !strings.Contains(err.Error(), "onstrain") {
			t.Errorf("without constraints: %v", err)
		}
	}
	spoilt := &bounded{tug: b, equal: []float64{0}, spoil: func(c []float64) error { c[0] = math.NaN(); return nil }}
	if _, err := ExactPenalty(m, spoilt, start, nil); err == nil || !strings.Contains(err.Error(), "constraint 0 is NaN") {
		t.Errorf("NaN constraint: %v", err)
	}
}
