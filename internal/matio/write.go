package matio

import (
	"bytes"
	"errors"
	"io"

	"github.com/spdopt/spdopt/internal/atomicfile"
	"github.com/spdopt/spdopt/internal/dense"
)

// Target says where and how results are written.
type Target struct {
	Path   string    // "-" writes to Stdout
	Format Format    // "" decides by extension; needed for "-"
	Stack  bool      // write an m x n x n stack (npy, json) or an archive (npz, safetensors), even for one matrix
	Stdout io.Writer // where "-" goes; needed for "-"
}

// Writer writes matrices through an atomicfile.File: the target is never half written, and keeps its old content if anything fails before
// Commit.
type Writer struct {
	target Target
	label  string
	file   *atomicfile.File // nil for "-"
	memory bytes.Buffer     // collects what goes to "-"
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
	if !w.target.Format.Written() {
		return nil, badf(w.label, "%s files are read, not written", w.target.Format).try("use one of %s", formatList(Format.Written))
	}
	if t.Path == "-" && t.Stdout == nil {
		return nil, badf(w.label, "not given to write to")
	}
	var out io.Writer = &w.memory
	if t.Path != "-" {
		f, err := atomicfile.Create(t.Path)
		if err != nil {
			return nil, SystemError(w.label, "write", err)
		}
		w.file, out = f, f
	}
	w.enc = newEncoder(w.target.Format, out, t.Stack)
	return w, nil
}

// Add writes one matrix. name is used by npz and safetensors; "" stands for arr_0, arr_1, ... as numpy names them. A matrix with NaN or Inf is refused.
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
	return SystemError(w.label, "write", err)
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
		_, err = w.memory.WriteTo(w.target.Stdout)
	} else if _, err = w.file.WriteAt(head, 0); err == nil {
		err = w.file.Commit()
	}
	if err != nil {
		w.Abort()
		return SystemError(w.label, "write", err)
	}
	return nil
}

// Abort removes the temporary file; after Commit it does nothing.
func (w *Writer) Abort() {
	if w.file != nil {
		w.file.Abort()
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
