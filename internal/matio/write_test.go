package matio

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// awkward holds numbers that lose bits in any sloppy text form.
func awkward() dense.Matrix[float64] {
	return dense.Wrap(2, 3, []float64{0.1, -1e-308, math.MaxFloat64, math.SmallestNonzeroFloat64, 1.0 / 3, math.Copysign(0, -1)})
}

func requireSame(t *testing.T, got Matrix, want dense.Matrix[float64]) {
	t.Helper()
	if got.Rows != want.Rows || got.Cols != want.Cols {
		t.Fatalf("shape %dx%d, want %dx%d", got.Rows, got.Cols, want.Rows, want.Cols)
	}
	for i := range want.Rows {
		for j := range want.Cols {
			if math.Float64bits(got.At(i, j)) != math.Float64bits(want.At(i, j)) {
				t.Fatalf("element (%d,%d) = %v, want %v", i, j, got.At(i, j), want.At(i, j))
			}
		}
	}
}

func written() []Format {
	return slices.DeleteFunc(Formats(), func(f Format) bool { return !f.Written() })
}

func TestFormatsThatAreOnlyRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.mat")
	_, err := Create(Target{Path: path})
	requireError(t, err, path, "mat files are read, not written; use one of npy, npz, safetensors, mtx, csv, tsv, json")
}

func TestRoundTripIsExact(t *testing.T) {
	wide := dense.New[float64](4, 5)
	view := wide.View(1, 1, 2, 3)
	view.Copy(awkward())
	symmetric := dense.Wrap(2, 2, []float64{1, 0.1, 0.1, 3})
	for _, f := range written() {
		for name, m := range map[string]dense.Matrix[float64]{"view": view, "symmetric": symmetric} {
			path := filepath.Join(t.TempDir(), "x."+string(f))
			if err := Write(Target{Path: path}, m); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			all := readAll(t, path)
			if len(all) != 1 {
				t.Fatalf("%s %s: %d matrices", f, name, len(all))
			}
			requireSame(t, all[0], m)
		}
	}
}

func TestStacksRoundTrip(t *testing.T) {
	for _, f := range []Format{NPY, NPZ, Safetensors, JSON} {
		for count := 1; count <= 3; count++ {
			path := filepath.Join(t.TempDir(), "x."+string(f))
			w, err := Create(Target{Path: path, Stack: true})
			if err != nil {
				t.Fatal(err)
			}
			for range count {
				if err := w.Add("", awkward()); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
			all, many, err := ReadAll(Source{Paths: []string{path}}, Check{})
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			if len(all) != count || many != (f != NPZ && f != Safetensors || count > 1) {
				t.Errorf("%s: %d matrices, many %v, want %d", f, len(all), many, count)
			}
			for _, m := range all {
				requireSame(t, m, awkward())
			}
		}
	}
}

func TestNpyIsByteForByteWhatNumpyWrites(t *testing.T) {
	for _, file := range []string{"v1.npy", "stack.npy"} {
		path := filepath.Join("testdata", file)
		all, many, err := ReadAll(Source{Paths: []string{path}}, Check{})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w, err := Create(Target{Path: "-", Format: NPY, Stack: many, Stdout: &out})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if err := w.Add("", m.Matrix); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s differs from numpy's", file)
		}
	}
}

// onlyFiles demands that dir holds exactly the named files, so that no temporary file is left behind.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}

func TestFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.npy")
	old := dense.Wrap(1, 1, []float64{42})
	if err := Write(Target{Path: path}, old); err != nil {
		t.Fatal(err)
	}
	nan := dense.Wrap(1, 2, []float64{1, math.NaN()})
	err := Write(Target{Path: path}, nan)
	requireError(t, err, path, "matrix has NaN at row 0, column 1")
	onlyFiles(t, dir, "x.npy")
	requireSame(t, readAll(t, path)[0], old)

	w, err := Create(Target{Path: path, Stack: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add("", awkward()); err != nil {
		t.Fatal(err)
	}
	requireSame(t, readAll(t, path)[0], old)
	requireError(t, w.Add("", old), path, "result 1 is 1 x 1, the first is 2 x 3, so they make no stack; write to an .npz file")
	w.Abort()
	onlyFiles(t, dir, "x.npy")
	requireSame(t, readAll(t, path)[0], old)
}

func TestUnwritableTargets(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, "plain", "x")
	for _, c := range []struct{ path, want string }{
		{filepath.Join(dir, "none", "x.npy"), "cannot write: there is no directory"},
		{filepath.Join(file, "x.npy"), "cannot write"},
		{dir + "/d.npy", "cannot write: it is a directory"},
		{filepath.Join(dir, "x.xyz"), "the format cannot be told"},
		{"-", "the format cannot be told"},
	} {
		if strings.HasSuffix(c.path, "d.npy") {
			if err := os.Mkdir(c.path, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Create(Target{Path: c.path})
		name := c.path
		if name == "-" {
			name = "standard output"
		}
		requireError(t, err, name, c.want)
	}
}

func TestDevicesAreWrittenNotReplaced(t *testing.T) {
	if err := Write(Target{Path: os.DevNull, Format: CSV}, awkward()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s became a file: %v", os.DevNull, err)
	}
	err := Write(Target{Path: "/dev/full", Format: CSV}, awkward())
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no /dev/full here")
	}
	requireError(t, err, "/dev/full", "cannot write: no space left on device")
}

func TestOneMatrixFormats(t *testing.T) {
	for _, f := range []Format{MTX, CSV, TSV} {
		path := filepath.Join(t.TempDir(), "x."+string(f))
		w, err := Create(Target{Path: path, Stack: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add("", awkward()); err != nil {
			t.Fatal(err)
		}
		requireError(t, w.Add("", awkward()), path, "holds one matrix, not a stack; write to an .npy or .npz file")
		w.Abort()
	}
	for _, f := range written() {
		dir := t.TempDir()
		path := filepath.Join(dir, "x."+string(f))
		w, err := Create(Target{Path: path, Stack: true})
		if err != nil {
			t.Fatal(err)
		}
		requireError(t, w.Commit(), path, "no result to write")
		onlyFiles(t, dir)
	}
}

func TestArchiveNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npz")
	w, err := Create(Target{Path: path, Stack: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Add("cov", awkward()), w.Add("", awkward())); err != nil {
		t.Fatal(err)
	}
	requireError(t, w.Add("cov", awkward()), path, `two results are named "cov"`)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	all := readAll(t, path)
	if all[0].Name != "cov" || all[1].Name != "arr_1" {
		t.Errorf("names %q, %q", all[0].Name, all[1].Name)
	}
}
