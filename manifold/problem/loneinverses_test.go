package problem

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// TestSingleInverses: matrices inverted one by one and side by side have the sums that resolvents have in double precision.
func TestSingleInverses(t *testing.T) {
	for _, count := range []int{3, 11} {
		n := 29
		k := karcherOf(t, Data{Matrices: scattered(n, count, 1e2)})
		x := dense.New[float32](n, n)
		dense.ScaleSingle(1, k.data()[1].Data, x.Data)
		shifts, coeff := []float64{0.3, 1, 4}, []float64{1, 2, -0.5}
		want, mean, harmonic := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
		exact := newResolvents[float64](k.upper)
		exact.data().sum(mean, k.weights)
		fit, ok := exact.harmonic(harmonic, k.weights, false)
		if !ok || !exact.sumTo(want, k.data()[1], shifts, k.weights, coeff) {
			t.Fatal("singular")
		}
		near := func(name string, got dense.Matrix[float32], want dense.Matrix[float64]) {
			var worst float64
			for i, v := range got.Data {
				worst = max(worst, math.Abs(float64(v)-want.Data[i]))
			}
			if worst > 1e-5*math.Sqrt(dense.Dot(want.Data, want.Data)) {
				t.Errorf("%s: %d matrices: off by %v", name, count, worst)
			}
		}
		for name, r := range map[string]singleInverses{"one by one": newLoneInverses(k.team, k.upper), "side by side": newResolvents[float32](k.upper)} {
			for shifts := 1; shifts < 6; shifts++ {
				lanes := 1
				if name == "side by side" {
					lanes = dense.Lanes[float32]()
				}
				if m := r.rounds(shifts); m*lanes < shifts*count || m > shifts*count || m < r.rounds(shifts-1) {
					t.Errorf("%s: %d rounds for %d shifts of %d matrices", name, m, shifts, count)
				}
			}
			sum := dense.New[float32](n, n)
			if !r.sumTo(sum, x, shifts, k.weights, coeff) {
				t.Fatal(name, "singular")
			}
			near(name, sum, want)
			inner, traces := make([]float64, count), make([]float64, count)
			if !r.keep(x, shifts, coeff, coeff, traces) {
				t.Fatal(name, "singular")
			}
			r.kept().sum(sum, k.weights)
			near(name+", kept", sum, want)
			r.kept().inner(inner, x)
			for i, v := range traces {
				if math.Abs(v-inner[i]) > 1e-5*math.Abs(v) {
					t.Errorf("%s: %d matrices: trace %v, inner product %v", name, count, v, inner[i])
				}
			}
			r.data().sum(sum, k.weights)
			near(name+", mean", sum, mean)
			got, ok := r.harmonic(sum, k.weights, true)
			near(name+", harmonic", sum, harmonic)
			r.inverses().sum(sum, k.weights)
			near(name+", inverses", sum, harmonic)
			if !ok || math.Abs(got.spread/fit.spread-1) > 1e-4 || got.condition < 1e2 || got.condition > 2.1*fit.condition {
				t.Errorf("%s: fitness %v, in double precision %v", name, got, fit)
			}
			if r.sumTo(sum, x, []float64{-0.5}, k.weights, coeff[:1]) {
				t.Errorf("%s: A - X/2 counts as definite", name)
			}
		}
	}
}

// TestSmallEigenvalues: what single precision cannot tell from an indefinite matrix is looked at in double precision.
func TestSmallEigenvalues(t *testing.T) {
	for _, n := range []int{24, 210} {
		ms := scattered(n, 3, 10)
		for _, least := range []float64{1e-10, -1e-10, 1e-7, -1e-7, -1e-4} {
			d := mat.NewSymDense(n, nil)
			for i := range n {
				d.SetSym(i, i, 1)
			}
			d.SetSym(n/2, n/2, least)
			_, err := newKarcher(&Data{Matrices: append(slices.Clone(ms), d)}, func(n int) (*manifold.Affine, error) {
				return manifold.NewAffine(n, manifold.AffineOptions{})
			}, false)
			if (err == nil) != (least > 0) {
				t.Errorf("n = %d, eigenvalue %g: %v", n, least, err)
			}
		}
	}
}
