package problem

import (
	"testing"

	"github.com/spdopt/spdopt/manifold/solve"
)

// TestITMLFarPairsClose: samples of two classes that nearly coincide are left to the method that looks at every pair.
func TestITMLFarPairsClose(t *testing.T) {
	d := labelled(3)
	row := append([]float64(nil), d.Samples.RawRowView(0)...)
	row[1] += 1e-7
	d.Samples.SetRow(1, row)
	a := solved(t, "metric-learning", d, &Options{Method: "itml"})
	b := solved(t, "metric-learning", d, &Options{Method: "itml-trust"})
	if r := distanceRelative(a.Solution, b.Solution); r > 1e-6 {
		t.Errorf("%g apart", r)
	}
	if c := solved(t, "metric-learning", labelled(3), &Options{Method: "itml", Solver: solve.Options{Tolerance: 1e-12}}); c.Iterations > 15 {
		t.Errorf("Newton's method took %d iterations", c.Iterations)
	}
}
