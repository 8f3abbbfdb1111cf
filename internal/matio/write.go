package matio

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spdopt/spdopt/internal/dense"
)

// Target says where and how results are written.
type Target struct {
	Path   string    // "-" writes to Stdout
	Format Format    // "" decides by extension; needed for "-"
	Stack  bool      // write an m x n x n stack (npy, json) or an archive (npz), even for one matrix
	Stdout io.Writer // what "-" writes; nil means os.Stdout
}

// Writer writes matrices to a temporary file beside the target and moves it into place on Commit: the target is never half written, and
// keeps its old content if anything fails before.
type Writer struct {
	target Target
	label  string
	file   *os.File      // the temporary file, or nil when the target is not a regular file
	memory *bytes.Buffer // collects what goes to a pipe or device
	real   string        // where the file goes, symbolic links resolved
	enc    encoder
	count  int
}

// encoder writes matrices in one format.
type encoder interface {
	add(name string, m dense.Matrix[float64]) error
	// finish completes the file and returns bytes to overwrite its beginning with, if any.
	finish() (head []byte, err error)
}

// Create checks that the target can be written, and opens it. Commit or Abort must be called. Errors are *Error.
func Create(t Target) (*Writer, error) {
	w := &Writer{target: t, label: t.Path}
	if t.Path == "-" {
		w.label = "standard output"
	}
	if w.target.Format == "" {
		w.target.Format = FormatOf(t.Path)
	}
	if w.target.Format == "" {
		return nil, badf(w.label, "the format cannot be told").try("use an extension such as .npy, or say it with --format")
	}
	if err := w.open(); err != nil {
		return nil, err
	}
	out := io.Writer(w.memory)
	if w.file != nil {
		out = w.file
	}
	w.enc = newEncoder(w.target.Format, out, t.Stack)
	return w, nil
}

func (w *Writer) open() error {
	if w.target.Path == "-" {
		w.memory = new(bytes.Buffer)
		return nil
	}
	w.real = w.target.Path
	if p, err := filepath.EvalSymlinks(w.real); err == nil {
		w.real = p
	}
	mode := fs.FileMode(0o666)
	info, err := os.Stat(w.real)
	switch {
	case err == nil && info.IsDir():
		return badf(w.label, "cannot write: it is a directory")
	case err == nil && !info.Mode().IsRegular():
		w.memory = new(bytes.Buffer)
		return nil
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return systemError(w.label, "write", err)
	}
	dir := filepath.Dir(w.real)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return badf(w.label, "cannot write: there is no directory %s", dir)
	}
	var id [6]byte
	rand.Read(id[:])
	temp := filepath.Join(dir, "."+filepath.Base(w.real)+"."+hex.EncodeToString(id[:])+".tmp")
	w.file, err = os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return systemError(w.label, "write", err)
	}
	return nil
}

// Add writes one matrix. name is used by npz; "" stands for arr_0, arr_1, ... as numpy names them. A matrix with NaN or Inf is refused.
func (w *Writer) Add(name string, m dense.Matrix[float64]) error {
	if w.count > 0 && !w.target.Stack {
		return badf(w.label, "more than one result for a file of one matrix")
	}
	check := Matrix{Matrix: m, File: w.label, Name: name, Index: -1}
	if w.target.Stack {
		check.Index = w.count
	}
	if err := Finite(&check); err != nil {
		return err
	}
	if err := w.enc.add(name, m); err != nil {
		return w.failed(err)
	}
	w.count++
	return nil
}

// failed words an error of the encoder or the system.
func (w *Writer) failed(err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.File = w.label
		return e
	}
	return systemError(w.label, "write", err)
}

// Commit completes the file, forces it to the disk and moves it into place.
func (w *Writer) Commit() error {
	head, err := w.enc.finish()
	if err != nil {
		w.Abort()
		return w.failed(err)
	}
	if w.file == nil {
		copy(w.memory.Bytes(), head)
		return w.flush()
	}
	temp := w.file.Name()
	_, err = w.file.WriteAt(head, 0)
	err = errors.Join(err, w.file.Sync())
	err = errors.Join(err, w.file.Close())
	if err == nil {
		err = os.Rename(temp, w.real)
	}
	if err != nil {
		os.Remove(temp)
		return systemError(w.label, "write", err)
	}
	w.file = nil
	return w.syncDirectory()
}

// syncDirectory makes the rename itself durable.
func (w *Writer) syncDirectory() error {
	d, err := os.Open(filepath.Dir(w.real))
	if err != nil {
		return systemError(w.label, "write", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return systemError(w.label, "write", err)
	}
	return nil
}

func (w *Writer) flush() error {
	out := w.target.Stdout
	if w.target.Path != "-" {
		f, err := os.OpenFile(w.real, os.O_WRONLY, 0)
		if err != nil {
			return systemError(w.label, "write", err)
		}
		defer f.Close()
		out = f
	} else if out == nil {
		out = os.Stdout
	}
	if _, err := w.memory.WriteTo(out); err != nil {
		return systemError(w.label, "write", err)
	}
	return nil
}

// Abort removes the temporary file; after Commit it does nothing.
func (w *Writer) Abort() {
	if w.file != nil {
		w.file.Close()
		os.Remove(w.file.Name())
		w.file = nil
	}
}

// Write writes one matrix to t: Create, Add and Commit in one call.
func Write(t Target, m dense.Matrix[float64]) error {
	w, err := Create(t)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := w.Add("", m); err != nil {
		return err
	}
	return w.Commit()
}
