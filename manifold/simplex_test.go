package manifold

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestSimplex: matrices and points convert both ways, every point has sum I, the gradient has the right slope, and for n = 1 the distance is that of log-ratios.
func TestSimplex(t *testing.T) {
	rng := source(96)
	for _, k := range []int{2, 3, 5} {
		m, err := NewSimplex(3, k)
		if err != nil {
			t.Fatal(err)
		}
		p := m.RandomPoint(rng)
		ms := m.MatricesOf(p)
		sum := mat.NewSymDense(3, nil)
		given := make([]mat.Symmetric, k)
		for i, s := range ms {
			if err := CheckSPD(s); err != nil {
				t.Error(err)
			}
			sum.AddSym(sum, s)
			given[i] = s
		}
		if e := relative(sum, IdentityFrame(3, 1).Sym()); len(ms) != k || e > 1e-13 {
			t.Errorf("k = %d: %d matrices with a sum %.2e from I", k, len(ms), e)
		}
		q, err := m.PointOf(given)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := m.Distance(p, q); err != nil || d > 1e-11 {
			t.Errorf("k = %d: the point comes back %g away (%v)", k, d, err)
		}
		var gs []mat.Matrix
		var targets []mat.Symmetric
		for i := range k { // sum tr(B_i S_i) - log det S_i/(1+i)
			b := randomSPD(rng, 3, 10)
			targets = append(targets, b)
			inv := function(ms[i], func(x float64) float64 { return 1 / x })
			gs = append(gs, combine(1, b, -1/float64(1+i), inv))
		}
		v := make([]float64, m.VectorLen())
		m.Gradient(v, p, gs)
		rep, err := CheckGradient(m, p, func(x Point) (float64, error) {
			var cost float64
			for i, s := range m.MatricesOf(x) {
				var c mat.Dense
				c.Mul(targets[i], s)
				l, _ := mat.LogDet(s)
				cost += mat.Trace(&c) - l/float64(1+i)
			}
			return cost, nil
		}, v, rng)
		if err != nil || !rep.OK {
			t.Errorf("k = %d: %v %v", k, rep, err)
		}
	}
	m, err := NewSimplex(1, 3)
	if err != nil {
		t.Fatal(err)
	}
	weights := func(x, y, z float64) Point {
		p, err := m.PointOf([]mat.Symmetric{mat.NewSymDense(1, []float64{x}), mat.NewSymDense(1, []float64{y}), mat.NewSymDense(1, []float64{z})})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	d, err := m.Distance(weights(0.2, 0.3, 0.5), weights(0.6, 0.3, 0.1))
	if want := math.Hypot(math.Log(0.2/0.5)-math.Log(0.6/0.1), math.Log(0.3/0.5)-math.Log(0.3/0.1)); err != nil || math.Abs(d-want) > 1e-12 {
		t.Errorf("distance %v, want %v (%v)", d, want, err)
	}
	one := mat.NewSymDense(1, []float64{0.5})
	for want, ms := range map[string][]mat.Symmetric{
		"2 matrices, want 3": {one, one}, "element (0,0) of the sum of the matrices is 1.5": {one, one, one},
		"matrix 1: not positive":                    {one, mat.NewSymDense(1, []float64{-0.5}), mat.NewSymDense(1, []float64{1})},
		"matrix 2: manifold: the matrix has 2 rows": {one, one, mat.NewSymDense(2, nil)},
	} {
		if _, err := m.PointOf(ms); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := NewSimplex(2, 1); err == nil {
		t.Error("one matrix was accepted")
	}
}
