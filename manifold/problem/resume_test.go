package problem

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/manifold/solve"
)

// resumeData gives every problem data for TestResume.
func resumeData(n int) map[string]trial {
	all := trials(n)
	for name, d := range cases(n, 10) {
		t := all[name]
		t.data = d[0]
		all[name] = t
	}
	return all
}

// TestResume: every method of every problem that resumes goes on from a state in the middle to the bits of the run that was not interrupted; every
// other refuses a state. The states are marshaled, and the problem is set up anew.
func TestResume(t *testing.T) {
	all := resumeData(5)
	for _, p := range List() {
		c := all[p.Name]
		for _, name := range p.Methods() {
			o := c.options
			o.Method = name
			o.Solver.Tolerance = 1e-7
			resumes := p.Resumes(&o)
			if resumes != slices.Contains(p.Resumable(), name) {
				t.Errorf("%s by %s: Resumes and Resumable disagree", p.Name, name)
			}
			var states [][]byte
			o.Solver.Checkpoint = func(s *solve.State) error {
				b, err := s.MarshalBinary()
				states = append(states, b)
				return err
			}
			want, err := p.Solve(c.data, &o)
			if err != nil {
				t.Fatalf("%s by %s: %v", p.Name, name, err)
			}
			if !resumes {
				o.Solver.Restore = &solve.State{}
				var refused *ResumeError
				if _, err := p.Solve(c.data, &o); len(states) > 0 || !errors.As(err, &refused) {
					t.Errorf("%s by %s does not resume, but wrote %d states and answered %v", p.Name, name, len(states), err)
				}
				continue
			}
			if len(states) < want.Iterations {
				t.Errorf("%s by %s: %d states in %d iterations", p.Name, name, len(states), want.Iterations)
				continue
			}
			var s solve.State
			if err := s.UnmarshalBinary(states[len(states)/2]); err != nil {
				t.Fatal(err)
			}
			o.Solver.Restore = &s
			got, err := p.Solve(c.data, &o)
			if err != nil {
				t.Errorf("%s by %s: %v", p.Name, name, err)
				continue
			}
			same := slices.Equal(got.Solution.RawSymmetric().Data, want.Solution.RawSymmetric().Data) && got.Iterations == want.Iterations &&
				got.Evaluations == want.Evaluations && math.Float64bits(got.Objective) == math.Float64bits(want.Objective)
			for i, part := range want.Parts {
				same = same && slices.Equal(part.Matrices[0].RawMatrix().Data, got.Parts[i].Matrices[0].RawMatrix().Data)
			}
			if !same {
				t.Errorf("%s by %s: other bits after a resume: %+v, want %+v", p.Name, name, got, want)
			}
		}
	}
}
