package solve

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

// outcome is a Result as comparable values; the bits of the point are in it.
func outcome(t testing.TB, r *Result) []any {
	t.Helper()
	p, err := r.Point.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return []any{string(p), r.Converged, r.Reason, r.Iterations, r.Evaluations, r.HessianProducts, math.Float64bits(r.Objective),
		math.Float64bits(r.GradientNorm), math.Float64bits(r.RelativeGradient)}
}

func sameOutcome(a, b []any) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// objectives lists fresh objectives of each kind that change what a solver keeps: with transport, with Hessian, with preconditioner.
func objectives(t testing.TB) map[string]func() (manifold.Manifold, Objective) {
	m := affine(t, 6, manifold.AffineOptions{})
	e := embedded{m}
	return map[string]func() (manifold.Manifold, Objective){
		"plain":     func() (manifold.Manifold, Objective) { return m, newLogdet(6, 1e4, 9) },
		"transport": func() (manifold.Manifold, Objective) { return e, rotated{newLogdet(6, 1e4, 9), e} },
		"hessian":   func() (manifold.Manifold, Objective) { return m, &scaledLogdet{newLogdet(6, 1e4, 9)} },
		"preconditioner": func() (manifold.Manifold, Objective) {
			return m, preconditionedLogdet{&scaledLogdet{newLogdet(6, 1e4, 9)}}
		},
	}
}

