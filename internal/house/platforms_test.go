package house

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOtherPlatforms type-checks every package, from source and without cgo, for the platforms of the release that are not this one: nothing there may need the assembly of this
// one, a C compiler or a system call of Linux. A processor without any assembly stands for all others. It costs a tenth of compiling for them.
func TestOtherPlatforms(t *testing.T) {
	if testing.Short() {
		t.Skip("reads the standard library for several platforms")
	}
	for _, c := range []struct {
		system, machine string
		tests           bool // of the packages too
		packages        string
		least           int // number of packages of this module
	}{{"linux", "arm64", true, "./...", 40}, {"darwin", "arm64", false, "./...", 40}, {"windows", "amd64", false, "./...", 40}, {"linux", "riscv64", true, "./internal/dense", 1}} {
		t.Run(c.system+"/"+c.machine, func(t *testing.T) {
			packages, err := listFor(c.system, c.machine, c.packages, c.tests)
			if err != nil {
				t.Fatal(err)
			}
			if n := checkPackages(t, packages, c.machine); n < c.least {
				t.Errorf("only %d packages of this module were checked", n)
			}
		})
	}
}

// listed is what `go list` says of a package, or of the variant of one that tests see.
type listed struct {
	ImportPath, Dir, Name string
	GoFiles, SFiles       []string
	Imports               []string
	ImportMap             map[string]string
	Module                *struct{ Main bool }
}

// listFor returns packages and what they import, dependencies first.
func listFor(system, machine, pattern string, tests bool) (packages []listed, err error) {
	list := exec.Command("go", "list", "-deps", fmt.Sprintf("-test=%v", tests), "-json=ImportPath,Dir,Name,GoFiles,SFiles,Imports,ImportMap,Module", pattern)
	list.Dir, list.Stderr = root, os.Stderr
	list.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+machine, "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// checkPackages checks the types of packages in their order, of this module's with the bodies of functions, and returns how many those were.
func checkPackages(t *testing.T, packages []listed, machine string) (own int) {
	files := token.NewFileSet()
	checked := map[string]*types.Package{"unsafe": types.Unsafe}
	for _, p := range packages {
		ours := p.Module != nil && p.Module.Main
		if p.ImportPath == "unsafe" || strings.HasSuffix(p.ImportPath, ".test") {
			continue
		}
		var parsed []*ast.File
		for _, name := range p.GoFiles {
			if !filepath.IsAbs(name) {
				name = filepath.Join(p.Dir, name)
			}
			f, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
		}
		config := types.Config{
			IgnoreFuncBodies: !ours,
			FakeImportC:      true,
			Sizes:            types.SizesFor("gc", machine),
			Importer: importerFunc(func(path string) (*types.Package, error) {
				if to, mapped := p.ImportMap[path]; mapped {
					path = to
				}
				if q := checked[path]; q != nil {
					return q, nil
				}
				return nil, fmt.Errorf("%s was not listed before %s", path, p.ImportPath)
			}),
			Error: func(err error) {
				if ours {
					t.Error(err)
				}
			},
		}
		path, _, _ := strings.Cut(p.ImportPath, " ")
		checked[p.ImportPath], _ = config.Check(path, files, parsed, nil)
		if ours {
			own++
			if len(p.SFiles) == 0 {
				wantBodies(t, files, parsed)
			}
		}
	}
	return own
}

// wantBodies reports functions without a body, which a package without assembly cannot have.
func wantBodies(t *testing.T, files *token.FileSet, parsed []*ast.File) {
	for _, f := range parsed {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body == nil {
				t.Errorf("%s: %s has no body", files.Position(fn.Pos()), fn.Name.Name)
			}
		}
	}
}

type importerFunc func(path string) (*types.Package, error)

// Import implements types.Importer.
func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }
