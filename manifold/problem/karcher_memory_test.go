package problem

import (
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestMeanResumesBitForBit: from the state of any iteration of any general solver the mean ends with the bits of the run that went through, although its evaluations
// follow the eigenbases of those before.
func TestMeanResumesBitForBit(t *testing.T) {
	var d Data
	for _, a := range gallery.KarcherScatter(gallery.MeanSeed, 6, 5, 1e4) {
		d.Matrices = append(d.Matrices, symmetric(a))
	}
	for _, s := range solve.Solvers() {
		var states [][]byte
		o := &Options{Method: s.Name, Solver: solve.Options{Tolerance: 1e-12, MaxIterations: 60, Checkpoint: func(s *solve.State) error {
			b, err := s.MarshalBinary()
			states = append(states, b)
			return err
		}}}
		want, err := Solve("mean", d, o)
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		o.Solver.Checkpoint = nil
		for i := 0; i < len(states); i += 1 + len(states)/12 {
			o.Solver.Restore = new(solve.State)
			if err := o.Solver.Restore.UnmarshalBinary(states[i]); err != nil {
				t.Fatal(err)
			}
			got, err := Solve("mean", d, o)
			if err != nil {
				t.Fatalf("%s from state %d of %d: %v", s.Name, i, len(states), err)
			}
			if !mat.Equal(got.Solution, want.Solution) || got.Certificate != want.Certificate || got.Evaluations != want.Evaluations || got.Reason != want.Reason {
				t.Errorf("%s from state %d of %d: %d evaluations, %v, %s; straight: %d, %v, %s", s.Name, i, len(states),
					got.Evaluations, got.Certificate, got.Reason, want.Evaluations, want.Certificate, want.Reason)
			}
		}
	}
	p, err := ByName("mean")
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := p.instance(&d, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	memo := in.(*karcherObjective).NewMemo().(*karcherMemo)
	b, err := memo.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for _, spoiled := range [][]byte{nil, b[:len(b)-8], append(b[:len(b):len(b)], 0)} {
		if memo.UnmarshalBinary(spoiled) == nil {
			t.Errorf("%d bytes were accepted", len(spoiled))
		}
	}
}
