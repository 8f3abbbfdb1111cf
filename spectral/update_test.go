package spectral

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestUpdateReachesTheTargetBySweeps(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 10, 33} {
		r := newRand(t, uint64(n))
		f := randFactor(t, r, n, 100)
		q := spd(r, n)
		want := mat.NewSymDense(n, nil)
		want.ScaleSym(0.7, formed(f))
		var add mat.SymDense
		add.ScaleSym(0.3, q)
		want.AddSym(want, &add)
		rep := f.Update(Increment{Decay: 0.3, Dense: q, DenseWeight: 0.3}, &Step{Tol: 1e-12, MaxSweeps: 40})
		if !rep.Converged || rep.Residual > 1e-12 {
			t.Errorf("n=%d: %+v", n, rep)
		}
		if e := relDiff(formed(f), want); e > 1e-12 {
			t.Errorf("n=%d: S is off by %.2g", n, e)
		}
	}
}

func TestDenseAndVectorsAreTheSameIncrement(t *testing.T) {
	n, k := 12, 3
	r := newRand(t, 7)
	f := randFactor(t, r, n, 1000)
	v, w := randDense(r, n, k), []float64{0.2, -0.01, 0.4}
	dense := mat.NewSymDense(n, nil)
	for l := range k {
		dense.SymRankOne(dense, w[l], v.ColView(l))
	}
	g, before := f.Clone(), formed(f)
	a := f.Update(Increment{Decay: 0.1, Ridge: 0.05, Dense: dense}, nil)
	b := g.Update(Increment{Decay: 0.1, Ridge: 0.05, Vectors: v, Weights: w}, nil)
	if e := relDiff(formed(f), formed(g)); e > 1e-13 {
		t.Errorf("S differs by %.2g", e)
	}
	if math.Abs(a.Residual-b.Residual) > 1e-7 || a.Sweeps != 1 {
		t.Errorf("reports differ: %+v, %+v", a, b)
	}
	var m, h mat.Dense
	m.Scale(0.9, before)
	m.Add(&m, dense)
	for i := range n {
		m.Set(i, i, m.At(i, i)+0.05)
	}
	h.Product(f.Basis().T(), &m, f.Basis())
	norm := mat.Norm(&h, 2)
	for i := range n {
		h.Set(i, i, 0)
	}
	if off := mat.Norm(&h, 2) / norm; math.Abs(off-a.Residual) > 1e-7 {
		t.Errorf("Residual %.6g, measured %.6g", a.Residual, off)
	}
}

func TestFollow(t *testing.T) {
	for _, n := range []int{1, 2, 7, 40} {
		r := newRand(t, 100+uint64(n))
		a := spd(r, n)
		f := Identity(n, 3)
		rep := f.Follow(a, &Step{MaxSweeps: 100})
		if !rep.Converged {
			t.Errorf("n=%d: from the identity: %+v", n, rep)
		}
		if e := relDiff(formed(f), a); e > 1e-12 {
			t.Errorf("n=%d: S is off by %.2g", n, e)
		}
		var b, e mat.SymDense
		e.ScaleSym(1e-5, randSym(r, n))
		b.AddSym(a, &e)
		rep = f.Follow(&b, nil)
		if !rep.Converged || rep.Sweeps > 5 {
			t.Errorf("n=%d: a nearby matrix: %+v", n, rep)
		}
		if e := relDiff(formed(f), &b); e > 1e-12 {
			t.Errorf("n=%d: nearby S is off by %.2g", n, e)
		}
	}
}

func TestEigenbasisFollowsIndefiniteMatrices(t *testing.T) {
	n := 20
	r := newRand(t, 5)
	e := NewEigenbasis(n)
	a := randSym(r, n)
	rep := e.Follow(a, &Step{MaxSweeps: 100})
	var got mat.SymDense
	e.ToSym(&got, nil)
	if d := relDiff(&got, a); d > 1e-12 || !rep.Converged {
		t.Errorf("off by %.2g: %+v", d, rep)
	}
	var ref mat.EigenSym
	ref.Factorize(a, false)
	var sum, want float64
	for i, v := range ref.Values(nil) {
		sum += math.Abs(e.Values()[i])
		want += math.Abs(v)
	}
	if math.Abs(sum-want) > 1e-12*want {
		t.Errorf("sum of |eigenvalues| %v, want %v", sum, want)
	}
	var av, vd mat.Dense
	av.Mul(a, e.Basis())
	vd.Mul(e.Basis(), mat.NewDiagDense(e.Dim(), e.Values()))
	if d := relDiff(&av, &vd); d > 1e-12 {
		t.Errorf("A B and B diag(values) differ by %.2g", d)
	}
	var abs mat.SymDense
	e.ToSym(&abs, math.Abs)
	var sq, asq mat.Dense
	sq.Mul(&abs, &abs)
	asq.Mul(a, a)
	if d := relDiff(&sq, &asq); d > 1e-12 {
		t.Errorf("|A|^2 and A^2 differ by %.2g", d)
	}
}

