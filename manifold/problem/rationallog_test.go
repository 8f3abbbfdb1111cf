package problem

import (
	"math"
	"testing"
)

// TestRationalLog: the root mean square error is the one stated, and with sinh at most that of a shiftedLog with one shift more.
func TestRationalLog(t *testing.T) {
	for _, width := range []float64{0.5, 1.2, 2.4, 4.6, 7} {
		for shifts := 1; shifts <= 6; shifts++ {
			r, plain := newRationalLog(width, shifts), newShiftedLog(width, shifts+1)
			if len(r.shift) != shifts || len(r.weight) != shifts {
				t.Fatalf("%d shifts instead of %d", len(r.shift), shifts)
			}
			var square float64
			const points = 1000
			for i := range points {
				l := width * (2*(float64(i)+0.5)/points - 1)
				e := r.sinh*math.Sinh(l) + r.constant - l
				for j, s := range r.shift {
					e -= r.weight[j] / (math.Exp(l) + s)
				}
				square += e * e / points
			}
			if e := math.Sqrt(square); math.Abs(e-r.err) > 0.2*r.err+1e-9 {
				t.Errorf("L = %v, %d shifts: error %.3g, stated %.3g", width, shifts, e, r.err)
			}
			if r.err > 1.2/math.Sqrt2*plain.err+1e-10 {
				t.Errorf("L = %v, %d shifts and sinh: error %.3g, of one shift more without it %.3g", width, shifts, r.err, plain.err)
			}
		}
	}
	if r := logWithin(2.4, 1, 1e-4); r == nil || len(r.shift) != 3 {
		t.Errorf("error 1e-4 at L = 2.4 by %+v", r)
	}
	if r := logWithin(30, 1, 1e-9); r != nil {
		t.Errorf("an interval from e^-30 to e^30 in %d shifts", len(r.shift))
	}
}
