package solve

import (
	"strings"
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

// trace is the cost tr S, as any solver takes it.
type trace struct{ m *manifold.Affine }

func (f trace) Evaluate(p manifold.Point, grad []float64, _ Memo) (float64, error) {
	s := p.(*manifold.Frame).Sym()
	cost := 0.0
	for i := range s.SymmetricDim() {
		cost += s.At(i, i)
	}
	if grad != nil {
		f.m.Gradient(grad, p, manifold.DenseOf(manifold.IdentityFrame(s.SymmetricDim(), 1).Sym()))
	}
	return cost, nil
}

// TestMisuse: what a call lacks, and a start of another size, are errors of every solver.
func TestMisuse(t *testing.T) {
	m, err := manifold.NewAffine(3, manifold.AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f, id := trace{m}, manifold.IdentityFrame(3, 1)
	for _, s := range Solvers() {
		for _, c := range []struct {
			m     manifold.Manifold
			f     Objective
			start manifold.Point
			want  string
		}{
			{nil, f, id, "the manifold is nil"},
			{m, nil, id, "the objective is nil"},
			{m, f, nil, "the start is nil"},
			{m, f, (*manifold.Frame)(nil), "the start is nil"},
			{m, f, (*manifold.EigenPoint)(nil), "the start is nil"},
			{m, f, manifold.IdentityFrame(2, 1), "the start: manifold: the point is not a *Frame with 3 rows"},
		} {
			if _, err := s.Run(c.m, c.f, c.start, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", s.Name, err, c.want)
			}
		}
	}
	for _, s := range Special() {
		for _, call := range []func() (*Result, error){
			func() (*Result, error) { return s.Run(nil, f, id, nil) },
			func() (*Result, error) { return s.Run(m, nil, id, nil) },
			func() (*Result, error) { return s.Run(m, f, nil, nil) },
		} {
			if r, err := call(); err == nil {
				t.Errorf("%s: %+v", s.Name, r)
			}
		}
	}
	if _, err := ByName("newtn"); err == nil || !strings.Contains(err.Error(), "want one of steepest, lbfgs, trust") {
		t.Errorf("%v", err)
	}
}
