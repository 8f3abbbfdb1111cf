package house

import (
	"go/ast"
	"go/doc"
	"path"
	"strconv"
	"strings"
	"testing"
)

// internals are the packages below an internal folder that a file imports, by the name it knows them by.
func internals(f goFile) map[string]bool {
	names := map[string]bool{}
	for _, spec := range f.ast.Imports {
		full, _ := strconv.Unquote(spec.Path.Value)
		if !strings.HasPrefix(full, module+"/") || !strings.Contains(full, "/internal/") {
			continue
		}
		name := path.Base(full)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = true
	}
	return names
}

// TestExamplesAreOfUsers: what an example shows, a user can write: it imports no internal package. That of the device shows how one is opened, which only the module does.
func TestExamplesAreOfUsers(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test && f.dir != "cuda" && !internalPath(f.dir) && strings.HasSuffix(f.ast.Name.Name, "_test") && len(doc.Examples(f.ast)) > 0 {
			for name := range internals(f) {
				t.Errorf("%s has examples and imports the internal package %s", f.path, name)
			}
		}
	}
}

// TestSignaturesAreOfUsers: no exported function, method or field has a type that is named in an internal package; exported aliases give such types a name.
func TestSignaturesAreOfUsers(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || f.main || internalPath(f.dir) {
			continue
		}
		hidden := internals(f)
		report := func(what string, n ast.Node) {
			ast.Inspect(n, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && hidden[x.Name] {
						t.Errorf("%s: %s has the type %s.%s, which no user can name", f.at(s.Pos()), what, x.Name, s.Sel.Name)
					}
				}
				return true
			})
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
					report(d.Name.Name, d.Type)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() && !s.Assign.IsValid() {
						exportedFields(s, report)
					}
				}
			}
		}
	}
}

func internalPath(dir string) bool { return strings.Contains("/"+dir+"/", "/internal/") }

// exportedFields calls report for every exported field of a struct, or method of an interface, and for any other type.
func exportedFields(s *ast.TypeSpec, report func(string, ast.Node)) {
	var list *ast.FieldList
	switch t := s.Type.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		report(s.Name.Name, t)
		return
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			if name.IsExported() {
				report(s.Name.Name+"."+name.Name, field.Type)
			}
		}
	}
}

// receiver is the name of the type of a method.
func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch u := t.(type) {
		case *ast.StarExpr:
			t = u.X
		case *ast.IndexExpr:
			t = u.X
		case *ast.IndexListExpr:
			t = u.X
		case *ast.Ident:
			return u.Name
		default:
			return ""
		}
	}
}
