package matio

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
)

// npyReader walks over the matrices of one npy array.
type npyReader struct {
	r          io.Reader
	file, name string
	elem       element
	stack      bool
	rows, cols int
	count      int
	done       int
	trusted    bool         // the size was compared with the file
	columns    *columnMajor // set for Fortran order
}

// columnMajor holds a whole Fortran-ordered array, because its matrices interleave.
type columnMajor struct {
	data  []float64
	count int
}

// newNPYReader reads the header of an array, which must be 2-d or 3-d, or with vectors 1-d. size is the number of bytes that r still holds,
// or -1 if that is not known.
func newNPYReader(r io.Reader, file, name string, size int64, vectors bool) (*npyReader, error) {
	head, used, err := readNPYHeader(r, file)
	if err != nil {
		return nil, err
	}
	elem, err := parseElement(head.descr)
	if err != nil {
		return nil, badf(file, "%s %v", arrayName(name), err)
	}
	n := &npyReader{r: r, file: file, name: name, elem: elem, count: 1}
	if vectors && len(head.shape) == 1 {
		head.shape = []int{1, head.shape[0]}
	}
	switch len(head.shape) {
	case 2:
		n.rows, n.cols = head.shape[0], head.shape[1]
	case 3:
		n.stack, n.count, n.rows, n.cols = true, head.shape[0], head.shape[1], head.shape[2]
	default:
		e := badf(file, "%s has shape %s; a matrix or a stack of matrices has 2 or 3 axes", arrayName(name), shapeString(head.shape))
		if name != "" {
			e = e.try("pick the array to read with %s:NAME", file)
		}
		return nil, e
	}
	total, ok := product(int64(elem.size), head.shape...)
	if !ok {
		return nil, badf(file, "%s claims shape %s, which no file can hold", arrayName(name), shapeString(head.shape))
	}
	if total == 0 {
		return nil, badf(file, "%s is empty: shape %s", arrayName(name), shapeString(head.shape))
	}
	if size >= 0 {
		if err := n.compareSize(head, total, size-used); err != nil {
			return nil, err
		}
		n.trusted = true
	}
	if head.fortran {
		if err := n.loadColumnMajor(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *npyReader) compareSize(head npyHeader, want, have int64) error {
	switch {
	case have < want:
		return badf(n.file, "truncated: shape %s of %s needs %d bytes of data, the file holds %d", shapeString(head.shape), n.elem.name, want, have)
	case have > want:
		return n.trailing(have - want)
	}
	return nil
}

func (n *npyReader) trailing(extra int64) error {
	more := fmt.Sprintf("%d bytes", extra)
	if extra < 0 {
		more = "more bytes"
	}
	return badf(n.file, "%s follow the data of the array", more).try("save one array per file")
}

func (n *npyReader) many() bool { return n.stack }

func (n *npyReader) next() (Matrix, error) {
	if n.done == n.count {
		if n.trusted {
			return Matrix{}, io.EOF
		}
		if k, err := io.ReadFull(n.r, make([]byte, 1)); k > 0 {
			return Matrix{}, n.trailing(-1)
		} else if err != io.EOF {
			return Matrix{}, SystemError(n.file, "read", err)
		}
		return Matrix{}, io.EOF
	}
	m := Matrix{File: n.file, Name: n.name, Index: -1}
	if n.stack {
		m.Index = n.done
	}
	if n.columns != nil {
		m.Matrix = n.columns.matrix(n.done, n.rows, n.cols)
	} else {
		data, err := n.read(n.rows*n.cols, m.Subject())
		if err != nil {
			return Matrix{}, err
		}
		m.Matrix = dense.Wrap(n.rows, n.cols, data)
	}
	n.done++
	return m, nil
}

func (n *npyReader) read(count int, what string) ([]float64, error) {
	data, err := n.elem.read(n.r, count, n.trusted)
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		return nil, badf(n.file, "truncated: %s needs %d elements, only %d are there", what, count, len(data))
	}
	if err != nil {
		return nil, SystemError(n.file, "read", err)
	}
	return data, nil
}

func (n *npyReader) loadColumnMajor() error {
	data, err := n.read(n.count*n.rows*n.cols, arrayName(n.name))
	n.columns = &columnMajor{data: data, count: n.count}
	return err
}

func (c *columnMajor) matrix(index, rows, cols int) dense.Matrix[float64] {
	m := dense.New[float64](rows, cols)
	for j := range cols {
		for i := range rows {
			m.Data[i*cols+j] = c.data[index+c.count*(i+rows*j)]
		}
	}
	return m
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
