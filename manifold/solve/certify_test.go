package solve

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

// stiff has the Hessian diag(1e4, 1) at every point.
type stiff struct{}

func (stiff) Evaluate(manifold.Point, []float64, Memo) (float64, error) { return 0, nil }

func (stiff) HessianVec(dst []float64, _ manifold.Point, v []float64, _ Memo) error {
	dst[0], dst[1] = 1e4*v[0], v[1]
	return nil
}

// TestCertificateSeesFlatDirections: a thousandth of the gradient along a direction of little curvature is nearly all of the Newton step.
func TestCertificateSeesFlatDirections(t *testing.T) {
	m, err := manifold.NewPositive(2)
	if err != nil {
		t.Fatal(err)
	}
	c, products := Certify(m, stiff{}, &manifold.PositivePoint{X: []float64{1, 1}}, []float64{1, 1e-3}, nil)
	if want := math.Hypot(1e-4, 1e-3); !(math.Abs(c.Value-want) < 1e-2*want) || products > 3 {
		t.Errorf("%+v after %d products, the Newton step is %v long", c, products, want)
	}
}
