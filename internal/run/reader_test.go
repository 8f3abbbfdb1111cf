package run

import (
	"os"
	"path/filepath"
	"testing"
)

func lines(t *testing.T, r *Reader, kinds ...string) (found []int) {
	t.Helper()
	for e, err := range r.New(kinds...) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, e.Line)
	}
	return found
}

// TestReaderFollows: every event is seen once, a line that is being written when it is whole.
func TestReaderFollows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	r, err := Create(dir, Manifest{Verb: "minimize", Name: "x"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	reader := NewReader(dir)
	for k := range 3 {
		if err := r.Event("iter", map[string]int{"step": k}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, reader, "iter"); len(got) != 3 {
		t.Fatalf("lines %v, want three", got)
	}
	if got := lines(t, reader, "iter"); got != nil {
		t.Fatalf("lines %v again", got)
	}
	journal := filepath.Join(dir, journalFile)
	if err := r.Event("iter", map[string]int{"step": 3}); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journal, whole[:len(whole)-5], 0o644); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, reader); got != nil {
		t.Fatalf("lines %v of a line that is not whole", got)
	}
	if err := os.WriteFile(journal, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, reader, "iter"); len(got) != 1 {
		t.Fatalf("lines %v, want the last one", got)
	}
}
