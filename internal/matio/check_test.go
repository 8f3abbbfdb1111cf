package matio

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

func square(values ...float64) Matrix {
	n := int(math.Sqrt(float64(len(values))))
	return Matrix{Matrix: dense.Wrap(n, n, values), File: "cov.npy", Index: 7}
}

// withSpectrum returns Q diag(w) Q^T for a random orthogonal Q.
func withSpectrum(seed uint64, w ...float64) Matrix {
	n := len(w)
	rng := rand.New(rand.NewChaCha8([32]byte{byte(seed)}))
	g := dense.New[float64](n, n)
	for i := range g.Data {
		g.Data[i] = rng.NormFloat64()
	}
	s := dense.New[float64](n, n)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, g, g, 0, s)
	if !eigen.Sym(s, make([]float64, n)) {
		panic("no eigenvectors")
	}
	x := s.Clone()
	for i := range n {
		for j := range n {
			x.Set(i, j, x.At(i, j)*w[j])
		}
	}
	a := dense.New[float64](n, n)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, x, s, 0, a)
	return Matrix{Matrix: a, File: "cov.npy", Index: -1}
}

func TestMessagesOfChecks(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		kind Kind
		m    Matrix
		want string
	}{
		{General, square(1, 2, nan, 4), "cov.npy: matrix 7 has NaN at row 1, column 0 (counting from 0)"},
		{General, square(1, 2, 3, -inf), "cov.npy: matrix 7 has -Inf at row 1, column 1 (counting from 0)"},
		{Symmetric, square(1, 2, 2.5, 4), "cov.npy: matrix 7 is not symmetric: element (0,1) is 2 but (1,0) is 2.5 (counting from 0); save (A + A^T)/2 if that is what you mean"},
		{SPD, square(2, 0, 0, -1), "cov.npy: matrix 7 is not positive definite: smallest eigenvalue -1 (largest 2); try --nearest-spd"},
		{SPD, square(41.7, 0, 0, -3.2e-9), "cov.npy: matrix 7 is not positive definite: smallest eigenvalue -3.2e-09 (largest 41.7); try --jitter 1e-8 or --nearest-spd"},
		{SPD, square(1, 1, 1, 1), "cov.npy: matrix 7 is not positive definite"},
		{SPD, square(1, 0, 0, 1e-17), "cov.npy: matrix 7 is not positive definite in float64: smallest eigenvalue 1e-17 (largest 1); try --jitter 1e-8 or --nearest-spd"},
		{SPD, square(0, 0, 0, 0), "cov.npy: matrix 7 is zero"},
		{SPD, square(-2, 0, 0, -1), "cov.npy: matrix 7 is not positive definite: its largest eigenvalue is -1"},
		{SPD, Matrix{Matrix: dense.New[float64](5, 2), File: "x.csv", Index: -1}, "x.csv: matrix is 5 x 2, not square; an n x n matrix or an m x n x n stack is needed here, not samples"},
		{Square, Matrix{Matrix: dense.New[float64](2, 5), File: "x.csv", Name: "X", Index: -1}, `x.csv: matrix "X" is 2 x 5, not square`},
	} {
		err := Check{Kind: c.kind}.Apply(&c.m)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func TestSymmetryTolerance(t *testing.T) {
	m := square(4, 1, 1+3e-8, 2)
	if err := (Check{Kind: Symmetric}).Apply(&m); err != nil {
		t.Fatal(err)
	}
	if m.At(0, 1) != m.At(1, 0) || math.Abs(m.At(0, 1)-1-1.5e-8) > 1e-15 {
		t.Errorf("not the mean: %v, %v", m.At(0, 1), m.At(1, 0))
	}
	m = square(4, 1, 1+5e-8, 2)
	if (Check{Kind: Symmetric}).Apply(&m) == nil {
		t.Error("an asymmetry above 1e-8 of the largest element passed")
	}
	m = square(1e308, 1.5e308, 1.5e308, 1.7e308)
	if err := (Check{Kind: Symmetric}).Apply(&m); err != nil || m.At(0, 1) != 1.5e308 {
		t.Errorf("overflow: %v, %v", m.At(0, 1), err)
	}
}

// The fast proof of definiteness and the eigenvalues behind it must agree with the known spectrum on either side of the threshold.
func TestDefinitenessAgainstKnownSpectra(t *testing.T) {
	for seed := range uint64(8) {
		for _, smallest := range []float64{1, 1e-6, 1e-12, 2e-14, -1e-13, -1e-8, -1, 0} {
			m := withSpectrum(seed, smallest, 0.3, 0.5, 1, 2, 3, 5, 7)
			err := Check{Kind: SPD}.Apply(&m)
			if want := smallest > 1.5e-14; (err == nil) != want {
				t.Errorf("seed %d, smallest eigenvalue %g: %v", seed, smallest, err)
			}
		}
	}
}

func TestDefinitenessIsFreeOfScale(t *testing.T) {
	for _, scale := range []float64{1e-300, 1e-160, 1, 1e160, 1e300} {
		m := withSpectrum(3, 1e-3, 1, 2)
		bad := withSpectrum(3, -1e-3, 1, 2)
		for i := range m.Data {
			m.Data[i] *= scale
			bad.Data[i] *= scale
		}
		if err := (Check{Kind: SPD}).Apply(&m); err != nil {
			t.Errorf("scale %g: %v", scale, err)
		}
		if (Check{Kind: SPD}).Apply(&bad) == nil {
			t.Errorf("scale %g: an indefinite matrix passed", scale)
		}
	}
}

func TestJitterAddsToTheDiagonal(t *testing.T) {
	m := withSpectrum(1, -1e-9, 1, 2, 5)
	before := m.Clone()
	mean := (before.At(0, 0) + before.At(1, 1) + before.At(2, 2) + before.At(3, 3)) / 4
	if err := (Check{Kind: SPD, Jitter: 1e-8}).Apply(&m); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if got, want := m.At(i, i)-before.At(i, i), 1e-8*mean; math.Abs(got-want) > 1e-14 {
			t.Errorf("diagonal %d grew by %g, want %g", i, got, want)
		}
	}
	for _, bad := range []float64{-1, math.NaN(), math.Inf(1)} {
		if (Check{Jitter: bad}).Validate() == nil {
			t.Errorf("jitter %v passes", bad)
		}
	}
}

