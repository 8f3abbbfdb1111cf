package quadric

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// stretched returns the points times a matrix of the given condition.
func stretched(x dense.Matrix[float64], kappa float64) (y, by dense.Matrix[float64]) {
	y, by = dense.New[float64](x.Rows, x.Cols), gallery.SPD(93, x.Cols, kappa)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, by, 0, y)
	return y, by
}

// TestSlowly: steps in double precision find the quadric of points that miss a cone, which are regular as long as they do, and call the equations singular where
// points are on a cone or in two subspaces, however these are stretched.
func TestSlowly(t *testing.T) {
	const n = Iterative
	for _, seed := range []uint64{92, 94} {
		for _, kappa := range []float64{1, 1e3, 1e5} {
			for _, off := range []float64{1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 0} {
				x := gallery.NearCone(seed, n, off)
				y, by := stretched(x, kappa)
				s := NewSystem(y, NewPasses[float64](y.Rows, n))
				got, outcome := s.slowly(1e-10, slowSteps)
				what := fmt.Sprintf("seed %d, points off a cone by %g, stretched by %g", seed, off, kappa)
				switch {
				case off == 0:
					if outcome != Singular {
						t.Errorf("%s: outcome %d", what, outcome)
					}
				case outcome == Singular || outcome == Undecided && off > 1e-4:
					t.Errorf("%s: outcome %d", what, outcome)
				case off > 1e-4 && kappa < 1e4: // beyond, the rounding of the stretched points shows
					round := directly(t, x)
					var back mat.Dense
					back.Product(dataOf(by), dataOf(got), dataOf(by))
					if d := distanceRelative(&back, dataOf(round)); d > 1e-6 {
						t.Errorf("%s: %g away from the quadric of the normal equations", what, d)
					}
				}
			}
		}
	}
	x := gallery.NearSphere(97, n)
	for i := range x.Rows {
		clear(x.Row(i)[i%2*n/2 : i%2*n/2+n/2])
	}
	if _, outcome := NewSystem(x, NewPasses[float64](x.Rows, n)).slowly(1e-10, slowSteps); outcome != Singular {
		t.Errorf("subspaces: outcome %d", outcome)
	}
}

// TestSlowlyWhereLowPrecisionFails: points near a cone whose equations are too ill-conditioned for low precision.
func TestSlowlyWhereLowPrecisionFails(t *testing.T) {
	const n = Iterative
	x, _ := stretched(gallery.NearCone(99, n, 1e-3), 100)
	if _, outcome := NewSystem(x, NewPasses[float64](x.Rows, n)).quickly(1e-8); outcome != Undecided {
		t.Errorf("low precision: outcome %d", outcome)
	}
}
