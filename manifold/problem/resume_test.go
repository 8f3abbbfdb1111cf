package problem

import (
	"errors"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

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

// TestKeptMeanFollows: a mean that writes states decomposes every matrix once, at the first point, and follows these eigenbases from there. From a first
// point far away it decomposes where following does not reach.
func TestKeptMeanFollows(t *testing.T) {
	const n = 30
	d := Data{Matrices: scattered(n, 6, 1e2)}
	for name, start := range map[string]mat.Symmetric{"near": nil, "far": identity(n)} {
		o := &Options{Method: "lbfgs", Start: start, Solver: solve.Options{Checkpoint: func(*solve.State) error { return nil }}}
		p, err := ByName("mean")
		if err != nil {
			t.Fatal(err)
		}
		in, m, err := p.instance(&d, o)
		if err != nil {
			t.Fatal(err)
		}
		method, err := p.method(o.Method)
		if err != nil {
			t.Fatal(err)
		}
		r, err := method.run(in, m, o)
		if err != nil || !r.Converged {
			t.Fatalf("%s: %+v %v", name, r, err)
		}
		k := in.(*karcherObjective)
		for i := range k.reference {
			if once := k.reference[i].fresh; once != 1 {
				t.Errorf("%s: matrix %d decomposed %d times at the first point", name, i, once)
			}
			if later := k.latest.spectra[i].fresh; name == "near" && later != 0 {
				t.Errorf("%s: matrix %d decomposed %d times after that", name, i, later)
			}
		}
		if len(k.reference) != 6 {
			t.Errorf("%s: %d reference bases", name, len(k.reference))
		}
	}
}
