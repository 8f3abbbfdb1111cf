package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBenchSearchAndCompare(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.json"), filepath.Join(dir, "bad.json")
	common := []string{"bench", "es", "--dims", "2", "--instances", "1,2", "--budget", "500", "--functions", "f10,f12", "--json", "--out"}
	var areas [2]float64
	for i, args := range [][]string{append(common, good, "--jobs", "2"), append(common, bad, "--strategy", "snes")} {
		var o benchOutput
		if err := json.Unmarshal([]byte(succeed(t, args...).stdout), &o); err != nil || len(o.Dims) != 1 {
			t.Fatalf("%+v, %v", o, err)
		}
		areas[i] = float64(o.Dims[0].Area)
	}
	if !(areas[0] > areas[1]+0.02 && areas[1] > 0) {
		t.Fatalf("areas %v: snes should be far behind on rotated functions", areas)
	}
	if o := succeed(t, "bench", "compare", bad, good); !strings.Contains(o.stdout, "n = 2") || !strings.Contains(o.stdout, "f12   x 0.89") {
		t.Errorf("%+v", o)
	}
	if o := invoke("bench", "compare", good, bad); o.code != exitUnmet || !strings.Contains(o.stderr, "the area fell") {
		t.Errorf("%+v", o)
	}
	var c comparisonOutput
	if o := invoke("bench", "compare", good, bad, "--json"); json.Unmarshal([]byte(o.stdout), &c) != nil || !c.Worse || float64(c.Dims[0].Before) != areas[0] {
		t.Errorf("%+v, want the areas %v", o, areas)
	}
}

func TestBenchMistakes(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk.json")
	if err := os.WriteFile(junk, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		part string
	}{
		{[]string{"bench"}, exitUsage, "bench what? compare, cost, es, nn, roots, score, spd, target"},
		{[]string{"bench", "ess"}, exitUsage, "did you mean \"es\""},
		{[]string{"bench", "es", "x"}, exitUsage, "no arguments"},
		{[]string{"bench", "es", "--dims", "0"}, exitUsage, "positive"},
		{[]string{"bench", "es", "--budget", "0"}, exitUsage, "--budget"},
		{[]string{"bench", "es", "--repeats", "0"}, exitUsage, "--repeats"},
		{[]string{"bench", "es", "--strategy", "xne"}, exitUsage, "did you mean \"xnes\""},
		{[]string{"bench", "es", "--functions", "f99"}, exitUsage, "f99"},
		{[]string{"bench", "es", "--out", filepath.Join(junk, "x.json")}, exitInput, "cannot write"},
		{[]string{"bench", "compare", junk}, exitUsage, "two files"},
		{[]string{"bench", "compare", junk, junk}, exitInput, "junk.json"},
		{[]string{"bench", "compare", junk + "x", junk}, exitInput, "no such file"},
		{[]string{"bench", "compare", junk, junk, "--allow", "-1"}, exitUsage, "--allow"},
	} {
		if o := invoke(c.args...); o.code != c.code || !strings.Contains(o.stderr, c.part) {
			t.Errorf("%q: %+v", c.args, o)
		}
	}
}

// picture reads an SVG file and demands that it is well formed and shows each of the texts.
func picture(t *testing.T, path string, texts ...string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(raw))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	for _, text := range texts {
		if !strings.Contains(string(raw), text) {
			t.Errorf("%s does not show %q", path, text)
		}
	}
}

func TestBenchPictures(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, strategy := range map[string]string{"a": "cma", "b": "sep-cma"} {
		succeed(t, "bench", "es", "--dims", "2,3", "--instances", "1", "--budget", "300", "--functions", "f1,f2", "--strategy", strategy,
			"--out", file(name+".json"), "--svg", file(name+".svg"))
	}
	picture(t, file("a.svg"), "2 variables", "3 variables", "evaluations per variable")
	invoke("bench", "compare", file("a.json"), file("b.json"), "--svg", file("c.svg"))
	picture(t, file("c.svg"), "before: a", "after: b", "performance profile")
	succeed(t, "bench", "es", "--suite", "bbob-mixint", "--dims", "5", "--instances", "1", "--budget", "10", "--functions", "m1", "--out", file("m.json"))
	if o := invoke("bench", "compare", file("a.json"), file("m.json")); o.code != exitInput || !strings.Contains(o.stderr, "bbob-mixint") {
		t.Errorf("%+v", o)
	}
}
