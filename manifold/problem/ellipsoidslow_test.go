package problem

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// nearCone returns points that a quadric with as many positive eigenvalues as negative ones misses by the given size.
func nearCone(seed uint64, n int, off float64) dense.Matrix[float64] {
	x := nearSphere(seed, n)
	for i := range x.Rows {
		first, second := x.Row(i)[:n/2], x.Row(i)[n/2:]
		dense.Scale(math.Sqrt(dense.Dot(second, second)/dense.Dot(first, first))*(1+off*math.Cos(float64(i))), first, first)
	}
	return x
}

// stretched returns the points times a matrix of the given condition.
func stretched(x dense.Matrix[float64], kappa float64) (y, by dense.Matrix[float64]) {
	y, by = dense.New[float64](x.Rows, x.Cols), gallery.SPD(93, x.Cols, kappa)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, by, 0, y)
	return y, by
}

// TestQuadricSlowly: steps in double precision find the quadric of points that miss a cone, which are regular as long as they do, and call the equations singular where
// points are on a cone or in two subspaces, however these are stretched.
func TestQuadricSlowly(t *testing.T) {
	const n = quadricIterative
	for _, seed := range []uint64{92, 94} {
		for _, kappa := range []float64{1, 1e3, 1e5} {
			for _, off := range []float64{1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 0} {
				x := nearCone(seed, n, off)
				y, by := stretched(x, kappa)
				s := newQuadricSystem(y, newQuadricPasses[float64](y.Rows, n))
				got, verdict := s.slowly(1e-10, quadricSlow)
				what := fmt.Sprintf("seed %d, points off a cone by %g, stretched by %g", seed, off, kappa)
				switch {
				case off == 0:
					if verdict != quadricSingular {
						t.Errorf("%s: verdict %d", what, verdict)
					}
				case verdict == quadricSingular || verdict == quadricUndecided && off > 1e-4:
					t.Errorf("%s: verdict %d", what, verdict)
				case off > 1e-4 && kappa < 1e4: // beyond, the rounding of the stretched points shows
					round, err := quadricDirectly(x)
					if err != nil {
						t.Fatal(err)
					}
					dense.Mirror(round)
					var back mat.Dense
					back.Product(dataOf(by), dataOf(got), dataOf(by))
					if d := distanceRelative(&back, dataOf(round)); d > 1e-6 {
						t.Errorf("%s: %g away from the quadric of the normal equations", what, d)
					}
				}
			}
		}
	}
	x := nearSphere(97, n)
	for i := range x.Rows {
		clear(x.Row(i)[i%2*n/2 : i%2*n/2+n/2])
	}
	if _, verdict := newQuadricSystem(x, newQuadricPasses[float64](x.Rows, n)).slowly(1e-10, quadricSlow); verdict != quadricSingular {
		t.Errorf("subspaces: verdict %d", verdict)
	}
}

// TestEllipsoidOfManyUnknowns: where normal equations take too long, the answers are those that they would give.
func TestEllipsoidOfManyUnknowns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long on an emulated processor")
	}
	const n = 72
	plane := nearSphere(98, n)
	for i := range plane.Rows {
		plane.Set(i, n-1, plane.At(i, 0)-plane.At(i, 1))
	}
	cone, _ := stretched(nearCone(99, n, 0), 100)
	for what, x := range map[string]dense.Matrix[float64]{"plane": plane, "cone": cone} {
		t.Log(what)
		refused(t, "ellipsoid", Data{Samples: dataOf(x)}, nil, "more than one quadric")
	}
	near := nearCone(99, n, 1e-3)
	for i := range near.Rows {
		row := near.Row(i)
		dense.Scale((1+1e-6*math.Sin(7*float64(i)))/math.Sqrt(dense.Dot(row, row)), row, row)
	}
	x, _ := stretched(near, 100)
	if _, _, ok := newQuadricSystem(x, newQuadricPasses[float64](x.Rows, n)).quadric(1e-8); ok {
		t.Error("low precision is enough")
	}
	r, err := Solve("ellipsoid", Data{Samples: dataOf(x)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Converged || r.RelativeGradient > 1e-8 {
		t.Errorf("near a cone: converged %v at %g", r.Converged, r.RelativeGradient)
	}
}
