package net

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// TestDenoise: with the best prediction of the noise, which is known for points that are all equal and for normal ones, the samples have the
// distribution of the data.
func TestDenoise(t *testing.T) {
	const count, width = 4000, 2
	d := NewDiffusion(200)
	x, in, noise := dense.New[float64](count, width), dense.New[float64](count, width+TimeFeatures), dense.New[float64](count, width)
	features := make([]float64, TimeFeatures)
	for name, c := range map[string]struct{ mean, deviation float64 }{"one point": {0.7, 0}, "normal": {-0.3, 0.4}} {
		at := d.Steps()
		Denoise(d, source(5), 3, in, x, func(in Matrix[float64]) Matrix[float64] {
			at--
			SetTime(d, at, features)
			a := d.signal[at]
			variance := 1 - a*a
			for i := range count {
				for j, v := range in.Row(i)[:width] {
					noise.Set(i, j, math.Sqrt(variance)*(v-a*c.mean)/(a*a*c.deviation*c.deviation+variance))
				}
				if in.At(i, width) != features[0] || in.At(i, width+TimeFeatures-1) != features[TimeFeatures-1] {
					t.Fatalf("time %d is not in the inputs", at)
				}
			}
			return noise
		})
		if at != 0 {
			t.Errorf("%s: the network was asked %d times less than there are steps", name, at)
		}
		var mean, square float64
		for _, v := range x.Data {
			mean += v / (count * width)
			square += (v - c.mean) * (v - c.mean) / (count * width)
		}
		near(t, name+": mean", mean, c.mean, 0.02)
		near(t, name+": deviation", math.Sqrt(square), c.deviation, 0.03)
	}
}
