package house

import (
	"go/ast"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// features says how many rows the table of features in a package's comment has, and which features of the field they answer.
var features = []struct {
	dir   string
	row   *regexp.Regexp
	count int
	tests []string // other folders whose tests the table names
}{
	{"nnopt/curvature", regexp.MustCompile(`(?m)^\t[aei]-\d+`), 13 + 14 + 1, []string{"internal/kronecker"}},
	{"nnopt/laplace", regexp.MustCompile(`(?m)^\ti-\d+ `), 11, []string{"nnopt/curvature"}},
	{"nnopt/influence", regexp.MustCompile(`(?m)^\tf-\d+`), 11, nil},
}

var testName = regexp.MustCompile(`Test[A-Z]\w+`)

// TestFeatureTables: every feature has a row, and every test that a table names exists.
func TestFeatureTables(t *testing.T) {
	for _, f := range features {
		comment := packageComment(t, f.dir)
		if rows := f.row.FindAllString(comment, -1); len(rows) != f.count {
			t.Errorf("%s: the table has %d rows, want %d", f.dir, len(rows), f.count)
		}
		known := testsIn(t, append([]string{f.dir}, f.tests...))
		for _, name := range testName.FindAllString(comment, -1) {
			if !known[name] {
				t.Errorf("%s: the table names %s, which is no test", f.dir, name)
			}
		}
	}
}

func packageComment(t *testing.T, dir string) string {
	t.Helper()
	for _, f := range goFiles(t) {
		if f.dir == dir && filepath.Base(f.path) == "doc.go" {
			return f.ast.Doc.Text()
		}
	}
	t.Fatalf("%s has no doc.go", dir)
	return ""
}

// testsIn returns the names of the tests of packages.
func testsIn(t *testing.T, dirs []string) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, f := range goFiles(t) {
		for _, dir := range dirs {
			if !f.test || f.dir != dir {
				continue
			}
			for _, d := range f.ast.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
					known[fn.Name.Name] = true
				}
			}
		}
	}
	return known
}
