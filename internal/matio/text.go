package matio

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/spdopt/spdopt/internal/dense"
)

// errNotText ends the reading of a line that might never end.
var errNotText = errors.New("it is not text: a byte is zero")

// lineReader yields lines of any length and counts them from 1.
type lineReader struct {
	r      *bufio.Reader
	number int
	long   []byte
}

// next returns the next line without its end; it is valid until the next call. The error is io.EOF after the last line.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		l.long = l.long[:0]
		for err == bufio.ErrBufferFull {
			if bytes.IndexByte(line, 0) >= 0 {
				return nil, errNotText
			}
			l.long = append(l.long, line...)
			line, err = l.r.ReadSlice('\n')
		}
		l.long = append(l.long, line...)
		line = l.long
	}
	if err != nil && (err != io.EOF || len(line) == 0) {
		return nil, err
	}
	l.number++
	return bytes.TrimRight(line, "\r\n"), nil
}

// single serves a matrix that was read whole.
type single struct {
	m    Matrix
	done bool
}

func (s *single) many() bool { return false }

func (s *single) next() (Matrix, error) {
	if s.done {
		return Matrix{}, io.EOF
	}
	s.done = true
	return s.m, nil
}

// number parses a floating-point number of any common spelling, infinities and NaN included.
func number(b []byte) (float64, bool) {
	v, err := strconv.ParseFloat(string(b), 64)
	if ne, ok := err.(*strconv.NumError); ok && ne.Err == strconv.ErrRange {
		return v, true
	}
	return v, err == nil
}

// readCSV reads numbers separated by commas, semicolons, tabs or blanks, the first of ",", ";" and tab that the first line holds deciding.
// Empty lines and lines that begin with # are skipped. A first line in which no field is a number is taken as a header.
func readCSV(r *bufio.Reader, file string) (decoder, error) {
	c := csvReader{lines: lineReader{r: r}, file: file}
	for {
		line, err := c.lines.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, SystemError(file, "read", err)
		}
		if c.lines.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if t := bytes.TrimSpace(line); len(t) == 0 || t[0] == '#' {
			continue
		}
		if err := c.add(line); err != nil {
			return nil, err
		}
	}
	if c.rows == 0 {
		return nil, badf(file, "holds no rows of numbers")
	}
	return &single{m: Matrix{Matrix: dense.Wrap(c.rows, c.cols, c.data), File: file, Index: -1}}, nil
}

type csvReader struct {
	lines      lineReader
	file       string
	separator  byte
	fields     [][]byte
	data       []float64
	rows, cols int
	first      int // line number of the row that fixed the number of columns
}

func (c *csvReader) add(line []byte) error {
	start := c.first == 0
	if start {
		c.separator = separatorOf(line)
	}
	if err := c.split(line); err != nil {
		return err
	}
	if start {
		c.first, c.cols = c.lines.number, len(c.fields)
		if c.isHeader() {
			return nil
		}
	}
	if len(c.fields) != c.cols {
		return badf(c.file, "line %d has %d fields, line %d has %d", c.lines.number, len(c.fields), c.first, c.cols)
	}
	for j, f := range c.fields {
		v, ok := number(f)
		if !ok {
			e := badf(c.file, "line %d, field %d: %.40q is not a number", c.lines.number, j+1, f)
			if j == 0 {
				e = e.try("row labels are not read: write the file without them")
			}
			return e
		}
		c.data = append(c.data, v)
	}
	c.rows++
	return nil
}

func (c *csvReader) isHeader() bool {
	for _, f := range c.fields {
		if _, ok := number(f); ok {
			return false
		}
	}
	return true
}

func separatorOf(line []byte) byte {
	for _, s := range []byte(",;\t") {
		if bytes.IndexByte(line, s) >= 0 {
			return s
		}
	}
	return ' '
}

// split cuts line into fields, which may be quoted.
func (c *csvReader) split(line []byte) error {
	c.fields = c.fields[:0]
	if c.separator == ' ' {
		for f := range bytes.FieldsSeq(line) {
			c.fields = append(c.fields, f)
		}
		return nil
	}
	for {
		field, rest := line, []byte(nil)
		if t := bytes.TrimLeft(line, " "); len(t) > 0 && t[0] == '"' {
			end := bytes.IndexByte(t[1:], '"')
			if end < 0 {
				return badf(c.file, "line %d: a quoted field does not end", c.lines.number)
			}
			field, rest = t[1:1+end], bytes.TrimLeft(t[end+2:], " ")
			if len(rest) > 0 && rest[0] != c.separator {
				return badf(c.file, "line %d: text follows a quoted field", c.lines.number)
			}
		} else if i := bytes.IndexByte(line, c.separator); i >= 0 {
			field, rest = line[:i], line[i:]
		}
		c.fields = append(c.fields, bytes.TrimSpace(field))
		if len(rest) == 0 {
			return nil
		}
		line = rest[1:]
	}
}
