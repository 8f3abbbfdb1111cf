package atomicfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestTargetChangesOnlyOnCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "xew content")
	if _, err := f.WriteAt([]byte("n"), 0); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "old" {
		t.Errorf("before Commit: %q", got)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Abort()
	if got := content(t, path); got != "new content" {
		t.Errorf("after Commit: %q", got)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	if all := names(t, dir); len(all) != 1 {
		t.Errorf("left behind: %q", all)
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "content")
	f.Abort()
	f.Abort()
	if all := names(t, dir); len(all) != 0 {
		t.Errorf("left behind: %q", all)
	}
}

// writeThrough writes to a link, which must stay one, and finds the content in the file that it leads to.
func writeThrough(t *testing.T, link, path string) {
	t.Helper()
	f, err := Create(link)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "content")
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Lstat(link); info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if got := content(t, path); got != "content" {
		t.Errorf("content %q", got)
	}
}

func TestLinksStayLinks(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "x"), filepath.Join(dir, "y")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("x", link); err != nil {
		t.Fatal(err)
	}
	writeThrough(t, link, path)
}

// TestLinksToFilesStillToBeMade stay links, too, over several steps and folders, one of which is a link itself; a link to itself is refused.
func TestLinksToFilesStillToBeMade(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "deep", "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "first")
	for at, to := range map[string]string{
		"first": filepath.Join("folder", "second"), "folder": filepath.Join("deep", "sub"),
		filepath.Join("deep", "sub", "second"): filepath.Join("..", "made"), "circle": "circle",
	} {
		if err := os.Symlink(to, filepath.Join(dir, at)); err != nil {
			t.Fatal(err)
		}
	}
	writeThrough(t, link, filepath.Join(dir, "deep", "made"))
	if f, err := Create(filepath.Join(dir, "circle")); err == nil {
		f.Abort()
		t.Error("a link to itself was written to")
	}
}

func TestDevicesAreWrittenTo(t *testing.T) {
	f, err := Create(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "content")
	if _, err := f.WriteAt([]byte("C"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s became a file", os.DevNull)
	}
}

func TestImpossibleTargets(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none", "x"), filepath.Join(file, "x")} {
		if _, err := Create(path); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

func ExampleCreate() {
	dir, err := os.MkdirTemp("", "spdopt-atomicfile-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "example")
	f, err := Create(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Abort()
	fmt.Fprint(f, "all or nothing")
	if err := f.Commit(); err != nil {
		fmt.Println(err)
	}
	b, _ := os.ReadFile(path)
	fmt.Println(string(b))
	// Output: all or nothing
}
