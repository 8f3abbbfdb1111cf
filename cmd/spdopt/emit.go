package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/atomicfile"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/run"
)

// schema is the version of every JSON object: fields are added, never renamed.
const schema = 1

// printable is the size up to which a matrix is printed among the results.
const printable = 10

// num is a float64 that JSON can hold whatever its value: NaN and infinities become strings.
type num = run.Num

// printJSON prints one object on standard output.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// rows is a matrix as a JSON array of rows.
func rows(s *mat.SymDense) json.RawMessage { return matio.AppendRows(nil, full(s)) }

// full returns the symmetric s as a row-major matrix of its own.
func full(s *mat.SymDense) dense.Matrix[float64] {
	var d mat.Dense
	d.CloneFrom(s)
	return dense.Of(d.RawMatrix())
}

// pairs prints aligned lines of name and value.
func (a *app) pairs(lines ...[2]string) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		if l[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", l[0], l[1])
		}
	}
	w.Flush()
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// printMatrix prints a small matrix for reading.
func (a *app) printMatrix(m dense.Matrix[float64]) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i := range m.Rows {
		for _, v := range m.Row(i) {
			fmt.Fprintf(w, "%.6g\t", v)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

// writeWhole writes a file whole or not at all.
func writeWhole(path string, text []byte) error {
	return writeWith(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// writeWith writes a file that appears only when it is whole.
func writeWith(path string, write func(io.Writer) error) error {
	file, err := reserve(path)
	if err != nil {
		return err
	}
	defer file.Abort()
	return fill(file, path, write)
}

// reserve creates the file that a flag names before anything is computed, so that a run does not end with finding that it can't be written; nil for "".
// Commit makes it appear, Abort leaves nothing behind.
func reserve(path string) (*atomicfile.File, error) {
	if path == "" {
		return nil, nil
	}
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, cannotWrite(path, err)
	}
	return file, nil
}

// fill writes a file that was reserved, if any.
func fill(file *atomicfile.File, path string, write func(io.Writer) error) error {
	if file == nil {
		return nil
	}
	if err := write(file); err != nil {
		return err
	}
	if err := file.Commit(); err != nil {
		return cannotWrite(path, err)
	}
	return nil
}

// asJSON writes v as one JSON object.
func asJSON(v any) func(io.Writer) error {
	return func(w io.Writer) error { return json.NewEncoder(w).Encode(v) }
}

// cannotWrite says why a file could not be written, as an error of that file.
func cannotWrite(path string, err error) error {
	e := matio.SystemError(path, "write", err)
	e.Try = "choose another place"
	return e
}
