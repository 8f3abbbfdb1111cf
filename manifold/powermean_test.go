package manifold

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

func powerData(n, count int, kappa float64) (ms []mat.Symmetric, inverses []mat.Symmetric) {
	for k := range count {
		a := gallery.SPD(uint64(200+k), n, kappa)
		s := mat.NewSymDense(n, a.Data)
		ms, inverses = append(ms, s), append(inverses, inverseOf(s))
	}
	return ms, inverses
}

func inverseOf(s mat.Symmetric) *mat.SymDense {
	f, err := NewFrame(s)
	if err != nil {
		panic(err)
	}
	f.Invert()
	return f.Sym()
}

func near(t *testing.T, what string, a, b mat.Symmetric, tol float64) {
	t.Helper()
	if d, err := Distance(a, b); err != nil || !(d <= tol) {
		t.Errorf("%s: distance %v (%v)", what, d, err)
	}
}

// TestPowerMean: the defining equation, the closed forms at both ends and for matrices that commute, the Karcher mean in the limit, and duality under inversion.
func TestPowerMean(t *testing.T) {
	ms, inverses := powerData(6, 4, 1e3)
	w := []float64{0.1, 0.4, 0.3, 0.2}
	sum := func(ms []mat.Symmetric) *mat.SymDense {
		s := mat.NewSymDense(6, nil)
		for k, a := range ms {
			var t mat.SymDense
			t.ScaleSym(w[k], a)
			s.AddSym(s, &t)
		}
		return s
	}
	power := func(ms []mat.Symmetric, p float64) *mat.SymDense {
		t.Helper()
		x, err := PowerMean(ms, w, p, MeanOptions{})
		if err != nil {
			t.Fatalf("order %v: %v", p, err)
		}
		return x
	}
	for _, p := range []float64{1, 0.7, 0.3, 0.05, -0.05, -0.5, -1} {
		x := power(ms, p)
		var terms []mat.Symmetric
		for _, a := range ms {
			g, err := Geodesic(x, a, p)
			if err != nil {
				t.Fatal(err)
			}
			terms = append(terms, g)
		}
		near(t, fmt.Sprintf("equation at order %v", p), sum(terms), x, 1e-8)
		near(t, fmt.Sprintf("duality at order %v", p), power(inverses, -p), inverseOf(x), 1e-8)
	}
	near(t, "arithmetic", power(ms, 1), sum(ms), 1e-10)
	near(t, "harmonic", power(ms, -1), inverseOf(sum(inverses)), 1e-10)
	middle := power(ms, 0)
	low, high := power(ms, -1e-3), power(ms, 1e-3)
	near(t, "limit from below", low, middle, 1e-2)
	near(t, "limit from above", high, middle, 1e-2)
	if between, err := Geodesic(low, high, 0.5); err != nil {
		t.Error(err)
	} else {
		near(t, "limit", between, middle, 1e-4)
	}

	q := gallery.Orthogonal(7, 3)
	values := [][]float64{{1, 2, 3}, {4, 0.5, 1e-3}}
	want := make([]float64, 3)
	var commuting []mat.Symmetric
	for _, v := range values {
		commuting = append(commuting, mat.NewSymDense(3, gallery.Compose(q, v).Data))
	}
	for i := range want {
		want[i] = math.Pow((math.Sqrt(values[0][i])+math.Sqrt(values[1][i]))/2, 2)
	}
	x, err := PowerMean(commuting, nil, 0.5, MeanOptions{MaxIterations: 2})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "commuting", x, mat.NewSymDense(3, gallery.Compose(q, want).Data), 1e-9)
}