func TestFollowDecomposesWhereTheBasisIsFar(t *testing.T) {
	const n = 60
	r := newRand(t, 130)
	a := formed(randFactor(t, r, n, 1e6))
	f := Identity(n, 1)
	rep := f.Follow(a, &Step{Decompose: true})
	if !rep.Decomposed || !rep.Converged || rep.Sweeps != 0 {
		t.Errorf("far: %+v", rep)
	}
	if e := relDiff(formed(f), a); e > 1e-12 {
		t.Errorf("far: S is off by %.2g", e)
	}
	v := randTensor(r, n)
	a.SymRankOne(a, 1e-9, mat.NewVecDense(n, v))
	if rep = f.Follow(a, &Step{Decompose: true}); rep.Decomposed || !rep.Converged {
		t.Errorf("near: %+v", rep)
	}
}

// A mat.Symmetric without accessible storage, and its forms in the eigenbasis, are the same increment as a SymDense.
func TestOtherFormsOfTheSameIncrement(t *testing.T) {
	const n = 5
	r := newRand(t, 140)
	f := randFactor(t, r, n, 30)
	diag := mat.NewDiagDense(n, randTensor(r, n))
	full := symmetrised(diag)
	v := randDense(r, n, 2)
	var vb mat.Dense
	vb.Mul(f.Basis().T(), v)
	in := conjugate(f.Basis().T(), full)
	var got []*mat.SymDense
	for _, inc := range []Increment{{Dense: full, DenseWeight: 0.1}, {Dense: diag, DenseWeight: 0.1}, {Dense: in, DenseWeight: 0.1, InBasis: true},
		{Vectors: v}, {Vectors: &vb, InBasis: true}} {
		g := f.Clone()
		g.Update(inc, nil)
		got = append(got, formed(g))
	}
	a, b := NewAccumulator(n, 0), NewAccumulator(n, 0)
	for i := range 2 {
		w := 0.1 * float64(i+1) / 3
		a.Add(Increment{Dense: full, DenseWeight: w})
		b.Add(Increment{Dense: diag, DenseWeight: w})
	}
	for _, acc := range []*Accumulator{a, b} {
		g := f.Clone()
		acc.Flush(g, nil)
		got = append(got, formed(g))
	}
	for _, pair := range [][2]int{{1, 0}, {2, 0}, {4, 3}, {5, 0}, {6, 0}} {
		if e := relDiff(got[pair[0]], got[pair[1]]); e > 1e-13 {
			t.Errorf("forms %v differ by %.2g", pair, e)
		}
	}
	var zero Increment
	before := f.Clone()
	if rep := f.Update(zero, nil); rep.Err != nil || rep.Residual > 1e-7 || relDiff(formed(f), formed(before)) > 1e-14 {
		t.Errorf("the zero increment moved S: %+v", rep)
	}
}

func TestDimensionZeroAndOne(t *testing.T) {
	z := Identity(0, 1)
	if rep := z.Update(Increment{Decay: 0.5}, nil); rep.Err != nil || z.LogDet() != 0 || z.Cond() != 1 || z.KL(Identity(0, 2)) != 0 {
		t.Errorf("dimension 0: %+v", rep)
	}
	if err := z.RankOne(1, nil); err != nil {
		t.Error(err)
	}
	f := Identity(1, 2)
	f.Update(Increment{Decay: 0.5, Vectors: mat.NewDense(1, 1, []float64{3})}, nil)
	wantSlice(t, "d", f.Eigenvalues(), []float64{10}, 1e-15)
}

func TestFollowAtAnyScale(t *testing.T) {
	const n = 8
	a := spd(newRand(t, 150), n)
	for _, exp := range []int{-900, 0, 900} {
		scaled := mat.NewSymDense(n, nil)
		scaled.ScaleSym(math.Ldexp(1, exp), a)
		f := Identity(n, 1)
		rep := f.Follow(scaled, nil)
		if e := relDiff(formed(f), scaled); e > 1e-12 || !rep.Converged {
			t.Errorf("2^%d: S is off by %.2g, %+v", exp, e, rep)
		}
	}
}
