// Package golden reads the reference numbers in testdata/golden for tests.
package golden

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Load reads the JSON file of that name in testdata/golden of the repository into the value that dst points to. It fails the test if there is no such file or it does not fit.
func Load(t testing.TB, name string, dst any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "testdata", "golden", name))
	if err == nil {
		err = json.Unmarshal(text, dst)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// root is the folder of go.mod, the working folder of the test or one above it.
func root(t testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = parent
	}
}

// Flat returns the numbers of nested lists in their order, and the lengths of the lists, the outermost first.
func Flat(t testing.TB, text json.RawMessage) (values []float64, shape []int) {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any, depth int)
	walk = func(v any, depth int) {
		list, ok := v.([]any)
		if !ok {
			values = append(values, v.(float64))
			return
		}
		if depth == len(shape) {
			shape = append(shape, len(list))
		}
		for _, e := range list {
			walk(e, depth+1)
		}
	}
	walk(v, 0)
	return values, shape
}

// ChannelsLast turns images x channels x positions into images x positions x channels.
func ChannelsLast(v []float64, images, channels int) []float64 {
	positions := len(v) / images / channels
	out := make([]float64, len(v))
	for n := range images {
		for c := range channels {
			for s := range positions {
				out[(n*positions+s)*channels+c] = v[(n*channels+c)*positions+s]
			}
		}
	}
	return out
}
