package gallery

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

func requireClose(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(v))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tol*scale) {
			t.Fatalf("%s: number %d is %.17g, want %.17g", what, i, got[i], want[i])
		}
	}
}

func flat(ms ...dense.Matrix[float64]) []float64 {
	var all []float64
	for _, m := range ms {
		all = append(all, m.Data...)
	}
	return all
}

// The golden numbers come from testdata/recipes.py, an independent implementation on numpy's QR.
func TestRecipesAgreeWithNumpy(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]json.RawMessage
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	var words []string
	if err := json.Unmarshal(golden["words_seed_7"], &words); err != nil {
		t.Fatal(err)
	}
	s := NewStream(7)
	for k, want := range words {
		if got := fmt.Sprint(s.Uint64()); got != want {
			t.Errorf("word %d is %s, want %s", k, got, want)
		}
	}
	pair, mean := KarcherPair(MeanSeed, 4, 2, 1e6)
	q, x := Nearness(3, 100)
	for key, got := range map[string][]float64{
		"normals_seed_7":       flat(NewStream(7).Normals(1, 5)),
		"orthogonal_seed_7":    flat(Orthogonal(7, 4)),
		"spd_seed_7_kappa_1e6": flat(SPD(7, 5, 1e6)),
		"karcher_pair":         flat(pair...),
		"karcher_pair_mean":    flat(mean),
		"karcher_scatter":      flat(KarcherScatter(MeanSeed, 3, 2, 1e2)...),
		"logdet":               flat(LogDet(4, 1e2)),
		"nearness_q":           flat(q),
		"nearness_x":           flat(x),
		"tyler":                flat(Tyler(3, 1e2)),
	} {
		var want []float64
		if err := json.Unmarshal(golden[key], &want); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		requireClose(t, key, got, want, 1e-14)
	}
}

// The published first outputs of SplitMix64 for state 0.
func TestSplitMix64(t *testing.T) {
	s := NewStream(0)
	for _, want := range []uint64{0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F} {
		if got := s.Uint64(); got != want {
			t.Errorf("got %#x, want %#x", got, want)
		}
	}
}

func TestOrthogonalIsOrthogonalWithPositiveR(t *testing.T) {
	for _, n := range []int{1, 2, 3, 17, 60} {
		q := Orthogonal(9, n)
		p := dense.New[float64](n, n)
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, q, q, 0, p)
		eye := dense.New[float64](n, n)
		eye.Identity()
		requireClose(t, "Q^T Q", p.Data, eye.Data, 1e-14*float64(n))
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, q, NewStream(9).Normals(n, n), 0, p)
		for i := range n {
			if p.At(i, i) <= 0 {
				t.Errorf("n = %d: R has diagonal element %g", n, p.At(i, i))
			}
			for j := range i {
				if math.Abs(p.At(i, j)) > 1e-13 {
					t.Errorf("n = %d: R has %g below its diagonal", n, p.At(i, j))
				}
			}
		}
	}
}

func eigenvalues(t *testing.T, a dense.Matrix[float64]) []float64 {
	t.Helper()
	w := make([]float64, a.Rows)
	if !eigen.SymValues(a.Clone(), w) {
		t.Fatal("no eigenvalues")
	}
	return w
}

func TestSPDHasTheSpectrumItPromises(t *testing.T) {
	for _, n := range []int{1, 2, 5, 50} {
		for _, kappa := range []float64{1, 1e2, 1e6} {
			a := SPD(11, n, kappa)
			want := Spectrum(n, kappa)
			requireClose(t, fmt.Sprintf("n = %d, kappa = %g", n, kappa), eigenvalues(t, a), want, 1e-13)
			logs := 0.0
			for _, v := range want {
				logs += math.Log(v)
			}
			if math.Abs(logs) > 1e-12 || n > 1 && math.Abs(want[n-1]/want[0]/kappa-1) > 1e-12 {
				t.Errorf("n = %d, kappa = %g: log det %g, condition %g", n, kappa, logs, want[n-1]/want[0])
			}
			for i := range n {
				for j := range i {
					if a.At(i, j) != a.At(j, i) {
						t.Fatal("not exactly symmetric")
					}
				}
			}
		}
	}
}

// At the exact mean the logarithms of C^-1/2 A C^-1/2 cancel, that is log(A_j C^-1) + log(A_j' C^-1) = 0 pairwise: the product of the two is C.
func TestKarcherPairsCancel(t *testing.T) {
	n := 6
	a, c := KarcherPair(MeanSeed, n, 3, 1e2)
	l := c.Clone()
	if dense.Cholesky(l) >= 0 {
		t.Fatal("the mean is not positive definite")
	}
	for j := 0; j < len(a); j += 2 {
		x, y := a[j].Clone(), a[j+1].Clone()
		for _, m := range []dense.Matrix[float64]{x, y} {
			dense.SolveLower(dense.NoTrans, l, m)
			dense.SolveLowerRight(dense.Transposed, l, m)
		}
		p := dense.New[float64](n, n)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, y, 0, p)
		eye := dense.New[float64](n, n)
		eye.Identity()
		requireClose(t, "product of a pair", p.Data, eye.Data, 1e-11)
		w := eigenvalues(t, x)
		if math.Abs(math.Log(w[0])+1) > 1e-10 || math.Abs(math.Log(w[n-1])-1) > 1e-10 {
			t.Errorf("pair %d: whitened eigenvalues from %g to %g", j/2, w[0], w[n-1])
		}
	}
}

func TestClassics(t *testing.T) {
	h := Hadamard(16)
	p := dense.New[float64](16, 16)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, h, h, 0, p)
	for i := range 16 {
		for j := range 16 {
			if want := map[bool]float64{true: 16}[i == j]; p.At(i, j) != want {
				t.Fatalf("(H H^T)(%d,%d) = %g", i, j, p.At(i, j))
			}
		}
	}
	requireClose(t, "HadamardSPD", eigenvalues(t, HadamardSPD([]float64{1, 2, 4, 8})), []float64{1, 2, 4, 8}, 1e-15)
	a, w := Laplacian(12)
	requireClose(t, "Laplacian", eigenvalues(t, a), w, 1e-14)
	pairs := eigenvalues(t, Wilkinson(21))
	requireClose(t, "Wilkinson", []float64{pairs[0], pairs[20]}, []float64{-1.125441522119985, 10.746194182903393}, 1e-14)
	if d := pairs[20] - pairs[19]; d > 1e-13 {
		t.Errorf("the largest pair of Wilkinson's matrix is %g apart", d)
	}
}

// The determinant of the graded matrix is det(D)^2 det(B), with det(B) by the three-term recurrence.
func TestGraded(t *testing.T) {
	n, step := 10, 5
	l := Graded(n, step)
	if dense.Cholesky(l) >= 0 {
		t.Fatal("not positive definite")
	}
	got, want := 0.0, 0.0
	before, det := 1.0, 1.0
	for i := range n {
		got += 2 * math.Log2(l.At(i, i))
		want -= float64(2 * i * step)
		if i > 0 {
			before, det = det, det-before/16
		}
	}
	if want += math.Log2(det); math.Abs(got-want) > 1e-12*math.Abs(want) {
		t.Errorf("log2 det = %v, want %v", got, want)
	}
}

func TestImpossibleSizesPanic(t *testing.T) {
	for name, f := range map[string]func(){"Hadamard": func() { Hadamard(12) }, "Wilkinson": func() { Wilkinson(4) }} {
		func() {
			defer func() {
				if _, ok := recover().(Error); !ok {
					t.Errorf("%s does not panic with Error", name)
				}
			}()
			f()
		}()
	}
}
