//go:build unix

package filelock

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := open(), open()
	defer second.Close()
	for _, c := range []struct {
		f    *os.File
		busy bool
	}{{first, false}, {second, true}, {first, false}} {
		if busy, err := Try(c.f); err != nil || busy != c.busy {
			t.Errorf("busy %v, %v; want %v", busy, err, c.busy)
		}
	}
	first.Close()
	if busy, err := Try(second); err != nil || busy {
		t.Errorf("after the first was closed: busy %v, %v", busy, err)
	}
}