// TestKullbackMean satisfies X H^-1 X = A, and lies above the harmonic and below the arithmetic mean.
func TestKullbackMean(t *testing.T) {
	ms, _ := powerData(5, 3, 1e2)
	x, err := KullbackMean(ms, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := PowerMean(ms, nil, 1, MeanOptions{})
	h, _ := PowerMean(ms, nil, -1, MeanOptions{})
	var left, both mat.Dense
	left.Mul(x, inverseOf(h))
	both.Mul(&left, x)
	both.Sub(&both, a)
	if e := mat.Norm(&both, 2); e > 1e-10*mat.Norm(a, 2) {
		t.Errorf("the equation is off by %v", e)
	}
	for _, c := range []struct{ above, below *mat.SymDense }{{a, x}, {x, h}} {
		var d mat.SymDense
		d.ScaleSym(-1, c.below)
		d.AddSym(&d, c.above)
		if err := CheckSPD(&d); err != nil {
			t.Errorf("out of order: %v", err)
		}
	}
}

// TestKullbackMeanOf frames, whatever kind they are: inverting all matrices inverts it.
func TestKullbackMeanOf(t *testing.T) {
	ms, _ := powerData(6, 4, 1e3)
	weights := []float64{1, 2, 3, 0.5}
	x, err := KullbackMean(ms, weights)
	if err != nil {
		t.Fatal(err)
	}
	frames, err := framesOf(ms)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		f.Invert()
	}
	y, err := KullbackMeanOf(frames, weights)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "of the inverses", y, inverseOf(x), 1e-10)
}

// TestFrameSquares: leaving out the zeros of triangular frames changes nothing.
func TestFrameSquares(t *testing.T) {
	for _, n := range []int{1, 7, squareStrip, squareStrip + 1, 2*squareStrip + 45} {
		lower, err := NewFrame(mat.NewSymDense(n, gallery.SPD(90, n, 100).Data))
		if err != nil {
			t.Fatal(err)
		}
		full := lower.Clone().(*Frame)
		full.lower = false
		for name, add := range map[string]func(f *Frame, weight float64, sum dense.Matrix[float64]){"F F'": (*Frame).addMatrix, "F^-T F^-1": (*Frame).addInverse} {
			got, want := dense.New[float64](n, n), dense.New[float64](n, n)
			for i := range n {
				got.Set(i, n-1, 3)
				want.Set(i, n-1, 3)
			}
			add(lower, 0.5, got)
			add(full, 0.5, want)
			dense.Mirror(got) // below the diagonal anything may stand
			dense.Mirror(want)
			dense.Axpy(-1, want.Data, got.Data)
			if d := math.Sqrt(dense.Dot(got.Data, got.Data) / dense.Dot(want.Data, want.Data)); d > 1e-15 || math.IsNaN(d) {
				t.Errorf("n = %d, %s: off by %v", n, name, d)
			}
		}
	}
}

func TestPowerMeanRefuses(t *testing.T) {
	ms, _ := powerData(3, 2, 10)
	three, _ := powerData(3, 3, 1e3)
	for name, call := range map[string]func() (*mat.SymDense, error){
		"order":   func() (*mat.SymDense, error) { return PowerMean(ms, nil, 1.5, MeanOptions{}) },
		"NaN":     func() (*mat.SymDense, error) { return PowerMean(ms, nil, math.NaN(), MeanOptions{}) },
		"none":    func() (*mat.SymDense, error) { return PowerMean(nil, nil, 0.5, MeanOptions{}) },
		"weights": func() (*mat.SymDense, error) { return PowerMean(ms, []float64{1}, 0.5, MeanOptions{}) },
		"options": func() (*mat.SymDense, error) { return PowerMean(ms, nil, 0.5, MeanOptions{Tolerance: 2}) },
		"indefinite": func() (*mat.SymDense, error) {
			return KullbackMean([]mat.Symmetric{mat.NewSymDense(2, []float64{1, 2, 2, 1})}, nil)
		},
		"sizes": func() (*mat.SymDense, error) {
			return KullbackMean([]mat.Symmetric{ms[0], mat.NewSymDense(1, []float64{1})}, nil)
		},
		"frames of two sizes": func() (*mat.SymDense, error) {
			return KullbackMeanOf([]*Frame{IdentityFrame(2, 1), IdentityFrame(3, 1)}, nil)
		},
		"iterations": func() (*mat.SymDense, error) { return PowerMean(three, nil, 0.1, MeanOptions{MaxIterations: 1}) },
	} {
		if x, err := call(); err == nil {
			t.Errorf("%s: %v", name, mat.Formatted(x))
		}
	}
}
