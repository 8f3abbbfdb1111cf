package spectral

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestPowers(t *testing.T) {
	const n, m = 9, 4
	r := newRand(t, 500)
	f := randFactor(t, r, n, 1e3)
	x := randDense(r, n, m)
	for _, p := range []float64{-1, -0.5, 1.0 / 3, 1, 2} {
		var s mat.SymDense
		f.PowSym(p, &s)
		var want, got, viaT mat.Dense
		want.Mul(&s, x)
		f.Pow(p, &got, x)
		if e := relDiff(&got, &want); e > 1e-13 {
			t.Errorf("p=%v: Pow and PowSym differ by %.2g", p, e)
		}
		f.Pow(p, &viaT, mat.DenseCopyOf(x.T()).T())
		if e := relDiff(&viaT, &want); e > 1e-13 {
			t.Errorf("p=%v: a transposed operand differs by %.2g", p, e)
		}
		same := mat.DenseCopyOf(x)
		f.Pow(p, same, same)
		if e := relDiff(same, &want); e > 1e-13 {
			t.Errorf("p=%v: in place differs by %.2g", p, e)
		}
		v := mat.Col(nil, 1, x)
		f.PowVec(p, v, v)
		wantSlice(t, "PowVec", v, mat.Col(nil, 1, &want), 1e-12)
		if q := f.QuadraticForm(p, mat.Col(nil, 1, x)); math.Abs(q-mat.Inner(x.ColView(1), &s, x.ColView(1))) > 1e-12*q {
			t.Errorf("p=%v: quadratic form %v", p, q)
		}
	}
	// Independent oracle: S^(1/2) S^(1/2) = S, S^-1 S = I, frame frame^T = S.
	var half, inv mat.SymDense
	f.PowSym(0.5, &half)
	f.PowSym(-1, &inv)
	var p, frame mat.Dense
	p.Mul(&half, &half)
	if e := relDiff(&p, formed(f)); e > 1e-13 {
		t.Errorf("S^(1/2) squared is off by %.2g", e)
	}
	var ref mat.Dense
	if err := ref.Inverse(formed(f)); err != nil {
		t.Fatal(err)
	}
	if e := relDiff(&inv, &ref); e > 1e-11 {
		t.Errorf("S^-1 is off by %.2g", e)
	}
	f.ScaledBasis(0.5, &frame)
	p.Mul(&frame, frame.T())
	if e := relDiff(&p, formed(f)); e > 1e-13 {
		t.Errorf("frame is off by %.2g", e)
	}
}

func TestScalars(t *testing.T) {
	const n = 7
	r := newRand(t, 510)
	f, g := randFactor(t, r, n, 50), randFactor(t, r, n, 9)
	var ch, cg mat.Cholesky
	ch.Factorize(formed(f))
	cg.Factorize(formed(g))
	if e := math.Abs(f.LogDet() - ch.LogDet()); e > 1e-12 {
		t.Errorf("log-determinant is off by %.2g", e)
	}
	var svd mat.SVD
	svd.Factorize(formed(f), mat.SVDNone)
	if e := math.Abs(f.Cond()/svd.Cond() - 1); e > 1e-12 {
		t.Errorf("condition is off by %.2g", e)
	}
	x := randTensor(r, n)
	var y mat.VecDense
	if err := ch.SolveVecTo(&y, mat.NewVecDense(n, x)); err != nil {
		t.Fatal(err)
	}
	want := -0.5 * (n*math.Log(2*math.Pi) + ch.LogDet() + mat.Dot(&y, mat.NewVecDense(n, x)))
	if e := math.Abs(f.LogDensity(x) - want); e > 1e-12*math.Abs(want) {
		t.Errorf("log-density is off by %.2g", e)
	}
	var tr mat.Dense
	if err := cg.SolveTo(&tr, formed(f)); err != nil {
		t.Fatal(err)
	}
	kl := 0.5 * (tr.Trace() - n + cg.LogDet() - ch.LogDet())
	if e := math.Abs(f.KL(g) - kl); e > 1e-12*kl {
		t.Errorf("KL is off by %.2g of %.3g", e, kl)
	}
	if v := f.KL(f); v > 1e-15 {
		t.Errorf("KL(f, f) = %v", v)
	}
}

func TestSamplesHaveTheCovariance(t *testing.T) {
	const n, m = 4, 40000
	r := newRand(t, 520)
	f := randFactor(t, r, n, 20)
	x := mat.NewDense(m, n, nil)
	f.SampleRows(r, x)
	cov := mat.NewSymDense(n, nil)
	cov.SymOuterK(1.0/m, x.T())
	if e := relDiff(cov, formed(f)); e > 0.03 {
		t.Errorf("sample covariance is off by %.3f", e)
	}
	a, b := newRand(t, 521), newRand(t, 521)
	rows, row := mat.NewDense(3, n, nil), make([]float64, n)
	f.SampleRows(a, rows)
	for i := range 3 {
		f.Sample(b, row)
		wantSlice(t, "row", rows.RawRowView(i), row, 1e-13)
	}
}

func TestKronSamplesHaveTheCovariance(t *testing.T) {
	k := randKron(t, 530, 2, 3)
	r := newRand(t, 531)
	const m = 30000
	x := make([]float64, 6)
	cov := mat.NewSymDense(6, nil)
	for range m {
		k.Sample(r, x)
		cov.SymRankOne(cov, 1.0/m, mat.NewVecDense(6, x))
	}
	if e := relDiff(cov, denseKron(k)); e > 0.04 {
		t.Errorf("sample covariance is off by %.3f", e)
	}
}
