package matio

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// jsonReader reads a matrix as an array of rows, or a stack as an array of matrices; a stack is taken one matrix at a time.
type jsonReader struct {
	dec   *json.Decoder
	file  string
	stack bool
	first json.RawMessage // the first row, or the first matrix of a stack
	index int
	done  bool
}

func newJSONReader(r io.Reader, file string) (*jsonReader, error) {
	j := &jsonReader{dec: json.NewDecoder(&jsonTokens{r: bufio.NewReaderSize(r, 1<<16)}), file: file}
	t, err := j.dec.Token()
	if err != nil {
		return nil, j.bad(err)
	}
	if t != json.Delim('[') {
		return nil, badf(file, "is not an array of rows")
	}
	if !j.dec.More() {
		return nil, badf(file, "holds no rows of numbers")
	}
	if j.first, err = j.element(); err != nil {
		return nil, err
	}
	inner := bytes.TrimSpace(bytes.TrimPrefix(j.first, []byte("[")))
	j.stack = bytes.HasPrefix(inner, []byte("["))
	return j, nil
}

func (j *jsonReader) bad(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return badf(j.file, "truncated: the JSON array does not end")
	}
	e := badf(j.file, "not an array of rows of numbers: %v", jsonfloat.Fault(err))
	e.Err = err
	return e
}

// element returns the next element of the outer array as text; null, which would decode as zero, is refused.
func (j *jsonReader) element() (json.RawMessage, error) {
	var raw json.RawMessage
	if err := j.dec.Decode(&raw); err != nil {
		return nil, j.bad(err)
	}
	if bytes.Contains(raw, []byte("null")) {
		return nil, badf(j.file, "not an array of rows of numbers: it holds null")
	}
	return raw, nil
}

func (j *jsonReader) many() bool { return j.stack }

func (j *jsonReader) next() (Matrix, error) {
	if j.done {
		return Matrix{}, io.EOF
	}
	m := Matrix{File: j.file, Index: -1}
	var rows [][]float64
	if j.stack {
		m.Index = j.index
		raw := j.first
		if raw == nil {
			if !j.dec.More() {
				return Matrix{}, j.finish()
			}
			var err error
			if raw, err = j.element(); err != nil {
				return Matrix{}, err
			}
		}
		j.first = nil
		j.index++
		var err error
		if rows, err = decodeRows(raw); err != nil {
			return Matrix{}, j.bad(err)
		}
	} else {
		var err error
		if rows, err = j.rows(); err != nil {
			return Matrix{}, err
		}
	}
	var err error
	m.Matrix, err = j.pack(rows, m.Subject())
	return m, err
}

func (j *jsonReader) rows() (rows [][]float64, err error) {
	for raw := j.first; ; {
		row, err := decodeRow(raw)
		if err != nil {
			return nil, j.bad(err)
		}
		rows = append(rows, row)
		if !j.dec.More() {
			break
		}
		if raw, err = j.element(); err != nil {
			return nil, err
		}
	}
	if err := j.finish(); err != io.EOF {
		return nil, err
	}
	return rows, nil
}

// finish takes the closing bracket and demands that nothing follows; it returns io.EOF if so.
func (j *jsonReader) finish() error {
	j.done = true
	if _, err := j.dec.Token(); err != nil {
		return j.bad(err)
	}
	if _, err := j.dec.Token(); err == nil {
		return badf(j.file, "text follows the JSON array")
	} else if err != io.EOF {
		return j.bad(err)
	}
	return io.EOF
}

func (j *jsonReader) pack(rows [][]float64, what string) (dense.Matrix[float64], error) {
	var none dense.Matrix[float64]
	if len(rows) == 0 || len(rows[0]) == 0 {
		return none, badf(j.file, "%s is empty", what)
	}
	a := dense.New[float64](len(rows), len(rows[0]))
	for i, row := range rows {
		if len(row) != a.Cols {
			return none, badf(j.file, "%s: row %d has %d numbers, row 0 has %d (counting from 0)", what, i, len(row), a.Cols)
		}
		copy(a.Row(i), row)
	}
	return a, nil
}
