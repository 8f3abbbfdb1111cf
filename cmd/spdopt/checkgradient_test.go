package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/gallery"
)

// gradientAnswer is the answer of an objective with the gradient of sum (x - 1)^2, right, wrong by 1 %, or one number short.
func gradientAnswer(how string, id int, f float64, x []float64) string {
	scale := 2.0
	if how == "wronggradient" {
		scale = 2.02
	}
	g := make([]float64, len(x))
	for i, v := range x {
		g[i] = scale * (v - 1)
	}
	if how == "shortgradient" {
		g = g[1:]
	}
	b, err := json.Marshal(map[string]any{"id": id, "f": f, "gradient": g})
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// TestCheckGradient: a right gradient has slope 2, a wrong one slope 1 and exit code 4, of a program and of a problem.
func TestCheckGradient(t *testing.T) {
	samples := write(t, "samples.npy", gallery.Tyler(4, 10))
	for _, args := range [][]string{{"--cmd", program("gradient"), "--dim", "3"}, {"tyler", "--data", samples}, {"--cmd", program("gradient"), "--dim", "1"}} {
		var r gradientReport
		decode(t, succeed(t, append([]string{"check", "gradient", "--json", "--seed", "5"}, args...)...), &r)
		if !r.Passed || len(r.Checks) == 0 || r.Checks[0].Name != "gradient" || !(r.Checks[0].Slope > 1.9) || r.Seed != 5 {
			t.Errorf("%v: %+v", args, r)
		}
	}
	start := write(t, "start.csv", gallery.SPD(3, 3, 4))
	o := invoke("check", "gradient", "--cmd", program("wronggradient"), "--dim", "3", "--start", start)
	if o.code != exitUnmet || !strings.Contains(o.stderr, "slope 1.00 where a right one has 2") || !strings.Contains(o.stdout, "wrong") {
		t.Errorf("code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	for _, c := range []struct {
		args []string
		code int
		part string
	}{
		{[]string{"--cmd", program("shortgradient"), "--dim", "2"}, exitObjective, "gradient of 3 numbers, want 4"},
		{[]string{"--cmd", program("sphere"), "--dim", "2"}, exitObjective, `no "gradient"`},
		{[]string{"--cmd", program("crash"), "--dim", "2"}, exitObjective, "no module named numpy"},
		{[]string{"--cmd", program("gradient")}, exitUsage, "--dim"},
		{[]string{"--cmd", program("gradient"), "--dim", "2", "--start", start}, exitUsage, "one matrix of 2 rows"},
		{[]string{"mve", "--data", samples}, exitUsage, "solved directly"},
		{[]string{"tyler", "--dim", "3", "--data", samples}, exitUsage, "--dim goes with --cmd"},
		{[]string{"tylor", "--data", samples}, exitUsage, `did you mean "tyler"`},
		{nil, exitUsage, "name a problem"},
	} {
		if o := invoke(append([]string{"check", "gradient"}, c.args...)...); o.code != c.code || !strings.Contains(o.stderr, c.part) {
			t.Errorf("%v: code %d, want %d with %q: %s", c.args, o.code, c.code, c.part, o.stderr)
		}
	}
}
