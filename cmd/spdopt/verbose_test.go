package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/gallery"
)

// TestVerbose: --verbose tells on standard error what was read, what was chosen and where settings come from, and changes nothing else.
func TestVerbose(t *testing.T) {
	t.Setenv("SPDOPT_MAX_ITERATIONS", "77")
	data := write(t, "a.npy", gallery.SPD(1, 5, 10), gallery.SPD(2, 5, 10))
	weights := writeText(t, "w.csv", "2,1\n")
	plain := solveJSON(t, "mean", "--data", data, "--weights", weights)
	o := succeed(t, "solve", "mean", "--json", "-v", "--data", data, "--weights", weights)
	var loud solved
	decode(t, o, &loud)
	requireClose(t, "solution", flatten(loud.Solution), flatten(plain.Solution), 0)
	for _, want := range []string{
		"spdopt solve", "kernels ", "--max-iterations 77 (environment)", "read " + data + " as npy: 2 matrices of 5 x 5", "read " + weights + " as csv: matrix of 1 x 2",
		"mean: matrices, n = 5, start: the problem's own", "the problem's own choice", "exit code 0",
	} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("no %q in\n%s", want, o.stderr)
		}
	}
	line := regexp.MustCompile(`^spdopt: \d+\.\d{3} s: `)
	for l := range strings.Lines(o.stderr) {
		if !line.MatchString(l) {
			t.Errorf("line %q", l)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"root sqrt --in " + data, "matrix 1 of " + data + ": method "},
		{"root sqrt --method eigen --in " + data, "--method eigen (flag)"},
		{"minimize --fn sphere --dim 3 --max-evals 50", "3 variables, strategy cma, the default for so many, population 7"},
		{"minimize --fn sphere --dim 3 --max-evals 50", "(drawn)"},
		{"solve mean --data " + data + " --start random", "start: random"},
	} {
		if o := succeed(t, append(strings.Fields(c.args), "--verbose")...); !strings.Contains(o.stderr, c.want) {
			t.Errorf("%s: no %q in\n%s", c.args, c.want, o.stderr)
		}
	}
}

// TestVerboseJSON: with --log-format json the lines are objects of level debug.
func TestVerboseJSON(t *testing.T) {
	data := writeText(t, "a.csv", "2,1\n1,2\n")
	o := succeed(t, "root", "sqrt", "--in", data, "--log-format", "json", "--verbose")
	for l := range strings.Lines(o.stderr) {
		var line struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(l), &line); err != nil || line.Level != "debug" || line.Msg == "" {
			t.Errorf("%q: %v", l, err)
		}
	}
	if bad := invoke("root", "sqrt", "--in", data, "-v", "-q"); bad.code != exitUsage || !strings.Contains(bad.stderr, "contradict") {
		t.Errorf("%+v", bad)
	}
	if quiet := succeed(t, "root", "sqrt", "--in", data); quiet.stderr != "" {
		t.Errorf("unasked: %q", quiet.stderr)
	}
}

// TestMessagesClearProgress: a message does not stand behind the line of progress of a terminal.
func TestMessagesClearProgress(t *testing.T) {
	var errs strings.Builder
	a := &app{err: &errs, progress: "auto", terminal: true, verbose: true}
	a.newProgress().force("step 1")
	a.log("info", "hello")
	if errs.String() != "\r\x1b[Kstep 1\r\x1b[Kspdopt: hello\n" {
		t.Errorf("%q", errs.String())
	}
}
