package problem

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
)

// TestDiagonalShare against the definition, sample by sample: the variance of a mean of products of standardised samples.
func TestDiagonalShare(t *testing.T) {
	const N, n = 9, 4
	x := dataOf(gallery.NewStream(64).Normals(N, n))
	for i := range N {
		x.Set(i, 1, x.At(i, 1)+4*x.At(i, 0))
		x.Set(i, 3, 5*x.At(i, 3))
	}
	r := solved(t, "shrinkage", Data{Samples: x}, &Options{Method: "schaefer-strimmer"})
	var variance, square float64
	s := mat.NewSymDense(n, nil)
	s.SymOuterK(1.0/N, x.T())
	for i := range n {
		for j := range i {
			products, mean := make([]float64, N), 0.0
			for k := range N {
				products[k] = x.At(k, i) * x.At(k, j) / math.Sqrt(s.At(i, i)*s.At(j, j))
				mean += products[k] / N
			}
			for _, w := range products {
				variance += (w - mean) * (w - mean) / (N * (N - 1))
			}
			square += mean * mean
		}
	}
	share := r.Part("share").At(0, 0)
	if want := variance / square; math.Abs(share-want) > 1e-12 || share <= 0 || share >= 1 {
		t.Errorf("share %v, want %v", share, want)
	}
	for i := range n {
		for j := range n {
			want := s.At(i, j)
			if i != j {
				want *= 1 - share
			}
			if math.Abs(r.Solution.At(i, j)-want) > 1e-13 {
				t.Errorf("element (%d,%d) is %v, want %v", i, j, r.Solution.At(i, j), want)
			}
		}
	}
	few := dataOf(gallery.NewStream(65).Normals(3, 8)) // fewer samples than dimensions
	solved(t, "shrinkage", Data{Samples: few}, &Options{Method: "schaefer-strimmer"})
	refused(t, "shrinkage", Data{Samples: mat.NewDense(2, 2, []float64{1, 0, 2, 0})}, &Options{Method: "schaefer-strimmer"}, "mean square of column 1")
	refused(t, "shrinkage", Data{Samples: mat.NewDense(1, 2, []float64{1, 2})}, &Options{Method: "schaefer-strimmer"}, "at least two samples")
}
