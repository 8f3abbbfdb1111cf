package house

import (
	"go/ast"
	"go/doc"
	"strings"
	"testing"
)

// TestExamplesRun: an example without an output is compiled and never run.
func TestExamplesRun(t *testing.T) {
	for _, f := range goFiles(t) {
		if !f.test {
			continue
		}
		for _, e := range doc.Examples(f.ast) {
			if e.Output == "" && !e.EmptyOutput {
				t.Errorf("%s: Example%s has no output", f.path, e.Name)
			}
		}
	}
}

// TestEntryPointsHaveExamples: the examples of a package call every exported function of it. The device's packages are left out: their examples need the driver.
func TestEntryPointsHaveExamples(t *testing.T) {
	shown := map[string]map[string]bool{} // by folder: the names in files with examples
	for _, f := range goFiles(t) {
		if !f.test || len(doc.Examples(f.ast)) == 0 {
			continue
		}
		if shown[f.dir] == nil {
			shown[f.dir] = map[string]bool{}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				shown[f.dir][id.Name] = true
			}
			return true
		})
	}
	functions := 0
	for _, f := range goFiles(t) {
		if f.test || f.main || f.gen || strings.Contains("/"+f.dir+"/", "/internal/") || strings.HasPrefix(f.dir, "cuda") {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.IsExported() {
				functions++
				if !shown[f.dir][fn.Name.Name] {
					t.Errorf("%s: no example of %s.%s", f.at(fn.Pos()), f.ast.Name.Name, fn.Name.Name)
				}
			}
		}
	}
	if functions < 200 {
		t.Errorf("only %d functions were found", functions)
	}
}
