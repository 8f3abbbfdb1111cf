package problem

import (
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
)

// TestStartsOfAnyKind: means and medians are found from any start, and where the search in single precision bears it without eigendecompositions, as from the default start.
func TestStartsOfAnyKind(t *testing.T) {
	const n = 40
	d := Data{Matrices: scattered(n, 5, 1e2)}
	arithmetic := mat.NewSymDense(n, nil)
	for _, a := range d.Matrices {
		arithmetic.AddSym(arithmetic, a)
	}
	scaled := func(c float64) mat.Symmetric {
		s := mat.NewSymDense(n, nil)
		s.ScaleSym(c, identity(n))
		return s
	}
	for _, name := range []string{"mean", "median"} {
		want := solved(t, name, d, nil)
		for start, c := range map[string]struct {
			at   mat.Symmetric
			most int // iterations
		}{
			"the sum": {arithmetic, want.Iterations + 1}, "I": {identity(n), want.Iterations + 1}, "1e-250 I": {scaled(1e-250), want.Iterations + 1},
			"1e250 I": {scaled(1e250), want.Iterations + 1}, "the optimum": {want.Solution, 1}, "a matrix": {d.Matrices[0], 10}, "condition 1e6": {symmetric(gallery.SPD(7, n, 1e6)), 10},
		} {
			r := solved(t, name, d, &Options{Start: c.at})
			if e, err := manifold.Distance(r.Solution, want.Solution); err != nil || !(e < 1e-6) || r.Iterations > c.most {
				t.Errorf("%s from %s: %g away after %d iterations (%v)", name, start, e, r.Iterations, err)
			}
		}
	}
}

// TestStarts: a start of the wrong size, one that is nil, and one that no method would use are refused, whatever the metric.
func TestStarts(t *testing.T) {
	const n = 4
	data := map[string]Data{"mean": {Matrices: scattered(n, 3, 10)}, "logdet": {Matrices: spdPair(n, 3)[:1]}, "tyler": {Samples: heavyTailed(n, 10)}}
	for name, cases := range catalogueCases(n, 10) {
		data[name] = cases[0]
	}
	for name, c := range trials(n) {
		data[name] = c.data
	}
	for _, p := range List() {
		d, known := data[p.Name]
		if !known {
			t.Errorf("%s has no data here", p.Name)
			continue
		}
		want := "start: has "
		if !p.TakesStart() {
			want = p.Name + " takes no start"
		}
		wrong := identity(n + 1)
		if p.Name == "kron-mle" {
			wrong = identity(5*n + 1)
		}
		for _, metric := range append(p.Metrics(), "") {
			if _, err := p.Solve(d, &Options{Metric: metric, Start: wrong}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, metric %q: %v", p.Name, metric, err)
			}
		}
		if _, err := p.Solve(d, &Options{Start: (*mat.SymDense)(nil)}); err == nil || !strings.Contains(err.Error(), "start: is nil") {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}
