package spectral

import (
	"errors"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestRankOneIsExact(t *testing.T) {
	for _, n := range []int{1, 2, 5, 30} {
		r := newRand(t, uint64(200+n))
		f := randFactor(t, r, n, 1e4)
		for _, rho := range []float64{0.7, -0.3, 1e-9, 50} {
			v := mat.NewVecDense(n, randTensor(r, n))
			if rho < 0 {
				// v = S^(1/2) u with |u| = 1 keeps S + rho v v^T positive definite.
				v.ScaleVec(1/mat.Norm(v, 2), v)
				f.PowVec(0.5, v.RawVector().Data, v.RawVector().Data)
			}
			want := formed(f)
			want.SymRankOne(want, rho, v)
			if err := f.RankOne(rho, v.RawVector().Data); err != nil {
				t.Fatal(err)
			}
			if e := relDiff(formed(f), want); e > 1e-13 {
				t.Errorf("n=%d rho=%v: S is off by %.2g", n, rho, e)
			}
			if !slices.IsSorted(f.Eigenvalues()) {
				t.Errorf("n=%d: eigenvalues not ascending: %v", n, f.Eigenvalues())
			}
		}
	}
}

func TestRankOneStreamStaysOrthogonal(t *testing.T) {
	const n = 60
	r := newRand(t, 210)
	f := randFactor(t, r, n, 100)
	want := formed(f)
	for range 1000 {
		v := randTensor(r, n)
		if err := f.RankOne(0.01, v); err != nil {
			t.Fatal(err)
		}
		want.SymRankOne(want, 0.01, mat.NewVecDense(n, v))
	}
	if e := spectralDefect(f); e > 1e-12 {
		t.Errorf("||B^T B - I||_2 = %.3g after 1000 updates", e)
	}
	if e := relDiff(formed(f), want); e > 1e-12 {
		t.Errorf("S is off by %.3g", e)
	}
}

func TestRankKIsExactAndUndoesItself(t *testing.T) {
	for _, w := range [][]float64{{-2, 3, 0.1, 0}, {-2, 3, 0.1, 0, 1, 1, 1, 0.5}} {
		rankKCase(t, 15, w)
	}
}

func rankKCase(t *testing.T, n int, w []float64) {
	t.Helper()
	r, k := newRand(t, 220), len(w)
	f := randFactor(t, r, n, 50)
	v := randDense(r, n, k)
	for i := range n {
		v.Set(i, 0, 0.5*v.At(i, 1)) // the negative vector is covered by the second one
	}
	want := formed(f)
	for l := range k {
		want.SymRankOne(want, w[l], v.ColView(l))
	}
	if err := f.RankK(v, w); err != nil {
		t.Fatal(err)
	}
	if e := relDiff(formed(f), want); e > 1e-13 {
		t.Errorf("S is off by %.2g", e)
	}
	before := f.Clone()
	w[0] = -1e9
	err := f.RankK(v, w)
	var data *DataError
	if !errors.As(err, &data) {
		t.Fatalf("an indefinite result gave %v", err)
	}
	w[0] = math.NaN()
	if f.RankK(v, w) == nil {
		t.Error("a NaN weight was accepted")
	}
	if !slices.Equal(before.d, f.d) || !slices.Equal(before.b.Data, f.b.Data) {
		t.Error("the failed update changed the factor")
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		x := randTensor(r, n)
		x[3] = bad
		if err := f.RankOne(1, x); err == nil {
			t.Errorf("%v was accepted", bad)
		}
		if err := f.RankOne(bad, randTensor(r, n)); err == nil {
			t.Errorf("weight %v was accepted", bad)
		}
	}
	if !slices.Equal(before.d, f.d) || !slices.Equal(before.b.Data, f.b.Data) {
		t.Error("a refused vector changed the factor")
	}
}

// The exact update is the oracle of the sweep: repeated to convergence they agree.
func TestSweepsConvergeToTheExactUpdate(t *testing.T) {
	const n = 25
	r := newRand(t, 230)
	f := randFactor(t, r, n, 1e3)
	g, v := f.Clone(), randTensor(r, n)
	if err := f.RankOne(2, v); err != nil {
		t.Fatal(err)
	}
	rep := g.Update(Increment{Vectors: mat.NewDense(n, 1, v), Weights: []float64{2}}, &Step{Tol: 1e-13, MaxSweeps: 50})
	if e := relDiff(formed(g), formed(f)); e > 1e-12 || !rep.Converged {
		t.Errorf("S differs by %.2g; %+v", e, rep)
	}
	d := slices.Sorted(slices.Values(g.Eigenvalues()))
	wantSlice(t, "eigenvalues", d, f.Eigenvalues(), 1e-12)
}

func TestScaleShift(t *testing.T) {
	r := newRand(t, 240)
	f := randFactor(t, r, 6, 10)
	want := formed(f)
	want.ScaleSym(0.9, want)
	for i := range 6 {
		want.SetSym(i, i, want.At(i, i)+0.3)
	}
	if err := f.ScaleShift(0.9, 0.3); err != nil {
		t.Fatal(err)
	}
	if e := relDiff(formed(f), want); e > 1e-14 {
		t.Errorf("S is off by %.2g", e)
	}
	before := f.Clone()
	for _, bad := range [][2]float64{{-1, 0}, {0, 0}, {1, -100}, {math.NaN(), 1}, {math.Inf(1), 0}} {
		if f.ScaleShift(bad[0], bad[1]) == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
	if !sameBits(before, f) {
		t.Error("a refused call changed the factor")
	}
}
