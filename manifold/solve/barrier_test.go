package solve

import (
	"math"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

// TestBarrier: minimizer and multipliers are those in closed form, and no point on the way is outside.
func TestBarrier(t *testing.T) {
	const n = 3
	m := affine(t, n, manifold.AffineOptions{})
	b := newTug(m, 0, 81)
	l := b.b.(*manifold.Frame).LogDet()
	start := manifold.IdentityFrame(n, math.Exp((l-9)/n)) // log det l - 9
	for _, k := range []struct {
		most        []float64
		shift       float64
		multipliers []float64 // n times
	}{
		{most: []float64{l - 1.5}, shift: -1.5, multipliers: []float64{1.5}},
		{most: []float64{l + 1}, multipliers: []float64{0}},
		{most: []float64{l - 1, l - 2, l}, shift: -2, multipliers: []float64{0, 2, 0}},
	} {
		worst := math.Inf(-1)
		f := &bounded{tug: b, most: k.most}
		r, err := Barrier(m, f, start, &Options{Callback: func(s *Status) bool {
			for _, v := range k.most {
				worst = max(worst, s.Point.(*manifold.Frame).LogDet()-v)
			}
			return false
		}})
		if err != nil || !r.Converged || r.Violation > 1e-6 || r.Certificate.Kind != "none" || !(worst < 0) {
			t.Errorf("most %v: %+v %v, largest constraint %g", k.most, r, err, worst)
			continue
		}
		if d, err := m.Distance(r.Point, b.b); err != nil || math.Abs(d-math.Abs(k.shift)/math.Sqrt(n)) > 1e-5 {
			t.Errorf("most %v: distance %v from B, want %v (%v)", k.most, d, math.Abs(k.shift)/math.Sqrt(n), err)
		}
		for i, y := range r.Multipliers {
			if want := k.multipliers[i] / n; math.Abs(y-want) > 1e-4 {
				t.Errorf("most %v: multiplier %d is %v, want %v", k.most, i, y, want)
			}
		}
	}
	for want, f := range map[string]Objective{
		"no equality": &bounded{tug: b, equal: []float64{l}, most: []float64{l}}, "constraint 0 is": &bounded{tug: b, most: []float64{l - 10}},
		"at least one": &bounded{tug: b}, "Constrained": newLogdet(3, 10, 1),
	} {
		if _, err := Barrier(m, f, start, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
