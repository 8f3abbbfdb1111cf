package house

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/spdopt/spdopt"

// mayImport lists, for each package of the module, the packages of the module that its non-test files may import. Imports point down only:
// commands use everything, front ends use the core and never each other, the core knows no front end.
var mayImport = map[string][]string{
	"internal/absent":                     {},
	"internal/atomicfile":                 {},
	"internal/filelock":                   {},
	"internal/browser":                    {},
	"internal/allocs":                     {},
	"internal/loopback":                   {},
	"internal/golden":                     {},
	"internal/httpguard":                  {},
	"internal/jsonfloat":                  {},
	"internal/monitor":                    {"internal/report", "internal/run"},
	"internal/dashboard":                  {"internal/httpguard", "internal/monitor", "internal/report", "internal/run"},
	"internal/cputime":                    {},
	"internal/digits":                     {"internal/dense", "internal/matio"},
	"internal/report":                     {},
	"internal/run":                        {"internal/atomicfile", "internal/filelock", "internal/jsonfloat"},
	"internal/objective":                  {"internal/jsonfloat"},
	"internal/distribute":                 {"internal/jsonfloat", "internal/objective", "internal/run"},
	"internal/dense":                      {},
	"internal/eigen":                      {"internal/dense"},
	"internal/gallery":                    {"internal/dense"},
	"internal/matio":                      {"internal/jsonfloat", "internal/dense", "internal/eigen", "internal/atomicfile", "internal/safetensors"},
	"gonumblas":                           {"internal/dense"},
	"spectral":                            {"internal/absent", "internal/dense", "internal/eigen"},
	"internal/matfun":                     {"internal/dense", "internal/engine"},
	"roots":                               {"internal/absent", "internal/dense", "internal/eigen", "internal/engine", "internal/matfun", "spectral"},
	"roots/bench":                         {"internal/cputime", "internal/dense", "roots"},
	"manifold":                            {"internal/absent", "internal/dense", "internal/eigen", "spectral"},
	"manifold/solve":                      {"internal/dense", "manifold"},
	"manifold/learn":                      {"internal/absent", "internal/dense", "internal/eigen", "manifold"},
	"manifold/problem":                    {"internal/absent", "internal/dense", "internal/eigen", "internal/engine", "internal/matfun", "spectral", "roots", "manifold", "manifold/learn", "manifold/solve", "manifold/problem/internal/bound", "manifold/problem/internal/design", "manifold/problem/internal/iteration", "manifold/problem/internal/gram", "manifold/problem/internal/itml", "manifold/problem/internal/mixture", "manifold/problem/internal/quadric"},
	"manifold/problem/internal/bound":     {},
	"manifold/problem/internal/design":    {"internal/dense", "manifold", "manifold/solve", "manifold/problem/internal/bound", "manifold/problem/internal/gram", "manifold/problem/internal/iteration"},
	"manifold/problem/internal/gram":      {"internal/dense", "internal/eigen", "manifold"},
	"manifold/problem/internal/iteration": {"manifold", "manifold/solve"},
	"manifold/problem/internal/itml":      {"internal/dense", "internal/eigen", "manifold", "manifold/solve", "manifold/problem/internal/bound", "manifold/problem/internal/gram", "manifold/problem/internal/iteration"},
	"manifold/problem/internal/mixture":   {"internal/dense", "manifold", "manifold/solve", "manifold/problem/internal/gram", "manifold/problem/internal/iteration"},
	"manifold/problem/internal/quadric":   {"internal/dense"},
	"esadapt":                             {"internal/dense", "internal/eigen", "spectral"},
	"esadapt/bbob":                        {"internal/dense"},
	"esadapt/bench":                       {"internal/jsonfloat", "esadapt", "esadapt/bbob"},
	"esadapt/serve":                       {"esadapt", "internal/httpguard", "internal/atomicfile", "internal/jsonfloat"},
	"testdata":                            {},

	"manifold/problem/bench": {"internal/cputime", "internal/dense", "internal/gallery", "manifold/solve", "manifold/problem"},

	"internal/safetensors":       {},
	"internal/kronecker":         {"internal/dense", "internal/eigen"},
	"internal/engine":            {"internal/dense"},
	"internal/engine/enginetest": {"internal/dense", "internal/engine"},
	"cuda":                       {"internal/dense", "internal/engine", "cuda/internal/blas", "cuda/internal/dl", "cuda/kernels"},
	"cuda/cshared":               {"cuda"},
	"cuda/devicetest":            {"cuda", "internal/dense", "internal/engine", "internal/matfun", "manifold/problem", "nnopt", "nnopt/net", "nnopt/train", "roots"},
	"cuda/internal/blas":         {},
	"cuda/internal/dl":           {},
	"cuda/internal/emu":          {"cuda/internal/dl"},
	"cuda/kernels":               {},
	"nnopt":                      {"internal/jsonfloat", "internal/dense", "internal/eigen", "internal/engine", "internal/kronecker", "internal/matfun", "internal/safetensors"},
	"nnopt/net":                  {"internal/dense", "internal/engine", "nnopt"},
	"nnopt/curvature":            {"internal/dense", "internal/eigen", "internal/kronecker", "spectral", "nnopt", "nnopt/net"},
	"nnopt/data":                 {"internal/dense", "internal/matio"},
	"nnopt/train":                {"internal/dense", "internal/engine", "internal/safetensors", "internal/atomicfile", "internal/matio", "internal/report", "nnopt", "nnopt/net", "nnopt/data"},
	"nnopt/algoperf":             {"internal/jsonfloat", "internal/dense", "internal/cputime", "internal/filelock", "internal/matio", "internal/report", "nnopt", "nnopt/net", "nnopt/data"},
	"nnopt/influence":            {"internal/dense", "internal/eigen", "internal/safetensors", "nnopt", "nnopt/net", "nnopt/curvature"},
	"nnopt/laplace":              {"internal/dense", "internal/eigen", "internal/kronecker", "nnopt", "nnopt/net", "nnopt/curvature"},
}

