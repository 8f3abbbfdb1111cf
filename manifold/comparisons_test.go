package manifold

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func steinOracle(a, b mat.Symmetric) float64 {
	l, _ := mat.LogDet(combine(0.5, a, 0.5, b))
	la, _ := mat.LogDet(a)
	lb, _ := mat.LogDet(b)
	return math.Sqrt(math.Max(0, l-(la+lb)/2))
}

func thompsonOracle(a, b mat.Symmetric) float64 {
	return mat.Norm(logValues(a, b), math.Inf(1))
}

// logValues returns the logarithms of the eigenvalues of a^-1 b.
func logValues(a, b mat.Symmetric) *mat.VecDense {
	var e mat.EigenSym
	e.Factorize(congruent(inverseRoot(a), b), false)
	w := e.Values(nil)
	for i, x := range w {
		w[i] = math.Log(x)
	}
	return mat.NewVecDense(len(w), w)
}

// TestComparisons runs every entry through its oracle, the axioms of a distance, the invariances and bad input.
func TestComparisons(t *testing.T) {
	oracle := map[string]func(a, b mat.Symmetric) float64{"stein": steinOracle, "thompson": thompsonOracle}
	for _, c := range Comparisons() {
		t.Run(c.Name, func(t *testing.T) {
			const seed, n = 51, 6
			rng := source(seed)
			ms := []mat.Symmetric{randomSPD(rng, n, 50), randomSPD(rng, n, 9), randomSPD(rng, n, 20), randomSPD(rng, n, 5)}
			dist := func(a, b mat.Symmetric) float64 {
				d, err := c.Distance(a, b)
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			d := dist(ms[0], ms[1])
			if want := oracle[c.Name](ms[0], ms[1]); math.Abs(d-want) > 1e-11 {
				t.Errorf("distance %v, want %v", d, want)
			}
			if d > dist(ms[0], ms[2])+dist(ms[2], ms[1]) {
				t.Error("the triangle inequality fails")
			}
			g := randomSPD(rng, n, 30)
			inverse := func(s mat.Symmetric) mat.Symmetric { return function(s, func(x float64) float64 { return 1 / x }) }
			for what, e := range map[string]float64{
				"exchange": dist(ms[1], ms[0]), "inversion": dist(inverse(ms[0]), inverse(ms[1])),
				"congruence": dist(congruent(g, ms[0]), congruent(g, ms[1])),
			} {
				if math.Abs(e-d) > 1e-10 {
					t.Errorf("%s changes the distance from %v to %v", what, d, e)
				}
			}
			near := sym(combine(1+1e-9, ms[0], 0, ms[0]))
			if e := dist(ms[0], near); !(e > 1e-10 && e < 1e-8) {
				t.Errorf("distance %v between matrices that differ by 1e-9", e)
			}
			for what, of := range map[string]func([]mat.Symmetric, []float64) (*mat.SymDense, error){"mean": c.Mean, "median": c.Median} {
				w := []float64{1, 2, 1.5, 1}
				x, err := of(ms, w)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				var moved []mat.Symmetric
				for _, a := range ms {
					moved = append(moved, congruent(g, a))
				}
				y, err := of(moved, w)
				if err != nil || relative(y, congruent(g, x)) > 1e-7 {
					t.Errorf("%s: not equivariant under congruence (%v)", what, err)
				}
				heavy, err := of(ms, []float64{1, 50, 1, 1})
				if what == "median" && (err != nil || relative(heavy, ms[1]) > 1e-6) {
					t.Errorf("a data point with most of the weight is not the median: %v", err)
				}
				if same, err := of([]mat.Symmetric{ms[0], ms[0]}, nil); err != nil || relative(same, ms[0]) > 1e-11 {
					t.Errorf("%s of equal matrices is another one (%v)", what, err)
				}
				indefinite := mat.NewSymDense(n, nil)
				var pe *PointError
				if _, err := of([]mat.Symmetric{ms[0], indefinite}, nil); !errors.As(err, &pe) || !strings.Contains(err.Error(), "matrix 1") {
					t.Errorf("%s: bad matrix: %v", what, err)
				}
				if _, err := of(nil, nil); err == nil {
					t.Errorf("%s of nothing", what)
				}
				if _, err := of([]mat.Symmetric{ms[0], mat.NewSymDense(2, nil)}, nil); err == nil || !strings.Contains(err.Error(), "rows") {
					t.Errorf("%s: sizes: %v", what, err)
				}
			}
			if _, err := c.Distance(ms[0], mat.NewSymDense(n, nil)); err == nil {
				t.Error("distance to the zero matrix")
			}
		})
	}
}

// TestSteinMean: the mean and the median are stationary for the sums they minimize, by differences of the oracle.
func TestSteinMean(t *testing.T) {
	rng := source(53)
	ms := []mat.Symmetric{randomSPD(rng, 4, 50), randomSPD(rng, 4, 9), randomSPD(rng, 4, 20), randomSPD(rng, 4, 30)}
	w := []float64{1, 1.2, 1.1, 1}
	mean, err1 := SteinMean(ms, w, MeanOptions{})
	median, err2 := SteinMedian(ms, w, MeanOptions{})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		u := randomSym(rng, 4)
		for what, c := range map[string]struct {
			at    *mat.SymDense
			power float64
		}{"mean": {mean, 2}, "median": {median, 1}} {
			slope := derivative(func(h float64) mat.Matrix {
				var f float64
				for k, a := range ms {
					f += w[k] * math.Pow(steinOracle(sym(combine(1, c.at, h, u)), a), c.power)
				}
				return mat.NewDense(1, 1, []float64{f})
			}, 1e-3).At(0, 0)
			if math.Abs(slope) > 1e-7 {
				t.Errorf("%s: the sum has slope %v", what, slope)
			}
		}
	}
	var ce *ConvergenceError
	if _, err := SteinMean(ms, w, MeanOptions{MaxIterations: 2}); !errors.As(err, &ce) {
		t.Errorf("two iterations: %v", err)
	}
	if _, err := SteinMean(ms, w, MeanOptions{Tolerance: 2}); err == nil {
		t.Error("a tolerance of 2 was accepted")
	}
}

