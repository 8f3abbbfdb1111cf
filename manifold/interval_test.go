package manifold

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// TestIntervalExtreme: the extreme point is in the interval, and no other of many points of the interval has a smaller inner product with the gradient.
func TestIntervalExtreme(t *testing.T) {
	le, err1 := NewLogEuclidean(3)
	pe, err2 := NewPowerEuclidean(3, PowerOptions{Alpha: 1})
	he, err3 := NewPowerEuclidean(3, PowerOptions{Alpha: -1})
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	lower := mat.NewSymDense(3, []float64{1, 0.2, 0, 0.2, 0.7, 0.1, 0, 0.1, 0.5})
	upper := mat.NewSymDense(3, []float64{4, 0.2, 0.3, 0.2, 3, 0.1, 0.3, 0.1, 5})
	for _, m := range []calculus{le, pe, he} {
		rng := source(91)
		s, err := NewInterval(m, lower, upper)
		if err != nil {
			t.Fatal(err)
		}
		low, high := s.Ends()
		z, v, w := low.Clone(), make([]float64, 9), make([]float64, 9)
		for range 5 {
			g := make([]float64, 9)
			m.(RandomTangenter).RandomTangent(g, low, rng)
			if err := s.Extreme(z, g); err != nil {
				t.Fatal(err)
			}
			if err := m.Log(v, low, z); err != nil {
				t.Fatal(err)
			}
			least := dense.Dot(g, v)
			for _, end := range []Point{low, high} {
				if err := m.Log(v, z, end); err != nil {
					t.Fatal(err)
				}
				var e mat.EigenSym
				e.Factorize(mat.NewSymDense(3, v), false)
				if x := e.Values(nil); end == low && x[2] > 1e-12 || end == high && x[0] < -1e-12 {
					t.Errorf("%T: the extreme point is outside: %v", m, x)
				}
			}
			for range 300 { // f(L) + C E C^T with a random E between 0 and I
				q := randomSym(rng, 3)
				e := function(q, func(float64) float64 { return rng.Float64() })
				if rng.IntN(2) == 0 {
					e = function(q, func(float64) float64 { return float64(rng.IntN(2)) })
				}
				c := mat.NewDense(3, 3, s.width.Clone().Data)
				copy(w, mat.DenseCopyOf(congruent(c, e)).RawMatrix().Data)
				if x := dense.Dot(g, w); x < least-1e-12 {
					t.Errorf("%T: inner product %v at another point, %v at the extreme one", m, x, least)
				}
			}
		}
		for want, bad := range map[string][2]mat.Symmetric{"not below": {upper, lower}, "rows": {lower, mat.NewSymDense(1, []float64{1})},
			"positive definite": {mat.NewSymDense(3, nil), upper}} {
			if _, err := NewInterval(m, bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%T: want %q, got %v", m, want, err)
			}
		}
		if err := s.Extreme(z, []float64{math.NaN(), 0, 0, 0, 0, 0, 0, 0, 0}); err == nil {
			t.Errorf("%T: NaN was accepted", m)
		}
	}
	if _, err := NewInterval(affine(3), lower, upper); err == nil {
		t.Error("an interval of the affine-invariant metric was made")
	}
}

// TestAffineOracle: the closed form in the literature for the minimizer of tr(D log Y) over L <= Y <= U, D diagonal, is L + R^T [D < 0] R with the Cholesky
// factor R^T R = U - L. Another point of the interval has a smaller value, so that package manifold offers no such oracle.
func TestAffineOracle(t *testing.T) {
	lower := mat.NewSymDense(2, []float64{4.7, 1, 1, 0.8})
	width := mat.NewSymDense(2, []float64{4.5, -3.8, -3.8, 3.4})
	var c mat.Cholesky
	if !c.Factorize(width) {
		t.Fatal("U - L is not positive definite")
	}
	var r mat.TriDense
	c.UTo(&r)
	value := func(e *mat.SymDense) float64 {
		y := sym(combine(1, lower, 1, congruent(r.T(), e)))
		l := function(y, math.Log)
		return l.At(0, 0) - l.At(1, 1)
	}
	claimed, best := value(mat.NewSymDense(2, []float64{0, 0, 0, 1})), math.Inf(1)
	for k := range 180 {
		x, y := math.Cos(math.Pi*float64(k)/180), math.Sin(math.Pi*float64(k)/180)
		best = min(best, value(mat.NewSymDense(2, []float64{x * x, x * y, x * y, y * y})))
	}
	if !(best < claimed-0.9) {
		t.Errorf("the formula gives %v, the best projector %v", claimed, best)
	}
}
