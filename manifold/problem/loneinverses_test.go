package problem

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// TestSingleInverses: matrices inverted one by one and side by side have the sums that resolvents have in double precision.
func TestSingleInverses(t *testing.T) {
	for _, count := range []int{3, 11} {
		n := 29
		k := karcherOf(t, Data{Matrices: scattered(n, count, 1e2)})
		x := dense.New[float32](n, n)
		narrow(x.Data, k.data()[1].Data)
		shifts, coeff := []float64{0.3, 1, 4}, []float64{1, 2, -0.5}
		want := make([]float64, n*n)
		if !newResolvents[float64](k.upper).sum(k.data()[1], shifts, k.weights, resolventSum{coeff, dense.Wrap(n, n, want)}) {
			t.Fatal("singular")
		}
		for name, r := range map[string]singleInverses{"one by one": newLoneInverses(k.team, k.upper), "side by side": newResolvents[float32](k.upper)} {
			sum := dense.New[float32](n, n)
			if !r.sumTo(sum, x, shifts, k.weights, coeff) {
				t.Fatal(name, "singular")
			}
			var worst float64
			for i, v := range sum.Data {
				worst = max(worst, math.Abs(float64(v)-want[i]))
			}
			if worst > 1e-5*math.Sqrt(dense.Dot(want, want)) {
				t.Errorf("%s: %d matrices: off by %v", name, count, worst)
			}
			if r.sumTo(sum, x, []float64{-0.5}, k.weights, coeff[:1]) {
				t.Errorf("%s: A - X/2 counts as definite", name)
			}
		}
	}
}
