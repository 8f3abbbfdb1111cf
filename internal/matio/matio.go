// Package matio reads and writes dense float64 matrices: npy (versions 1 to 3), npz, safetensors, MatrixMarket, CSV/TSV and JSON rows; MAT files of level
// 5, and IDX for images, are read.
//
// Whatever the file holds (column-major, big-endian, float16, integers) comes out row major in float64. A file may hold one matrix or a
// stack of them; Stream walks over all matrices of all files one at a time, ReadAll loads them. Everything a file claims about its size is
// compared with what is there before memory is taken for it.
//
// Data is checked where it enters: Check demands shape, finiteness, symmetry and positive definiteness, and repairs what the user asked to
// have repaired. Problems with a file are returned as *Error; matrices, rows and columns are counted from 0 as in NumPy, lines of text
// from 1.
package matio

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
)

// Format names a file format.
type Format string

// The formats that are read, and but for MAT written. TSV and CSV are one reader, which finds the separator itself; they differ in writing.
const (
	NPY         Format = "npy"
	NPZ         Format = "npz"
	Safetensors Format = "safetensors"
	MAT         Format = "mat"
	MTX         Format = "mtx"
	CSV         Format = "csv"
	TSV         Format = "tsv"
	JSON        Format = "json"
)

// Formats lists all formats in the order in which messages name them.
func Formats() []Format { return []Format{NPY, NPZ, Safetensors, MAT, MTX, CSV, TSV, JSON} }

// Written reports whether files of the format are written, not only read.
func (f Format) Written() bool { return f != MAT }

// Named reports whether files of the format hold several arrays of any shapes by name and are written.
func (f Format) Named() bool { return f == NPZ || f == Safetensors }

// ParseFormat returns the format called name.
func ParseFormat(name string) (Format, error) {
	for _, f := range Formats() {
		if string(f) == name {
			return f, nil
		}
	}
	return "", fmt.Errorf("unknown format %q; use one of %s", name, formatList(nil))
}

// FormatOf returns the format that the extension of path stands for, or "".
func FormatOf(path string) Format {
	ext := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	switch {
	case slices.Contains(Formats(), Format(ext)):
		return Format(ext)
	case ext == "txt", ext == "dat":
		return CSV
	}
	return ""
}

// formatList names the formats, or those that pass only.
func formatList(only func(Format) bool) string {
	var names []string
	for _, f := range Formats() {
		if only == nil || only(f) {
			names = append(names, string(f))
		}
	}
	return strings.Join(names, ", ")
}

// Matrix is one matrix of a file together with where it came from.
type Matrix struct {
	dense.Matrix[float64]
	File  string // as the user wrote it; "standard input" for "-"
	Name  string // the array's name in an npz, MAT or safetensors file, else ""
	Index int    // position in a stack, or -1 if the array is a single matrix
}

// Subject names the matrix inside its file as messages do: "matrix", "matrix 7", `matrix "cov"`, `matrix "cov"[7]`.
func (m *Matrix) Subject() string { return subject(m.Name, m.Index) }

func subject(name string, index int) string {
	switch {
	case name != "" && index >= 0:
		return fmt.Sprintf("matrix %q[%d]", name, index)
	case name != "":
		return fmt.Sprintf("matrix %q", name)
	case index >= 0:
		return fmt.Sprintf("matrix %d", index)
	}
	return "matrix"
}

// Error is a problem with the content of a file or with reading or writing it: where, what, and what to do about it.
type Error struct {
	File string
	What string
	Try  string // the remedy, or ""
	Err  error  // the cause, or nil
}

// Error returns "file: what; try".
func (e *Error) Error() string {
	s := e.File + ": " + e.What
	if e.Try != "" {
		s += "; " + e.Try
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func badf(file, format string, args ...any) *Error {
	return &Error{File: file, What: fmt.Sprintf(format, args...)}
}

func (e *Error) try(format string, args ...any) *Error {
	e.Try = fmt.Sprintf(format, args...)
	return e
}

// SystemError words a failure of the operating system in doing something ("open", "read", "write") with a file, without repeating the path.
func SystemError(file, doing string, err error) *Error {
	cause := err
	var pe *fs.PathError
	if errors.As(err, &pe) {
		cause = pe.Err
	}
	e := badf(file, "cannot %s: %v", doing, cause)
	switch {
	case errors.Is(err, fs.ErrNotExist) && doing == "open":
		e = badf(file, "no such file")
	case errors.Is(err, fs.ErrPermission):
		e = badf(file, "cannot %s: permission denied", doing)
	}
	e.Err = err
	return e
}

// Title says in one line what the format is and holds.
func (f Format) Title() string {
	switch f {
	case NPY:
		return "NumPy array, versions 1 to 3, any real element type and order: a matrix or a stack"
	case NPZ:
		return "NumPy archive of named arrays; FILE.npz:NAME picks one"
	case Safetensors:
		return "named tensors, any real element type; FILE.safetensors:NAME picks one"
	case MAT:
		return "MATLAB variables, level 5 (-v7, -v6): full real arrays, a stack n x n x m with the matrix last; FILE.mat:NAME picks one; read, not written"
	case MTX:
		return "MatrixMarket, array or coordinate; general, symmetric or skew-symmetric: one matrix"
	case CSV:
		return "numbers separated by commas, semicolons, tabs or blanks, with or without a header: one matrix"
	case TSV:
		return "numbers separated by tabs: one matrix"
	case JSON:
		return "an array of rows, or an array of such arrays for a stack"
	}
	return ""
}
