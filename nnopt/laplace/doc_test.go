package laplace

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFeatureTable: every test that the table of the package comment names exists, and every feature has a row.
func TestFeatureTable(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, pattern := range []string{"*_test.go", "../curvature/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			tests.Write(text)
		}
	}
	for _, name := range regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(string(doc), -1) {
		if !strings.Contains(tests.String(), "func "+name+"(t *testing.T)") {
			t.Errorf("the table names %s, which is no test", name)
		}
	}
	if rows := regexp.MustCompile(`(?m)^//\ti-\d+ `).FindAllString(string(doc), -1); len(rows) != 11 {
		t.Errorf("%d rows", len(rows))
	}
}
