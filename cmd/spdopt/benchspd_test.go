package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestBenchProblems(t *testing.T) {
	out := filepath.Join(t.TempDir(), "spd.json")
	args := []string{"bench", "spd", "--problems", "logdet,riccati", "--sizes", "4", "--conds", "10", "--repeats", "1", "--methods", "all"}
	var o problemBenchOutput
	decode(t, succeed(t, append(args, "--json", "--out", out)...), &o)
	if o.Suite != "spd" || o.Count != 12 || o.Converged != 12 || len(o.Cases) != 12 || o.Cases[0].Method != "closed-form" || o.Cases[0].Ratio < 1 {
		t.Errorf("%+v", o)
	}
	if o.Threads != runtime.GOMAXPROCS(0) {
		t.Errorf("%d threads, want %d", o.Threads, runtime.GOMAXPROCS(0))
	}
	for _, c := range o.Cases {
		if !(c.Wall > 0) {
			t.Errorf("wall time %v: %+v", c.Wall, c)
		}
	}
	if b, err := os.ReadFile(out); err != nil || !strings.Contains(string(b), `"suite":"spd"`) {
		t.Errorf("%v", err)
	}
	if o := succeed(t, args...); !strings.Contains(o.stdout, "12 of 12 converged, "+counted(runtime.GOMAXPROCS(0), "thread")) || !strings.Contains(o.stdout, "wall ms") || strings.Count(o.stdout, "\n") != 14 {
		t.Errorf("%s", o.stdout)
	}
	for _, bad := range [][]string{{"--problems", "nonsense"}, {"--methods", "some"}, {"--sizes", "1"}, {"--conds", "0.1"}, {"--tol", "2"}, {"extra"}} {
		if o := invoke(append([]string{"bench", "spd"}, bad...)...); o.code != exitUsage {
			t.Errorf("%v: code %d, %s", bad, o.code, o.stderr)
		}
	}
}

// TestCompareProblems: the same result is not worse; a case that no longer converges and times that grew are, with exit code 4.
func TestCompareProblems(t *testing.T) {
	before := &problemBenchOutput{Schema: 1, Suite: "spd", Cases: []*problemBenchCase{
		{Problem: "mean", Method: "newton", N: 10, Kappa: 100, CPU: 0.1, Converged: true, Iterations: 3},
		{Problem: "tyler", Method: "trust", N: 10, Kappa: 100, CPU: 0.2, Converged: true, Iterations: 7},
		{Problem: "tyler", Method: "steepest", N: 10, Kappa: 1e6, CPU: 0.2, Iterations: 1000},
	}}
	save := func(name string, change func(cases []*problemBenchCase)) string {
		b, err := json.Marshal(before)
		var o problemBenchOutput
		if err == nil {
			err = json.Unmarshal(b, &o)
		}
		if err != nil {
			t.Fatal(err)
		}
		change(o.Cases)
		if b, err = json.Marshal(o); err != nil {
			t.Fatal(err)
		}
		return writeText(t, name, string(b))
	}
	same := save("same.json", func([]*problemBenchCase) {})
	slow := save("slow.json", func(c []*problemBenchCase) { c[0].CPU, c[1].CPU = 0.2, 0.4 })
	lost := save("lost.json", func(c []*problemBenchCase) { c[1].Converged = false })
	var c problemComparison
	decode(t, succeed(t, "bench", "compare", same, same, "--json"), &c)
	if c.Worse || c.Cases != 2 || c.Time != 1 || c.Iterations != 1 {
		t.Errorf("%+v", c)
	}
	for _, x := range []struct {
		after, part string
		code        int
	}{
		{slow, "factor 2.00", exitUnmet}, {lost, "tyler by trust, n = 10", exitUnmet},
		{writeText(t, "other.json", `{"schema":1}`), "no result of bench spd", exitInput}, {filepath.Join(t.TempDir(), "none.json"), "no such file", exitInput},
	} {
		if o := invoke("bench", "compare", same, x.after); o.code != x.code || !strings.Contains(o.stderr, x.part) {
			t.Errorf("%s: code %d: %s", x.after, o.code, o.stderr)
		}
	}
}
