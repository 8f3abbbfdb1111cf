package problem

import (
	"math"
	"testing"
)

// TestRationalSquare: the function is the square of the logarithm, for two shifts and more to a part of it even near 1, with the errors of the table measured on the interval, and its mean
// over the interval is that of the square.
func TestRationalSquare(t *testing.T) {
	for width, most := range map[float64][]float64{
		0.5: {2e-2, 2e-4, 2e-5, 1e-6},
		2.4: {.3, .04, .003, 4e-4},
		4.6: {.8, .3, .07, .02},
	} {
		for i, bound := range most {
			log := newRationalLog(width, i+1)
			r := newRationalSquare(log)
			var mean float64
			const points = 1000
			for i := range points {
				l := width * (float64(i) + 0.5) / points
				for _, l := range []float64{l, -l} {
					got := r.cosh*math.Cosh(l) + r.constant
					for j, s := range log.shift {
						got += r.weight[j] / (math.Exp(l) + s)
					}
					if e := math.Abs(got - l*l); e > bound*l*l+1e-9 {
						t.Fatalf("L = %v, %d shifts: log^2 = %v from %v", width, len(log.shift), got, l*l)
					}
					mean += (got - l*l) / (2 * points)
				}
			}
			if math.Abs(mean) > 0.1*bound*width*width {
				t.Errorf("L = %v, %d shifts: off by %v in the mean", width, len(log.shift), mean)
			}
		}
	}
}
