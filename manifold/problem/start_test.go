package problem

import (
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

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
