package curvature

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFeatureTable: every test that the table of the package comment names exists, and every feature of a and e has a row.
func TestFeatureTable(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "../../internal/kronecker/kronecker_test.go")
	var tests strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	for _, name := range regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(string(doc), -1) {
		if !strings.Contains(tests.String(), "func "+name+"(t *testing.T)") {
			t.Errorf("the table names %s, which is no test", name)
		}
	}
	rows := regexp.MustCompile(`(?m)^//\t([aei]-\d+)`).FindAllStringSubmatch(string(doc), -1)
	if len(rows) != 13+14+1 {
		t.Errorf("%d rows", len(rows))
	}
}
