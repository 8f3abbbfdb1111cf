package main

import (
	"os"
	"path/filepath"
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
	if b, err := os.ReadFile(out); err != nil || !strings.Contains(string(b), `"suite":"spd"`) {
		t.Errorf("%v", err)
	}
	if o := succeed(t, args...); !strings.Contains(o.stdout, "12 of 12 converged") || strings.Count(o.stdout, "\n") != 14 {
		t.Errorf("%s", o.stdout)
	}
	for _, bad := range [][]string{{"--problems", "nonsense"}, {"--methods", "some"}, {"--sizes", "1"}, {"--conds", "0.1"}, {"--tol", "2"}, {"extra"}} {
		if o := invoke(append([]string{"bench", "spd"}, bad...)...); o.code != exitUsage {
			t.Errorf("%v: code %d, %s", bad, o.code, o.stderr)
		}
	}
}
