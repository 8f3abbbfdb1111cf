package monitor

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/report"
	"github.com/spdopt/spdopt/internal/run"
)

func newRun(t *testing.T, name string) *run.Run {
	t.Helper()
	r, err := run.Create(filepath.Join(t.TempDir(), name), run.Manifest{
		Verb: "minimize", Name: "es-f1", Seed: 7, Argv: []string{"spdopt", "minimize"},
		Settings: []run.Setting{{Name: "dim", Value: "2", Origin: run.FromFlag}, {Name: "jobs", Value: "1", Origin: run.FromDefault}},
	}, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, r *run.Run) *View {
	t.Helper()
	v, err := Read(r.Dir())
	must(t, err)
	return v
}

// generation writes two evaluations, the second of which fails in generation 2, and an iteration.
func generation(t *testing.T, r *run.Run, g int) {
	t.Helper()
	for k := range 2 {
		id := uint64(2*g + k + 1)
		must(t, r.Ask(run.Asked{ID: id, X: []float64{1, 2}}))
		told := run.Told{ID: id, F: math.Pow(10, float64(-g)), Seconds: 0.5, Worker: fmt.Sprint("w", k)}
		if g == 2 && k == 1 {
			told.Failed, told.Error = true, "no licence <today>"
		}
		must(t, r.Tell(told))
	}
	must(t, r.Event("iter", map[string]any{"evaluations": 2*g + 2, "best": math.Pow(10, float64(-g)), "sigma": 0.5, "axes": []float64{1, float64(g + 1)}, "note": "text"}))
}

func TestViewCounts(t *testing.T) {
	r := newRun(t, "a")
	for g := range 5 {
		generation(t, r, g)
	}
	must(t, r.Ask(run.Asked{ID: 99, X: []float64{0, 0}}))
	must(t, r.Flush())
	v := read(t, r)
	if v.Told != 10 || v.Failed != 1 || v.Open != 1 || v.Best != 1e-4 || v.Info.Status != run.Running {
		t.Errorf("told %d, failed %d, open %d, best %g, %s", v.Told, v.Failed, v.Open, v.Best, v.Info.Status)
	}
	if len(v.Workers) != 2 || v.Workers[1].Failed != 1 || v.Workers[0].Seconds != 2.5 {
		t.Errorf("workers %+v %+v", v.Workers[0], v.Workers[1])
	}
	if len(v.Failures) != 1 || v.Failures[0].ID != 6 {
		t.Errorf("failures %+v", v.Failures)
	}
	names := map[string]int{}
	for _, s := range v.Series {
		names[s.Name] = len(s.Lines)
	}
	if len(names) != 3 || names["best"] != 1 || names["sigma"] != 1 || names["axes"] != 2 {
		t.Errorf("series with lines %v", names)
	}
	if changed, err := v.Refresh(); err != nil || changed {
		t.Errorf("nothing is new, but changed = %v, %v", changed, err)
	}
	generation(t, r, 5)
	must(t, r.Flush())
	if changed, err := v.Refresh(); err != nil || !changed || v.Told != 12 || v.Best != 1e-5 {
		t.Errorf("after another generation: changed = %v, %v, told %d, best %g", changed, err, v.Told, v.Best)
	}
}

// TestSeriesStayBounded: a long series keeps its first and newest stretch and an even spacing.
func TestSeriesStayBounded(t *testing.T) {
	s := &Series{Name: "best", X: "step"}
	const points = 100_000
	for k := range points {
		s.add(float64(k), []float64{float64(points - k)})
	}
	line := s.Lines[0]
	if len(line) >= mostPoints || len(line) < mostPoints/4 {
		t.Fatalf("%d points are kept", len(line))
	}
	step := line[1][0] - line[0][0]
	for k := 1; k < len(line); k++ {
		if line[k][0]-line[k-1][0] != step || line[k][1] != points-line[k][0] {
			t.Fatalf("point %d is %v after %v", k, line[k], line[k-1])
		}
	}
	if points-line[len(line)-1][0] > 2*step {
		t.Errorf("the last point kept is %v of %d", line[len(line)-1], points)
	}
}

func TestPages(t *testing.T) {
	var views []*View
	for _, name := range []string{"a", "b"} {
		r := newRun(t, name)
		for g := range 5 {
			generation(t, r, g)
		}
		must(t, r.Finish(run.Result{Status: "finished", Reason: "tol-fun", Seconds: 2}, map[string]any{"best_f": 1e-4, "best_x": []float64{1, 2}}))
		views = append(views, read(t, r))
	}
	for n := 1; n <= 2; n++ {
		var b bytes.Buffer
		must(t, report.Write(&b, Page(views[:n])))
		text := b.String()
		for _, want := range []string{"no licence &lt;today&gt;", "tol-fun", "best f", "<td>1, 2</td>", "<svg", "flag"} {
			if !strings.Contains(text, want) {
				t.Errorf("%d runs: the page lacks %q", n, want)
			}
		}
	}
	c := Compare(views, "best")
	if c == nil || len(c.Panels) != 1 || len(c.Panels[0].Curves) != 2 || !c.Panels[0].Log {
		t.Errorf("comparison of best: %+v", c)
	}
	if Compare(views, "nothing") != nil {
		t.Error("a comparison of a series that no run has")
	}
}

func TestSpark(t *testing.T) {
	s := &Series{Lines: [][][2]float64{{{0, 1000}, {1, 100}, {2, 10}, {3, 1}}}}
	if got := Spark(s, 10); got != "█▆▃▁" {
		t.Errorf("spark %q", got)
	}
	if got := Spark(&Series{Lines: [][][2]float64{{{0, 1}, {1, 1}}}}, 10); got != "" {
		t.Errorf("spark of a constant %q", got)
	}
	if got := Spark(&Series{Lines: [][][2]float64{{{0, math.NaN()}, {1, math.Inf(1)}, {2, 1}}}}, 10); got != "" {
		t.Errorf("spark of one finite value %q", got)
	}
}
