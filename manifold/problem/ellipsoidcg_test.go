package problem

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// TestQuadricByConjugateGradients: the iteration and the normal equations agree, for stretched points too.
func TestQuadricByConjugateGradients(t *testing.T) {
	const n = quadricIterative
	for _, kappa := range []float64{1, 1e4} {
		x, stretch := gallery.NewStream(84).Normals(2*n*(n+1)/2, n), gallery.SPD(85, n, math.Sqrt(kappa))
		y := dense.New[float64](x.Rows, n)
		for i := range x.Rows {
			row := x.Row(i)
			dense.Scale((1+1e-2*math.Sin(float64(i)))/math.Sqrt(dense.Dot(row, row)), row, row)
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, stretch, 0, y)
		got, ok := quadricByCG(y, 1e-12)
		if !ok {
			t.Fatalf("condition %g: gave up", kappa)
		}
		want, err := quadricDirectly(y)
		if err != nil {
			t.Fatal(err)
		}
		dense.Mirror(want)
		if d := distanceRelative(dataOf(got), dataOf(want)); d > 1e-9 {
			t.Errorf("condition %g: %g away", kappa, d)
		}
	}
}

// TestQuadricByConjugateGradientsSeesNullSpaces: points in two orthogonal subspaces do not determine what couples these, though the equations for what
// they determine are as good as any.
func TestQuadricByConjugateGradientsSeesNullSpaces(t *testing.T) {
	const n = quadricIterative
	x := gallery.NewStream(86).Normals(2*n*(n+1)/2, n)
	for i := range x.Rows {
		clear(x.Row(i)[i%2*n/2 : i%2*n/2+n/2])
	}
	if _, ok := quadricByCG(x, 1e-12); ok {
		t.Error("took singular equations for regular ones")
	}
	refused(t, "ellipsoid", Data{Samples: dataOf(x)}, nil, "more than one quadric")
}
