package matio

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	marketBanner = "%%MatrixMarket"
	// The size of a coordinate file says nothing about its dimensions, so the dense matrix made from it is bounded: beyond sparseFree elements
	// there must be as many entries as rows or columns (a regular matrix has them), and sparseMax is never passed.
	sparseFree = 1 << 22
	sparseMax  = 1 << 28
)

// marketReader reads the MatrixMarket exchange format (Boisvert, Pozo, Remington, NISTIR 5935).
type marketReader struct {
	lines      lineReader
	file       string
	pattern    bool
	symmetry   string
	rows, cols int
	fields     [][]byte
}

type marketEntry struct {
	row, col, line int
	value          float64
}

func readMarket(r *bufio.Reader, file string) (decoder, error) {
	m := &marketReader{lines: lineReader{r: r}, file: file}
	coordinate, err := m.banner()
	if err != nil {
		return nil, err
	}
	nnz, err := m.size(coordinate)
	if err != nil {
		return nil, err
	}
	var a dense.Matrix[float64]
	if coordinate {
		a, err = m.coordinate(nnz)
	} else {
		a, err = m.array()
	}
	if err != nil {
		return nil, err
	}
	return &single{m: Matrix{Matrix: a, File: file, Index: -1}}, nil
}

func (m *marketReader) banner() (coordinate bool, err error) {
	line, err := m.lines.next()
	if err != nil && err != io.EOF {
		return false, SystemError(m.file, "read", err)
	}
	words := strings.Fields(strings.ToLower(string(line)))
	if len(words) != 5 || words[0] != strings.ToLower(marketBanner) || words[1] != "matrix" {
		return false, badf(m.file, `line 1 is not a MatrixMarket banner such as "%%%%MatrixMarket matrix array real symmetric"`)
	}
	switch words[2] {
	case "array":
	case "coordinate":
		coordinate = true
	default:
		return false, badf(m.file, "line 1: MatrixMarket format %q is not known; array and coordinate are", words[2])
	}
	switch words[3] {
	case "real", "double", "integer":
	case "pattern":
		m.pattern = true
		if !coordinate {
			return false, badf(m.file, "line 1: a pattern matrix must be in coordinate format")
		}
	case "complex":
		return false, badf(m.file, "the matrix is complex; only real matrices are read").try("save its real part")
	default:
		return false, badf(m.file, "line 1: MatrixMarket field %q is not known; real, integer and pattern are", words[3])
	}
	m.symmetry = words[4]
	switch m.symmetry {
	case "general", "symmetric", "skew-symmetric":
	default:
		return false, badf(m.file, "line 1: MatrixMarket symmetry %q is not read; general, symmetric and skew-symmetric are", words[4])
	}
	return coordinate, nil
}

// next splits the next line that is neither empty nor a comment into m.fields.
func (m *marketReader) next() error {
	for {
		line, err := m.lines.next()
		if err == io.EOF {
			return err
		}
		if err != nil {
			return SystemError(m.file, "read", err)
		}
		m.fields = m.fields[:0]
		for f := range bytes.FieldsSeq(line) {
			m.fields = append(m.fields, f)
		}
		if len(m.fields) > 0 && m.fields[0][0] != '%' {
			return nil
		}
	}
}

func (m *marketReader) size(coordinate bool) (nnz int, err error) {
	if err := m.next(); err == io.EOF {
		return 0, badf(m.file, "truncated: the size line is missing")
	} else if err != nil {
		return 0, err
	}
	want := 2
	if coordinate {
		want = 3
	}
	var dims [3]int
	if len(m.fields) != want {
		return 0, badf(m.file, "line %d: the size line has %d numbers, not %d", m.lines.number, len(m.fields), want)
	}
	for k, f := range m.fields {
		d, err := strconv.Atoi(string(f))
		if err != nil || d < 0 {
			return 0, badf(m.file, "line %d: %.40q is not a size", m.lines.number, f)
		}
		dims[k] = d
	}
	m.rows, m.cols, nnz = dims[0], dims[1], dims[2]
	total, ok := product(1, m.rows, m.cols)
	switch {
	case total == 0 && ok:
		return 0, badf(m.file, "the matrix is empty: %d x %d", m.rows, m.cols)
	case !ok, coordinate && total > sparseMax:
		return 0, badf(m.file, "line %d: a %d x %d matrix is too large to be held dense", m.lines.number, m.rows, m.cols)
	case coordinate && total > sparseFree && nnz < max(m.rows, m.cols):
		return 0, badf(m.file, "line %d: a %d x %d matrix of %d entries is too empty to be held dense", m.lines.number, m.rows, m.cols, nnz)
	case m.symmetry != "general" && m.rows != m.cols:
		return 0, badf(m.file, "line %d: a %s matrix cannot be %d x %d", m.lines.number, m.symmetry, m.rows, m.cols)
	case coordinate && int64(nnz) > total:
		return 0, badf(m.file, "line %d: %d entries do not fit into a %d x %d matrix", m.lines.number, nnz, m.rows, m.cols)
	}
	return nnz, nil
}