// TestThompsonGeodesic: minimal, with constant speed and the right ends; the mean of two is on it, and velocities balance at the mean of many.
func TestThompsonGeodesic(t *testing.T) {
	rng := source(57)
	a, b := randomSPD(rng, 5, 30), randomSPD(rng, 5, 30)
	d := thompsonOracle(a, b)
	for _, s := range []float64{0, 0.3, 0.5, 1} {
		x, err := ThompsonGeodesic(a, b, s)
		if err != nil {
			t.Fatal(err)
		}
		if e1, e2 := thompsonOracle(a, x), thompsonOracle(x, b); math.Abs(e1-s*d) > 1e-11 || math.Abs(e2-(1-s)*d) > 1e-11 {
			t.Errorf("at %v the distances to the ends are %v and %v of %v", s, e1, e2, d)
		}
	}
	if x, err := ThompsonGeodesic(a, sym(combine(3, a, 0, a)), 0.5); err != nil || relative(x, combine(math.Sqrt(3), a, 0, a)) > 1e-12 {
		t.Errorf("between multiples: %v", err)
	}
	for _, s := range []float64{-0.1, 1.1, math.NaN()} {
		if _, err := ThompsonGeodesic(a, b, s); err == nil {
			t.Errorf("t = %v was accepted", s)
		}
	}
	mid, err := ThompsonMean([]mat.Symmetric{a, b}, nil, MeanOptions{})
	half, _ := ThompsonGeodesic(a, b, 0.5)
	if err != nil || relative(mid, half) > 1e-9 {
		t.Errorf("the mean of two is not the midpoint: %v", err)
	}
	ms := []mat.Symmetric{a, b, randomSPD(rng, 5, 100), randomSPD(rng, 5, 2)}
	w := []float64{1, 2, 3, 1}
	x, err := ThompsonMean(ms, w, MeanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sum := mat.NewDense(5, 5, nil)
	for k, a := range ms {
		const h = 1e-4
		var f [4]*mat.SymDense
		for i := range f {
			f[i], _ = ThompsonGeodesic(x, a, float64(i+1)*h)
		}
		forward := combine(1, combine(4, f[0], -3, f[1]), 1, combine(4./3, f[2], -1./4, f[3])) // one-sided, order 4
		sum.Add(sum, combine(w[k]/h, combine(1, forward, -25./12, x), 0, x))
	}
	if e := mat.Norm(sum, 2); e > 1e-8 {
		t.Errorf("the velocities at the mean sum to %.2e", e)
	}
}
