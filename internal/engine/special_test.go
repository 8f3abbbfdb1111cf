package engine

import (
	"math"
	"testing"
)

func TestSpecialFunctionsInFloat32(t *testing.T) {
	for x := -90.0; x < 89; x += 0.0137 {
		v := float32(x)
		want := math.Exp(float64(v))
		if got := float64(exp(v)); x > -87.2 && x < 88.6 && math.Abs(got-want) > 3e-7*want {
			t.Fatalf("exp(%v) = %v, want %v", v, got, want)
		}
		cdf, density := normal(v)
		wantCDF, wantDensity := normal(float64(v))
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"tanh", float64(tanh(v)), math.Tanh(float64(v))}, {"sigmoid", float64(Sigmoid(v)), Sigmoid(float64(v))},
			{"cdf", float64(cdf), wantCDF}, {"density", float64(density), wantDensity},
		} {
			if !(math.Abs(c.got-c.want) <= 5e-7) {
				t.Fatalf("%s(%v) = %v, want %v", c.name, v, c.got, c.want)
			}
		}
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	if exp(-inf) != 0 || exp(inf) != inf || exp(nan) == exp(nan) {
		t.Errorf("exp at -Inf, Inf, NaN: %v %v %v", exp(-inf), exp(inf), exp(nan))
	}
}