// The remedy that a message names must work when it is followed.
func TestNamedRemediesWork(t *testing.T) {
	for _, smallest := range []float64{-1e-12, -3e-9, -1e-8, -4e-7, -2e-5, -1e-3, -0.5} {
		bad := withSpectrum(5, smallest, 1, 2, 5)
		err := Check{Kind: SPD}.Apply(&bad)
		if err == nil {
			t.Fatalf("%g passed", smallest)
		}
		repair := Check{Kind: SPD, NearestSPD: true}
		if i := strings.Index(err.Error(), "--jitter 1e-"); i >= 0 {
			repair = Check{Kind: SPD, Jitter: math.Pow10(-int(err.Error()[i+len("--jitter 1e-")] - '0'))}
		} else if smallest > -1e-4 {
			t.Errorf("%g: no jitter named: %v", smallest, err)
		}
		m := withSpectrum(5, smallest, 1, 2, 5)
		if err := repair.Apply(&m); err != nil {
			t.Errorf("%g: the named remedy %+v fails: %v", smallest, repair, err)
		}
	}
}

func TestNearestSPDClipsEigenvaluesAndLeavesTheGoodAlone(t *testing.T) {
	m := withSpectrum(2, -0.5, 1e-12, 1, 4)
	before := m.Clone()
	if err := (Check{Kind: SPD, NearestSPD: true}).Apply(&m); err != nil {
		t.Fatal(err)
	}
	w := make([]float64, 4)
	eigen.SymValues(m.Clone(), w)
	for i, want := range []float64{4e-8, 4e-8, 1, 4} {
		if math.Abs(w[i]-want) > 1e-14 {
			t.Errorf("eigenvalue %d is %g, want %g", i, w[i], want)
		}
	}
	distance := 0.0
	for i := range m.Data {
		distance += (m.Data[i] - before.Data[i]) * (m.Data[i] - before.Data[i])
	}
	if d := math.Sqrt(distance); math.Abs(d-math.Hypot(0.5+4e-8, 4e-8-1e-12)) > 1e-12 {
		t.Errorf("moved by %g", d)
	}
	good := withSpectrum(4, 0.1, 1, 2)
	if err := (Check{Kind: Symmetric}).Apply(&good); err != nil {
		t.Fatal(err)
	}
	same := Matrix{Matrix: good.Clone()}
	if err := (Check{Kind: SPD, NearestSPD: true}).Apply(&same); err != nil {
		t.Fatal(err)
	}
	for i := range good.Data {
		if good.Data[i] != same.Data[i] {
			t.Fatal("a positive definite matrix was changed")
		}
	}
}

// TestMissing: rows and columns of NaN are left out of the check, and stay; everything else is checked and repaired as ever.
func TestMissing(t *testing.T) {
	nan := math.NaN()
	check := Check{Kind: SPD, Missing: true, Jitter: 0.5}
	m := square(2, nan, 1+1e-12, nan, nan, nan, 1, nan, 4)
	if err := check.Apply(&m); err != nil || m.At(0, 0) != 3.5 || m.At(2, 2) != 5.5 || m.At(0, 2) != m.At(2, 0) || !math.IsNaN(m.At(1, 1)) || !math.IsNaN(m.At(2, 1)) {
		t.Errorf("%v: %v", m.Data, err)
	}
	whole := square(2, 1, 1, 2)
	if err := check.Apply(&whole); err != nil || whole.At(0, 0) != 3 {
		t.Errorf("nothing missing: %v %v", whole.Data, err)
	}
	for want, bad := range map[string]Matrix{
		"has NaN at (1,1), but not in all of row and column 1": square(2, nan, 1, nan, nan, nan, 1, 5, 4),
		"is all NaN":                                                square(nan, nan, nan, nan),
		"has NaN at row 0, column 1":                                square(1, nan, nan, 1),
		"not positive definite: smallest":                           square(1, 2, nan, 2, 1, nan, nan, nan, nan),
		"not symmetric: element (0,1) is ":                          square(1, 0.5, nan, 0.4, 1, nan, nan, nan, nan),
		"(rows and columns counted without the 1 that are missing)": square(1, nan, 0.5, nan, nan, nan, 0.4, nan, 1),
		"is 5 x 2, not square":                                      {Matrix: dense.New[float64](5, 2), Index: -1},
	} {
		if err := (Check{Kind: SPD, Missing: true}).Apply(&bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}
