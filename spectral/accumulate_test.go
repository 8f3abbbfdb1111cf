package spectral

import (
	"testing"

	"gonum.org/v1/gonum/mat"
)

// exactSteps applies every increment to a formed matrix.
func exactSteps(s *mat.SymDense, steps []Increment) {
	n := s.SymmetricDim()
	for _, t := range steps {
		s.ScaleSym(1-t.Decay, s)
		if t.Dense != nil {
			w := t.DenseWeight
			if w == 0 {
				w = 1
			}
			var a mat.SymDense
			a.ScaleSym(w, symmetrised(t.Dense))
			s.AddSym(s, &a)
		}
		if t.Vectors != nil {
			_, k := t.Vectors.Dims()
			for l := range k {
				w := 1.0
				if t.Weights != nil {
					w = t.Weights[l]
				}
				s.SymRankOne(s, w, t.Vectors.ColView(l))
			}
		}
		for i := range n {
			s.SetSym(i, i, s.At(i, i)+t.Ridge)
		}
	}
}

func TestAccumulatorFoldsStepsExactly(t *testing.T) {
	const n = 9
	for _, rank := range []int{0, 1, 3, 40} {
		r := newRand(t, 400)
		f := randFactor(t, r, n, 100)
		want := formed(f)
		steps := []Increment{
			{Decay: 0.1, Vectors: randDense(r, n, 1), Weights: []float64{0.1}},
			{Decay: 0.2, Vectors: randDense(r, n, 2)},
			{Decay: 0.05, Ridge: 0.3},
			{Dense: spd(r, n), DenseWeight: 0.2},
			{Decay: 0.1, Dense: spd(r, n), Vectors: randDense(r, n, 3), Weights: []float64{0.1, 0.2, -0.001}},
			{Decay: 0.1, Vectors: randDense(r, n, 1)},
		}
		a := NewAccumulator(n, rank)
		for _, s := range steps {
			a.Add(s)
		}
		if a.Steps() != len(steps) {
			t.Errorf("%d steps counted, want %d", a.Steps(), len(steps))
		}
		exactSteps(want, steps)
		rep := a.Flush(f, &Step{Tol: 1e-13, MaxSweeps: 50})
		if e := relDiff(formed(f), want); e > 1e-12 || !rep.Converged {
			t.Errorf("rank %d: S is off by %.2g, %+v", rank, e, rep)
		}
		if a.Steps() != 0 {
			t.Error("Flush did not reset")
		}
		if before := f.Clone(); a.Flush(f, nil).Sweeps != 0 || !sameBits(before, f) {
			t.Error("an empty Flush moved the factor")
		}
	}
}

func TestAccumulatorVectorForm(t *testing.T) {
	const n = 6
	r := newRand(t, 410)
	f := randFactor(t, r, n, 10)
	g := f.Clone()
	a, b := NewAccumulator(n, 4), NewAccumulator(n, 4)
	for range 11 {
		v := randDense(r, n, 1)
		a.Add(Increment{Decay: 0.1, Vectors: v, Weights: []float64{0.1}})
		b.AddVector(0.1, 0.1, v.RawMatrix().Data)
	}
	a.Flush(f, nil)
	b.Flush(g, nil)
	if !sameBits(f, g) {
		t.Error("Add and AddVector differ")
	}
}
