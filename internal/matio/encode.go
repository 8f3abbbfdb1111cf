package matio

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/spdopt/spdopt/internal/dense"
)

func newEncoder(f Format, w io.Writer, stack bool) encoder {
	switch f {
	case NPY:
		return &npyEncoder{w: bufio.NewWriterSize(w, 1<<16), stack: stack}
	case NPZ:
		return &npzEncoder{zip: zip.NewWriter(w), names: arrayNames{}}
	case Safetensors:
		return &tensorEncoder{w: bufio.NewWriterSize(w, 1<<16), names: arrayNames{}}
	case JSON:
		return &jsonEncoder{w: bufio.NewWriterSize(w, 1<<16), stack: stack}
	case MTX:
		return &textEncoder{w: bufio.NewWriterSize(w, 1<<16), write: writeMarket, format: f}
	case TSV:
		return &textEncoder{w: bufio.NewWriterSize(w, 1<<16), write: writeRows('\t'), format: f}
	}
	return &textEncoder{w: bufio.NewWriterSize(w, 1<<16), write: writeRows(','), format: f}
}

// writeElements writes a row major as little-endian float64.
func writeElements(w *bufio.Writer, a dense.Matrix[float64]) error {
	b := make([]byte, 8*a.Cols)
	for i := range a.Rows {
		for j, v := range a.Row(i) {
			binary.LittleEndian.PutUint64(b[8*j:], math.Float64bits(v))
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// npyEncoder writes a header for no matrices and has it replaced at the end, when their number is known.
type npyEncoder struct {
	w                 *bufio.Writer
	stack             bool
	count, rows, cols int
}

func (e *npyEncoder) shape() []int {
	if e.stack {
		return []int{e.count, e.rows, e.cols}
	}
	return []int{e.rows, e.cols}
}

func (e *npyEncoder) add(_ string, m dense.Matrix[float64]) error {
	if e.count == 0 {
		e.rows, e.cols = m.Rows, m.Cols
		if _, err := e.w.Write(npyHeaderBytes(e.shape())); err != nil {
			return err
		}
	}
	if m.Rows != e.rows || m.Cols != e.cols {
		return (&Error{What: fmt.Sprintf("result %d is %d x %d, the first is %d x %d, so they make no stack", e.count, m.Rows, m.Cols, e.rows, e.cols)}).
			try("write to an .npz file")
	}
	e.count++
	return writeElements(e.w, m)
}

func (e *npyEncoder) finish() ([]byte, error) {
	if e.count == 0 {
		return nil, &Error{What: "no result to write"}
	}
	return npyHeaderBytes(e.shape()), e.w.Flush()
}

// arrayNames are the names that are taken in an archive.
type arrayNames map[string]bool

// take returns name, or for "" one as numpy gives them: arr_0, arr_1, ...
func (n arrayNames) take(name string) (string, error) {
	if name == "" {
		name = "arr_" + strconv.Itoa(len(n))
	}
	if n[name] {
		return "", &Error{What: fmt.Sprintf("two results are named %q", name)}
	}
	n[name] = true
	return name, nil
}

type npzEncoder struct {
	zip   *zip.Writer
	names arrayNames
}

func (e *npzEncoder) add(name string, m dense.Matrix[float64]) error {
	name, err := e.names.take(name)
	if err != nil {
		return err
	}
	w, err := e.zip.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<16)
	if _, err := b.Write(npyHeaderBytes([]int{m.Rows, m.Cols})); err != nil {
		return err
	}
	if err := writeElements(b, m); err != nil {
		return err
	}
	return b.Flush()
}

func (e *npzEncoder) finish() ([]byte, error) {
	if len(e.names) == 0 {
		return nil, &Error{What: "no result to write"}
	}
	return nil, e.zip.Close()
}

// textEncoder writes formats that hold a single matrix.
type textEncoder struct {
	w      *bufio.Writer
	write  func(w *bufio.Writer, m dense.Matrix[float64]) error
	format Format
	count  int
}

func (e *textEncoder) add(_ string, m dense.Matrix[float64]) error {
	if e.count++; e.count > 1 {
		return (&Error{What: fmt.Sprintf("a %s file holds one matrix, not a stack", e.format)}).try("write to an .npy or .npz file")
	}
	return e.write(e.w, m)
}

func (e *textEncoder) finish() ([]byte, error) {
	if e.count == 0 {
		return nil, &Error{What: "no result to write"}
	}
	return nil, e.w.Flush()
}

// appendNumber appends the shortest text that reads back as v.
func appendNumber(b []byte, v float64) []byte { return strconv.AppendFloat(b, v, 'g', -1, 64) }

func writeRows(separator byte) func(*bufio.Writer, dense.Matrix[float64]) error {
	return func(w *bufio.Writer, m dense.Matrix[float64]) error {
		var b []byte
		for i := range m.Rows {
			b = appendRow(b[:0], m.Row(i), separator)
			if _, err := w.Write(append(b, '\n')); err != nil {
				return err
			}
		}
		return nil
	}
}

func appendRow(b []byte, row []float64, separator byte) []byte {
	for j, v := range row {
		if j > 0 {
			b = append(b, separator)
		}
		b = appendNumber(b, v)
	}
	return b
}

// writeMarket writes array format, the lower triangle only if the matrix is exactly symmetric.
func writeMarket(w *bufio.Writer, m dense.Matrix[float64]) error {
	symmetry := "symmetric"
	if !exactlySymmetric(m) {
		symmetry = "general"
	}
	fmt.Fprintf(w, "%s matrix array real %s\n%d %d\n", marketBanner, symmetry, m.Rows, m.Cols)
	var b []byte
	for j := range m.Cols {
		start := 0
		if symmetry == "symmetric" {
			start = j
		}
		for i := start; i < m.Rows; i++ {
			b = append(appendNumber(b[:0], m.At(i, j)), '\n')
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
	}
	return nil
}

func exactlySymmetric(m dense.Matrix[float64]) bool {
	if m.Rows != m.Cols {
		return false
	}
	for i := range m.Rows {
		for j := range i {
			if m.At(i, j) != m.At(j, i) {
				return false
			}
		}
	}
	return true
}

// jsonEncoder writes rows, or for a stack an array of such arrays.
type jsonEncoder struct {
	w     *bufio.Writer
	stack bool
	count int
}

func (e *jsonEncoder) add(_ string, m dense.Matrix[float64]) error {
	var b []byte
	switch {
	case e.stack && e.count == 0:
		b = append(b, '[')
	case e.stack:
		b = append(b, ",\n"...)
	}
	e.count++
	b = AppendRows(b, m)
	_, err := e.w.Write(b)
	return err
}

func (e *jsonEncoder) finish() ([]byte, error) {
	if e.count == 0 {
		return nil, &Error{What: "no result to write"}
	}
	if e.stack {
		e.w.WriteByte(']')
	}
	e.w.WriteByte('\n')
	return nil, e.w.Flush()
}

// AppendRows appends m as a JSON array of rows, one to a line, with the shortest numbers that read back exactly. The elements must be finite.
func AppendRows(b []byte, m dense.Matrix[float64]) []byte {
	for i := range m.Rows {
		if i == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ",\n"...)
		}
		b = append(appendRow(append(b, '['), m.Row(i), ','), ']')
	}
	return append(b, ']')
}
