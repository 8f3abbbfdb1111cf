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
}
