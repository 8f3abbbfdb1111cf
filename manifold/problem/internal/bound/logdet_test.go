package bound

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/gallery"
)

// TestLogDet: the bound holds for the affine-invariant distance of random pencils, whose eigenvalue sum it is given.
func TestLogDet(t *testing.T) {
	s := gallery.NewStream(5)
	for k := range 200 {
		var gap, square float64
		for range 4 {
			x := s.Normal() * math.Pow(10, float64(k%5)-3)
			gap += math.Exp(x) - 1 - x
			square += x * x
		}
		if d := math.Sqrt(square); LogDet(gap) < d*(1-1e-6) {
			t.Errorf("gap %v: bound %v below %v", gap, LogDet(gap), d)
		}
	}
}
