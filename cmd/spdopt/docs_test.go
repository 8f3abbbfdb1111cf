package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
)

var updateDocs = flag.Bool("update-docs", false, "write docs/spd-reference.md instead of comparing with it")

const docsFile = "../../docs/spd-reference.md"

// docsTables is what docs/spd-reference.md holds: a table of every registry of the SPD front end.
func docsTables() string {
	var b strings.Builder
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	row := func(cells ...string) {
		for i, c := range cells {
			cells[i] = cell(c)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	head := func(title string, cells ...string) {
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		row(cells...)
		fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(cells)))
	}
	b.WriteString("# Problems, solvers and geometries of SPD matrices\n\nFrom the registries: `go test ./cmd/spdopt -run Docs -update-docs` writes this page, and a test compares.\n")
	head("Problems: `spdopt solve NAME`", "name", "what", "input", "methods, the default first", "resume", "metrics", "flags")
	for _, p := range problem.List() {
		flags := ""
		if len(p.Uses) > 0 {
			flags = "--" + strings.Join(p.Uses, ", --")
		}
		row(p.Name, p.What, p.Input, strings.Join(methodNames(p), ", "), strings.Join(p.Resumable(), ", "), strings.Join(p.Metrics(), ", "), flags)
	}
	head("Methods of single problems", "problem", "method", "what")
	for _, p := range problem.List() {
		for _, m := range p.Own {
			row(p.Name, m.Name, m.What)
		}
	}
	head("Solvers", "name", "what", "needs")
	for _, s := range append(solve.Solvers(), solve.Special()...) {
		row(s.Name, s.What, s.Needs)
	}
	head("Metrics and distances", "name", "what")
	for _, g := range manifold.Metrics() {
		row(g.Name, g.What)
	}
	for _, c := range manifold.Comparisons() {
		row(c.Name, c.What)
	}
	head("Means that no metric belongs to: `spdopt solve mean --metric NAME`", "name", "what")
	for _, m := range manifold.Averages() {
		row(m.Name, m.What)
	}
	head("Spaces", "name", "what")
	for _, s := range manifold.Spaces() {
		row(s.Name, s.What)
	}
	return b.String()
}

// TestDocs holds docs/spd-reference.md against the registries.
func TestDocs(t *testing.T) {
	want := docsTables()
	if *updateDocs {
		if err := os.WriteFile(docsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(docsFile)
	if err != nil || string(have) != want {
		t.Errorf("docs/spd-reference.md is not what the registries say (%v): go test ./cmd/spdopt -run Docs -update-docs", err)
	}
}