// testsMayImport lists what test files may import on top of mayImport: processor time, sources of test matrices, and the problems that show the solvers at work.
var testsMayImport = []string{"internal/allocs", "internal/browser", "internal/cputime", "internal/golden", "internal/gallery", "internal/loopback", "internal/matio", "testdata", "internal/engine/enginetest", "cuda/internal/emu", "cuda/kernels", "manifold/solve", "manifold/problem", "esadapt/bbob"}

// testsOf lists what the test files of one package may import beside that: the optimizers that its twins on a device are held to, the decomposition as the oracle of matrix functions
// and solutions, the factor that the preconditioner's steps are those of.
var testsOf = map[string][]string{
	"cuda":             {"nnopt"},
	"internal/matfun":  {"internal/eigen"},
	"internal/gallery": {"internal/eigen"},
	"manifold/solve":   {"internal/eigen"},
	"nnopt":            {"spectral"},
}

func TestImportsPointDown(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.main || f.dir == "internal/house" || strings.HasPrefix(f.dir, "cmd/") {
			continue
		}
		allowed, known := mayImport[f.dir]
		if !known {
			t.Errorf("%s: package %q is not in the import table; add it with the packages it may import", f.path, f.dir)
			continue
		}
		allowed = append([]string{f.dir}, allowed...)
		if f.test {
			allowed = append(append(allowed, testsMayImport...), testsOf[f.dir]...)
		}
		for _, spec := range f.ast.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if rel, ours := strings.CutPrefix(path, module+"/"); ours && !slices.Contains(allowed, rel) {
				t.Errorf("%s imports %s; package %q may import only %v", f.path, rel, f.dir, allowed)
			}
		}
	}
}

// TestImportTableIsExact: the table says no more than what is there, so that it shows what a package knows.
func TestImportTableIsExact(t *testing.T) {
	there, used := map[string]bool{}, map[string]bool{}
	for _, f := range goFiles(t) {
		there[f.dir] = true
		if f.test && f.dir != "cuda/devicetest" { // that is tests only
			continue
		}
		for _, spec := range f.ast.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			used[f.dir+" "+strings.TrimPrefix(path, module+"/")] = true
		}
	}
	for dir, allowed := range mayImport {
		if !there[dir] {
			t.Errorf("the import table has %q, which is no package", dir)
		}
		for _, path := range allowed {
			if !used[dir+" "+path] {
				t.Errorf("package %q may import %s and does not; take it out of the table", dir, path)
			}
		}
	}
}

// TestOnlyCudaImportsTheDriver: gorgonia.org/cu needs cgo and a header; nothing but package cuda may depend on it.
func TestOnlyCudaImportsTheDriver(t *testing.T) {
	found := false
	for _, f := range goFiles(t) {
		for _, spec := range f.ast.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if path != "gorgonia.org/cu" && path != "C" {
				continue
			}
			found = true
			if f.dir != "cuda" && !strings.HasPrefix(f.dir, "cuda/") {
				t.Errorf("%s imports %q", f.path, path)
			}
		}
	}
	if !found {
		t.Error("no file imports gorgonia.org/cu: the files of package cuda are not seen")
	}
}

func TestLibrariesDoNotPrint(t *testing.T) {
	banned := map[string]bool{
		"fmt.Print": true, "fmt.Printf": true, "fmt.Println": true,
		"os.Stdout": true, "os.Stderr": true, "os.Exit": true,
		"log.Print": true, "log.Printf": true, "log.Println": true, "log.Fatal": true, "log.Fatalf": true,
	}
	for _, f := range goFiles(t) {
		if f.main || f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if pkg, ok := n.X.(*ast.Ident); ok && banned[pkg.Name+"."+n.Sel.Name] {
					t.Errorf("%s uses %s.%s; libraries return values and errors", f.at(n.Pos()), pkg.Name, n.Sel.Name)
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "println" || id.Name == "print") {
					t.Errorf("%s uses the builtin %s", f.at(n.Pos()), id.Name)
				}
			}
			return true
		})
	}
}
