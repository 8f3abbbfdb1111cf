package manifold_test

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
)

// flatMetric is a metric in which logarithms at different points are differences of coordinates.
type flatMetric interface {
	manifold.Matrices
	manifold.Logarithm
}

// pullAt returns the sum of the weighted unit vectors from x to the points, but for those at x itself.
func pullAt(t *testing.T, m flatMetric, x manifold.Point, points []manifold.Point, w []float64) (norm float64) {
	v, sum := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
	for k, p := range points {
		if err := m.Log(v, x, p); err != nil {
			t.Fatal(err)
		}
		if d := math.Sqrt(m.Inner(x, v, v)); d > 0 {
			dense.Axpy(w[k]/d, v, sum)
		}
	}
	return math.Sqrt(m.Inner(x, sum, sum))
}

// TestMedianNextToADataPoint: where the weight of a data point is barely below the pull of the others, so that the median is close to it, Weiszfeld's plain
// iteration takes thousands of iterations.
func TestMedianNextToADataPoint(t *testing.T) {
	metrics := map[string]func(n int) (flatMetric, error){
		"cholesky":      func(n int) (flatMetric, error) { return manifold.NewCholesky(n) },
		"log-euclidean": func(n int) (flatMetric, error) { return manifold.NewLogEuclidean(n) },
	}
	for name, build := range metrics {
		for seed := range uint64(40) {
			for _, below := range []float64{1e-1, 1e-2, 1e-3} {
				n := int(2 + seed%4)
				m, err := build(n)
				if err != nil {
					t.Fatal(err)
				}
				points, w := make([]manifold.Point, 5), []float64{0, 0.2, 0.3, 0.25, 0.28}
				for k := range points {
					s := gallery.SPD(100*seed+uint64(k), n, 1e3)
					if points[k], err = m.PointOf(mat.NewSymDense(n, s.Data)); err != nil {
						t.Fatal(err)
					}
				}
				w[0] = pullAt(t, m, points[0], points[1:], w[1:]) * (1 - below)
				x, r, err := manifold.Median(m, points, w, manifold.MeanOptions{})
				if left := pullAt(t, m, x, points, w); err != nil || r.Iterations > 400 || !(left < 1e-6) {
					t.Errorf("%s %d, weight %g below the pull: %d iterations, pull %g left, %v", name, seed, below, r.Iterations, left, err)
				}
			}
		}
	}
}