// array reads the values of a dense matrix, which come column by column, for symmetric matrices the lower triangle only.
func (m *marketReader) array() (dense.Matrix[float64], error) {
	want := m.rows * m.cols
	switch m.symmetry {
	case "symmetric":
		want = m.rows * (m.rows + 1) / 2
	case "skew-symmetric":
		want = m.rows * (m.rows - 1) / 2
	}
	var none dense.Matrix[float64]
	var values []float64
	for {
		err := m.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return none, err
		}
		for _, f := range m.fields {
			v, ok := number(f)
			if !ok {
				return none, badf(m.file, "line %d: %.40q is not a number", m.lines.number, f)
			}
			values = append(values, v)
		}
		if len(values) > want {
			return none, badf(m.file, "line %d: more values than the %d of a %s %d x %d matrix", m.lines.number, want, m.symmetry, m.rows, m.cols)
		}
	}
	if len(values) < want {
		return none, badf(m.file, "truncated: %d of %d values are there", len(values), want)
	}
	a := dense.New[float64](m.rows, m.cols)
	k := 0
	for j := range m.cols {
		start := 0
		switch m.symmetry {
		case "symmetric":
			start = j
		case "skew-symmetric":
			start = j + 1
		}
		for i := start; i < m.rows; i++ {
			m.put(a, i, j, values[k])
			k++
		}
	}
	return a, nil
}

func (m *marketReader) put(a dense.Matrix[float64], i, j int, v float64) {
	a.Set(i, j, v)
	switch {
	case i == j:
	case m.symmetry == "symmetric":
		a.Set(j, i, v)
	case m.symmetry == "skew-symmetric":
		a.Set(j, i, -v)
	}
}

func (m *marketReader) coordinate(nnz int) (dense.Matrix[float64], error) {
	var none dense.Matrix[float64]
	var entries []marketEntry
	for {
		err := m.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return none, err
		}
		if len(entries) == nnz {
			return none, badf(m.file, "line %d: more entries than the %d that the size line promises", m.lines.number, nnz)
		}
		e, err := m.entry()
		if err != nil {
			return none, err
		}
		entries = append(entries, e)
	}
	if len(entries) < nnz {
		return none, badf(m.file, "truncated: %d of %d entries are there", len(entries), nnz)
	}
	if err := m.unique(entries); err != nil {
		return none, err
	}
	a := dense.New[float64](m.rows, m.cols)
	for _, e := range entries {
		m.put(a, e.row, e.col, e.value)
	}
	return a, nil
}

func (m *marketReader) entry() (marketEntry, error) {
	e := marketEntry{line: m.lines.number, value: 1}
	want := 3
	if m.pattern {
		want = 2
	}
	if len(m.fields) != want {
		return e, badf(m.file, "line %d: an entry has %d numbers, not %d", e.line, want, len(m.fields))
	}
	i, err1 := strconv.Atoi(string(m.fields[0]))
	j, err2 := strconv.Atoi(string(m.fields[1]))
	if err1 != nil || err2 != nil || i < 1 || j < 1 || i > m.rows || j > m.cols {
		return e, badf(m.file, "line %d: entry (%s, %s) lies outside a %d x %d matrix", e.line, m.fields[0], m.fields[1], m.rows, m.cols)
	}
	e.row, e.col = i-1, j-1
	if !m.pattern {
		v, ok := number(m.fields[2])
		if !ok {
			return e, badf(m.file, "line %d: %.40q is not a number", e.line, m.fields[2])
		}
		e.value = v
	}
	if m.symmetry == "skew-symmetric" && i == j {
		return e, badf(m.file, "line %d: a skew-symmetric matrix has no diagonal entries", e.line)
	}
	return e, nil
}

// unique demands that no element is given twice; in a symmetric file (i, j) and (j, i) are the same element.
func (m *marketReader) unique(entries []marketEntry) error {
	key := func(e marketEntry) int {
		if m.symmetry != "general" && e.row < e.col {
			return e.col*m.cols + e.row
		}
		return e.row*m.cols + e.col
	}
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b marketEntry) int {
		return cmp.Or(cmp.Compare(key(a), key(b)), cmp.Compare(a.line, b.line))
	})
	for k := 1; k < len(sorted); k++ {
		if a, b := sorted[k-1], sorted[k]; key(a) == key(b) {
			return badf(m.file, "line %d: entry (%d, %d) is already given on line %d", b.line, b.row+1, b.col+1, a.line).
				try("sum or remove the duplicates")
		}
	}
	return nil
}
