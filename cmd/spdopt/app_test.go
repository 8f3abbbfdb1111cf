package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/roots"
)

func TestVersion(t *testing.T) {
	f := fields(t, succeed(t, "version", "--json"), "version", "go", "cpu_features", "dense_path")
	if _, ok := f["cpu_features"].([]any); !ok || !strings.HasPrefix(f["go"].(string), "go") || f["dense_path"] == "" {
		t.Errorf("%v", f)
	}
	if o := succeed(t, "version"); !strings.Contains(o.stdout, "dense kernels") {
		t.Errorf("%q", o.stdout)
	}
}

func TestListShowsTheRegistries(t *testing.T) {
	var l struct {
		Problems, Solvers, Roots, Metrics, Formats []struct {
			Name, What string
			Methods    []string
		}
	}
	decode(t, succeed(t, "list", "--json"), &l)
	if len(l.Problems) != len(problem.List()) || len(l.Roots) != len(roots.Methods()) || len(l.Solvers) == 0 || len(l.Metrics) == 0 || len(l.Formats) == 0 {
		t.Errorf("%+v", l)
	}
	text := succeed(t, "list").stdout
	for _, p := range l.Problems {
		if p.What == "" || len(p.Methods) == 0 || !strings.Contains(text, p.Name) {
			t.Errorf("%+v", p)
		}
	}
	for _, f := range l.Formats {
		if f.What == "" {
			t.Errorf("format %s says nothing", f.Name)
		}
	}
	if one := succeed(t, "list", "roots").stdout; !strings.HasPrefix(one, "roots\n") || strings.Contains(one, "problems") {
		t.Errorf("%q", one)
	}
}

func TestCheckInstall(t *testing.T) {
	var c struct {
		Passed bool
		Checks []struct{ Name string }
	}
	decode(t, succeed(t, "check", "install", "--json"), &c)
	if !c.Passed || len(c.Checks) < 5 {
		t.Errorf("%+v", c)
	}
}

func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir := filepath.Join(t.TempDir(), "demo")
	var d struct {
		Passed    bool
		Seed      uint64
		Distances [][]float64
		ToMean    []float64 `json:"distances_to_mean"`
		Mean      solved
		Root      struct{ Residual float64 }
		Checks    []struct {
			Name   string
			Passed bool
		}
		Report string
	}
	decode(t, succeed(t, "demo", "--json", "--out", dir, "--seed", "3"), &d)
	if !d.Passed || d.Seed != 3 || len(d.Distances) != 10 || len(d.ToMean) != 10 || !d.Mean.Converged || d.Mean.N != 196 || d.Root.Residual > 1e-10 {
		t.Errorf("%+v", d)
	}
	page, err := os.ReadFile(d.Report)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(page); strings.Count(s, "<rect") != 90 || !strings.Contains(s, "triangle inequality") || strings.Contains(s, "http") {
		t.Errorf("report of %d bytes, %d cells", len(s), strings.Count(s, "<rect"))
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"solve", "--help"}, {"help", "root"}} {
		if o := succeed(t, args...); !strings.Contains(o.stdout, "Usage:") || o.stderr != "" {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

// Every command shows examples, and they are command lines that it accepts.
func TestExamplesOfHelpAreAccepted(t *testing.T) {
	root := (&app{}).command()
	var all []*cobra.Command
	for _, c := range append(root.Commands(), root) {
		if c.Name() != "help" && c.Name() != "completion" && !c.Hidden {
			all = append(all, c)
		}
	}
	for _, c := range all {
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s has no example or description", c.Name())
		}
		for line := range strings.Lines(c.Example) {
			words := strings.Fields(line)
			if words[0] != "spdopt" {
				t.Errorf("example %q", line)
				continue
			}
			found, rest, err := (&app{}).command().Find(words[1:])
			if err != nil {
				t.Errorf("example %q: %v", line, err)
				continue
			}
			found.InitDefaultHelpFlag()
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("example %q: %v", line, err)
			}
			if found.Args == nil {
				continue
			}
			if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("example %q: %v", line, err)
			}
		}
	}
}

func TestNumbersInJSON(t *testing.T) {
	for want, v := range map[string]float64{`"NaN"`: math.NaN(), `"Infinity"`: math.Inf(1), `"-Infinity"`: math.Inf(-1), "0.1": 0.1, "1e-300": 1e-300, "3": 3} {
		b, err := json.Marshal(num(v))
		if err != nil || string(b) != want {
			t.Errorf("%v: %s, %v", v, b, err)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"mean", "logdet", "tyler"}
	for name, want := range map[string]string{"maen": "mean", "men": "mean", "taylor": "tyler", "logdte": "logdet", "xyzzy": "", "": "", "m": ""} {
		if got := nearest(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	flags := []string{"--max-evals", "--dim", "--in-flight", "--timeout", "--jobs", "--x0", "--steps"}
	for name, want := range map[string]string{"--budget": "--max-evals", "--max_fevals": "--max-evals", "--time": "--timeout", "--workers": "--jobs", "--start": "--x0",
		"--dimm": "--dim", "--iterations": "--steps", "--steps": "--steps", "--sigma": "", "budget": "", "": ""} {
		if got := nearest(name, flags); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abcd", "acbd", 1}} {
		if got := typingErrors(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestProgress(t *testing.T) {
	for _, c := range []struct {
		mode            string
		terminal, quiet bool
		want            string
	}{
		{"auto", false, false, ""},
		{"auto", true, false, "\r\x1b[Kstep 1\r\x1b[K"},
		{"auto", true, true, ""},
		{"plain", false, false, "step 1\n"},
		{"none", true, false, ""},
	} {
		var errs strings.Builder
		a := &app{err: &errs, progress: c.mode, terminal: c.terminal, quiet: c.quiet}
		p := a.newProgress()
		p.last = time.Now().Add(time.Minute)
		p.show("step %d", 0)
		p.last = time.Now().Add(-time.Second)
		p.show("step %d", 1)
		p.clear()
		if errs.String() != c.want {
			t.Errorf("%+v: %q", c, errs.String())
		}
	}
}
