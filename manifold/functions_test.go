package manifold

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestGeodesicInRange: a time at which the geodesic leaves the range of float64 is an error, never a matrix with NaN or Inf.
func TestGeodesicInRange(t *testing.T) {
	a, b := mat.NewDiagDense(2, []float64{1, 2}), mat.NewDiagDense(2, []float64{1e100, 1e-100})
	for _, time := range []float64{4, -4, 1e6, math.NaN(), math.Inf(1), math.Inf(-1)} {
		if g, err := Geodesic(a, b, time); err == nil {
			t.Errorf("at time %v: %v", time, mat.Formatted(g))
		}
	}
	if _, err := Geodesic(a, b, 3); err != nil {
		t.Error(err)
	}
}
