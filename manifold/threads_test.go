package manifold

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestSameBitsForAnyThreads: means and medians do not depend on GOMAXPROCS, and data may be given twice.
func TestSameBitsForAnyThreads(t *testing.T) {
	const n, count = 32, 11
	rng := rand.New(rand.NewPCG(3, 4))
	affine, err := NewAffine(n, AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bures, err := NewBures(n, BuresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var ms []mat.Symmetric
	for range count {
		ms = append(ms, affine.RandomPoint(rng).(*Frame).Sym())
	}
	ms = append(ms, ms[0])
	old := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(old)
	average := func(m Matrices, mean func(Manifold, []Point, []float64, MeanOptions) (Point, MeanReport, error)) func() (*mat.SymDense, error) {
		return func() (*mat.SymDense, error) {
			var points []Point
			for _, a := range ms {
				p, err := m.PointOf(a)
				if err != nil {
					return nil, err
				}
				points = append(points, p)
			}
			points = append(points, points[1])
			x, _, err := mean(m, points, nil, MeanOptions{Tolerance: 1e-6})
			if err != nil {
				return nil, err
			}
			out := mat.NewSymDense(n, nil)
			m.MatrixOf(out, x)
			return out, nil
		}
	}
	o := MeanOptions{Tolerance: 1e-6}
	for name, mean := range map[string]func() (*mat.SymDense, error){
		"affine mean":   average(affine, Mean),
		"affine median": average(affine, Median),
		"bures mean":    average(bures, Mean),
		"stein":         func() (*mat.SymDense, error) { return SteinMean(ms, nil, o) },
		"stein median":  func() (*mat.SymDense, error) { return SteinMedian(ms, nil, o) },
		"power":         func() (*mat.SymDense, error) { return PowerMean(ms, nil, 0.5, o) },
		"thompson":      func() (*mat.SymDense, error) { return ThompsonMean(ms, nil, o) },
		"kullback":      func() (*mat.SymDense, error) { return KullbackMean(ms, nil) },
		"cheap":         func() (*mat.SymDense, error) { return CheapMean(ms[:5], nil, o) },
	} {
		t.Run(name, func(t *testing.T) {
			var want *mat.SymDense
			for _, threads := range []int{1, 2, 4} {
				runtime.GOMAXPROCS(threads)
				x, err := mean()
				if err != nil {
					t.Fatal(err)
				}
				if want == nil {
					want = x
				} else if !mat.Equal(want, x) {
					t.Errorf("%d threads: other bits than with 1", threads)
				}
			}
		})
	}
}
