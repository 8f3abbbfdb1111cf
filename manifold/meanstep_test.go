package manifold_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
)

// scatteredFrames returns frames of k matrices of condition about e^(2 spread) that have nothing in common.
func scatteredFrames(t *testing.T, n, k int, spread float64, seed uint64) []manifold.Point {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	points := make([]manifold.Point, k)
	for i := range points {
		g := mat.NewDense(n, n, nil)
		for r := range n {
			for c := range n {
				g.Set(r, c, rng.NormFloat64()*math.Exp(-spread*float64(c)/float64(n)))
			}
		}
		var s mat.SymDense
		s.SymOuterK(1, g)
		f, err := manifold.NewFrame(&s)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		points[i] = f
	}
	return points
}

// TestMeanStepFollowsCurvature: where the Hessian is far from the identity, whole steps zigzag (37 to 58 iterations for these means); lengths from the curvature do not.
func TestMeanStepFollowsCurvature(t *testing.T) {
	m, err := manifold.NewAffine(12, manifold.AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for seed := uint64(1); seed <= 5; seed++ {
		points := scatteredFrames(t, 12, 5, 2, seed)
		_, mean, err := manifold.Mean(m, points, nil, manifold.MeanOptions{})
		if err != nil || mean.Iterations > 30 {
			t.Errorf("seed %d: mean after %d iterations, %v", seed, mean.Iterations, err)
		}
		_, median, err := manifold.Median(m, points, nil, manifold.MeanOptions{})
		if err != nil || median.Iterations > 30 {
			t.Errorf("seed %d: median after %d iterations, %v", seed, median.Iterations, err)
		}
	}
}