// checkResume runs from every stride-th state of a straight run and wants the end of each to have the bits of the straight run.
func checkResume(t *testing.T, name string, stride int, run func(*Options) (*Result, error)) {
	t.Helper()
	var states [][]byte
	keep := func(to *[][]byte) func(*State) error {
		return func(s *State) error {
			b, err := s.MarshalBinary()
			*to = append(*to, b)
			return err
		}
	}
	straight, err := run(&Options{Checkpoint: keep(&states)})
	if err != nil || !straight.Converged || len(states) < straight.Iterations || len(states) > straight.Iterations+1 {
		t.Fatalf("%s: %+v %v, %d states", name, straight, err, len(states))
	}
	want := outcome(t, straight)
	for k := 0; k < len(states); k += stride {
		var restored State
		if err := restored.UnmarshalBinary(states[k]); err != nil {
			t.Fatal(err)
		}
		var again [][]byte
		r, err := run(&Options{Restore: &restored, Checkpoint: keep(&again)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !sameOutcome(want, outcome(t, r)) {
			t.Errorf("%s from iteration %d: %+v, straight run %+v", name, k, r, straight)
		}
		if len(again) != len(states)-1-k {
			t.Errorf("%s from iteration %d: %d states, want %d", name, k, len(again), len(states)-1-k)
		}
	}
}

// TestResume: a run that goes on from the marshaled state of any iteration ends with the bits of the run that was not interrupted, and writes
// as many states on the way.
func TestResume(t *testing.T) {
	for _, s := range Solvers() {
		for name, objective := range objectives(t) {
			checkResume(t, s.Name+", "+name, 1, func(o *Options) (*Result, error) {
				m, f := objective()
				return s.Run(m, f, manifold.IdentityFrame(6, 1), o)
			})
		}
	}
}

// attraction is d(S, B)^2/2 on any manifold with Log.
type attraction struct {
	m manifold.Manifold
	b manifold.Point
}

func (a attraction) Evaluate(s manifold.Point, grad []float64, _ Memo) (float64, error) {
	if err := a.m.(manifold.Logarithm).Log(grad, s, a.b); err != nil {
		return 0, err
	}
	for i := range grad {
		grad[i] = -grad[i]
	}
	return a.m.Inner(s, grad, grad) / 2, nil
}

// TestResumeEverywhere: the state of a run on every metric and space resumes.
func TestResumeEverywhere(t *testing.T) {
	all := map[string]func(n int) (manifold.Manifold, error){}
	for _, k := range manifold.Metrics() {
		all[k.Name] = k.New
	}
	for _, k := range manifold.Spaces() {
		all[k.Name] = k.New
	}
	ran := 0
	for name, create := range all {
		m, err := create(4)
		if err != nil {
			t.Fatal(name, err)
		}
		rng := rand.New(rand.NewChaCha8([32]byte{22}))
		start, target := m.RandomPoint(rng), m.RandomPoint(rng)
		if l, ok := m.(manifold.Logarithm); !ok || l.Log(make([]float64, m.VectorLen()), start, target) != nil {
			continue
		}
		ran++
		checkResume(t, name, 2, func(o *Options) (*Result, error) {
			o.Tolerance = 1e-6
			return ConjugateGradient(m, attraction{m, target}, start, o)
		})
	}
	if ran < 10 {
		t.Errorf("%d of %d metrics and spaces have a logarithm to test with", ran, len(all))
	}
}

// TestResumeAfterStop: a run stopped by its callback goes on where it was, with the same callback; time already used counts.
func TestResumeAfterStop(t *testing.T) {
	for _, s := range Solvers() {
		m, objective := affine(t, 6, manifold.AffineOptions{}), func() Objective { return newLogdet(6, 1e4, 9) }
		straight, err := s.Run(m, objective(), manifold.IdentityFrame(6, 1), &Options{Stop: Stagnation(3)})
		if err != nil {
			t.Fatal(err)
		}
		var last State
		o := &Options{CheckpointEvery: 1000, Callback: func(s *Status) bool { return s.Iteration == 3 }, Checkpoint: func(s *State) error {
			b, err := s.MarshalBinary()
			return errors.Join(err, last.UnmarshalBinary(b))
		}}
		if r, err := s.Run(m, objective(), manifold.IdentityFrame(6, 1), o); err != nil || r.Reason.Name != "callback" {
			t.Fatalf("%s: %+v %v", s.Name, r, err)
		}
		r, err := s.Run(m, objective(), manifold.IdentityFrame(6, 1), &Options{Restore: &last, Callback: o.Callback, Stop: Stagnation(3)})
		if err != nil || !sameOutcome(outcome(t, r), outcome(t, straight)) {
			t.Errorf("%s: %+v %v, straight run %+v", s.Name, r, err, straight)
		}
	}
}

// TestResumeRefuses: a state of another solver, size, memory, rule or objective, or a damaged one, is an error that says so.
func TestResumeRefuses(t *testing.T) {
	m := affine(t, 6, manifold.AffineOptions{})
	start := manifold.IdentityFrame(6, 1)
	var states [2][]byte
	for i, run := range []Minimize{LBFGS, ConjugateGradient} {
		if _, err := run(m, newLogdet(6, 1e4, 9), start, &Options{MaxIterations: 4, Checkpoint: func(s *State) (err error) {
			states[i], err = s.MarshalBinary()
			return err
		}}); err != nil {
			t.Fatal(err)
		}
	}
	var lb, cg State
	if err := errors.Join(lb.UnmarshalBinary(states[0]), cg.UnmarshalBinary(states[1])); err != nil {
		t.Fatal(err)
	}
	for what, attempt := range map[string]func() error{
		"the solver": func() error { _, err := Steepest(m, newLogdet(6, 1e4, 9), start, &Options{Restore: &lb}); return err },
		"vector": func() error {
			_, err := LBFGS(m, newLogdet(6, 1e4, 9), start, &Options{Restore: &lb, Memory: 5})
			return err
		},
		"Beta": func() error {
			_, err := ConjugateGradient(m, newLogdet(6, 1e4, 9), start, &Options{Restore: &cg, Beta: DaiYuan})
			return err
		},
		"another objective": func() error { _, err := LBFGS(m, newLogdet(6, 1e4, 10), start, &Options{Restore: &lb}); return err },
		"empty":             func() error { _, err := LBFGS(m, newLogdet(6, 1e4, 9), start, &Options{Restore: &State{}}); return err },
		"tangent vectors": func() error {
			_, err := LBFGS(affine(t, 5, manifold.AffineOptions{}), newLogdet(5, 1e4, 9), manifold.IdentityFrame(5, 1), &Options{Restore: &lb})
			return err
		},
	} {
		var e *StateError
		if err := attempt(); !errors.As(err, &e) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var s State
	for i := range states[0] {
		flipped := bytes.Clone(states[0])
		flipped[i] ^= 4
		if s.UnmarshalBinary(flipped) == nil || s.UnmarshalBinary(states[0][:i]) == nil {
			t.Fatalf("damage at byte %d accepted", i)
		}
	}
	if _, err := s.MarshalBinary(); err == nil {
		t.Error("an empty state marshals")
	}
	full := errors.New("disk full")
	if _, err := LBFGS(m, newLogdet(6, 1e4, 9), start, &Options{Checkpoint: func(*State) error { return full }}); !errors.Is(err, full) {
		t.Errorf("checkpoint error lost: %v", err)
	}
}

// FuzzRestore: whatever a state with a good checksum says, a run from it ends with a result or an error.
func FuzzRestore(f *testing.F) {
	m, start := affine(f, 2, manifold.AffineOptions{}), manifold.IdentityFrame(2, 1)
	for i, s := range Solvers() {
		var data []byte
		if _, err := s.Run(m, newLogdet(2, 10, 3), start, &Options{MaxIterations: 2, Checkpoint: func(s *State) (err error) {
			data, err = s.MarshalBinary()
			return err
		}}); err != nil {
			f.Fatal(err)
		}
		f.Add(i, data)
	}
	f.Fuzz(func(t *testing.T, solver int, data []byte) {
		all := Solvers()
		if solver < 0 || solver >= len(all) || len(data) < crcLen {
			return
		}
		data = data[:len(data)-crcLen]
		data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
		var s State
		if s.UnmarshalBinary(data) != nil {
			return
		}
		r, err := all[solver].Run(m, newLogdet(2, 10, 3), start, &Options{Restore: &s})
		if err == nil && (r.Objective-r.Objective != 0 || r.Reason.Name == "") {
			t.Errorf("%+v", r)
		}
	})
}
