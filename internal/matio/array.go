package matio

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
)

// layout is the order in which the elements of an array follow each other.
type layout int

const (
	rowMajor    layout = iota // a stack has its matrices on the first axis
	columnMajor               // a stack has its matrices on the first axis, so that they interleave
	matlabOrder               // column major, a stack has its matrices on the last axis, so that they follow each other
)

// array says what a file claims about an array whose elements r yields.
type array struct {
	r          io.Reader
	file, name string
	elem       element
	shape      []int
	layout     layout
	size       int64        // the number of bytes of the elements, or -1 if that is not known
	trusted    bool         // so many bytes are there, so memory for them may be taken at once
	packed     int64        // the number of bytes that the array is compressed to, or 0
	end        func() error // what to demand after the last element, or nil
}

// arrayReader walks over the matrices of one array.
type arrayReader struct {
	array
	stack       bool
	rows, cols  int
	count       int
	done        int
	interleaved []float64 // the whole array, if its matrices interleave
}

// newArrayReader demands an array of 2 or 3 axes, or with vectors of 1, whose size is the one that its shape asks for.
func newArrayReader(a array, vectors bool) (*arrayReader, error) {
	if vectors && len(a.shape) == 1 {
		a.shape = []int{1, a.shape[0]}
	}
	n := &arrayReader{array: a, count: 1}
	switch len(a.shape) {
	case 2:
		n.rows, n.cols = a.shape[0], a.shape[1]
	case 3:
		n.stack, n.count, n.rows, n.cols = true, a.shape[0], a.shape[1], a.shape[2]
		if a.layout == matlabOrder {
			n.rows, n.cols, n.count = a.shape[0], a.shape[1], a.shape[2]
		}
	default:
		e := badf(a.file, "%s has shape %s; a matrix or a stack of matrices has 2 or 3 axes", arrayName(a.name), shapeString(a.shape))
		return nil, e.pick(a.name)
	}
	total, ok := product(int64(a.elem.size), a.shape...)
	if !ok {
		return nil, badf(a.file, "%s claims shape %s, which no file can hold", arrayName(a.name), shapeString(a.shape))
	}
	if total == 0 {
		return nil, badf(a.file, "%s is empty: shape %s", arrayName(a.name), shapeString(a.shape))
	}
	if err := n.compareSize(total); err != nil {
		return nil, err
	}
	if elements := total / int64(a.elem.size); a.packed > 0 && tooEmpty(elements, a.packed) {
		return nil, emptiness(a.file, arrayName(a.name), elements, a.packed)
	}
	if a.layout == columnMajor {
		data, err := n.read(n.count*n.rows*n.cols, arrayName(n.name))
		if err != nil {
			return nil, err
		}
		n.interleaved = data
	}
	return n, nil
}

func (n *arrayReader) compareSize(want int64) error {
	switch {
	case n.size < 0:
		return nil
	case n.size < want:
		what := "truncated"
		if n.name != "" {
			what = arrayName(n.name) + " is truncated"
		}
		return badf(n.file, "%s: shape %s of %s needs %d bytes of data, the file holds %d", what, shapeString(n.shape), n.elem.name, want, n.size)
	case n.size > want:
		return trailing(n.file, n.name, fmt.Sprintf("%d bytes", n.size-want))
	}
	return nil
}

func trailing(file, name, what string) error {
	e := badf(file, "%s follow the data of %s", what, arrayName(name))
	if name == "" {
		e = e.try("save one array per file")
	}
	return e
}

// atEnd demands that r holds nothing more.
func atEnd(r io.Reader, file, name string) error {
	k, err := io.ReadFull(r, make([]byte, 1))
	switch {
	case k > 0:
		return trailing(file, name, "more bytes")
	case err != io.EOF:
		return SystemError(file, "read", err)
	}
	return nil
}

// pick adds to an error about the array called name of an archive that another may be picked.
func (e *Error) pick(name string) *Error {
	if name == "" {
		return e
	}
	if e.File == stdinName {
		return e.try("give the file, with :NAME after it, to pick an array")
	}
	return e.try("pick the array to read with %s:NAME", e.File)
}

func (n *arrayReader) many() bool { return n.stack }

func (n *arrayReader) next() (Matrix, error) {
	if n.done == n.count {
		if n.end != nil {
			if err := n.end(); err != nil {
				return Matrix{}, err
			}
		}
		return Matrix{}, io.EOF
	}
	m := Matrix{File: n.file, Name: n.name, Index: -1}
	if n.stack {
		m.Index = n.done
	}
	data, first, step := n.interleaved, n.done, n.count
	if data == nil {
		var err error
		if data, err = n.read(n.rows*n.cols, m.Subject()); err != nil {
			return Matrix{}, err
		}
		first, step = 0, 1
	}
	if n.layout == rowMajor {
		m.Matrix = dense.Wrap(n.rows, n.cols, data)
	} else {
		m.Matrix = fromColumns(data, first, step, n.rows, n.cols)
	}
	n.done++
	return m, nil
}

// fromColumns collects a matrix whose elements stand in data column by column, the first at index first and each step after the one before.
func fromColumns(data []float64, first, step, rows, cols int) dense.Matrix[float64] {
	m := dense.New[float64](rows, cols)
	for j := range cols {
		for i := range rows {
			m.Data[i*cols+j] = data[first+step*(i+rows*j)]
		}
	}
	return m
}

func (n *arrayReader) read(count int, what string) ([]float64, error) {
	data, err := n.elem.read(n.r, count, n.trusted)
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		return nil, badf(n.file, "truncated: %s needs %d elements, only %d are there", what, count, len(data))
	}
	if err != nil {
		return nil, SystemError(n.file, "read", err)
	}
	return data, nil
}

func arrayName(name string) string {
	if name == "" {
		return "the array"
	}
	return fmt.Sprintf("array %q", name)
}

func shapeString(shape []int) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, d := range shape {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(d))
	}
	if len(shape) == 1 {
		b.WriteByte(',')
	}
	b.WriteByte(')')
	return b.String()
}

// product multiplies size by all dims, each >= 0; ok is false if that overflows what Go can index.
func product(size int64, dims ...int) (total int64, ok bool) {
	total = size
	for _, d := range dims {
		if d == 0 {
			return 0, true
		}
	}
	for _, d := range dims {
		if total > math.MaxInt/8/int64(d) {
			return 0, false
		}
		total *= int64(d)
	}
	return total, true
}
