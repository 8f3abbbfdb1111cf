package matio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	npyMagic     = "\x93NUMPY"
	npyHeaderMax = 1 << 16 // numpy itself refuses headers beyond 10000 characters
)

// npyHeader is the dictionary at the start of an npy file (numpy.lib.format, NEP 1).
type npyHeader struct {
	descr   string
	fortran bool
	shape   []int
}

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
			return Matrix{}, systemError(n.file, "read", err)
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
		return nil, systemError(n.file, "read", err)
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

// readNPYHeader reads magic, version and dictionary; used is the number of bytes taken.
func readNPYHeader(r io.Reader, file string) (h npyHeader, used int64, err error) {
	var pre [12]byte
	if _, err := io.ReadFull(r, pre[:10]); err != nil {
		return h, 0, badf(file, "truncated inside the npy header")
	}
	if string(pre[:6]) != npyMagic {
		return h, 0, badf(file, "not an npy file: it does not begin with \\x93NUMPY")
	}
	length, used := int(binary.LittleEndian.Uint16(pre[8:10])), int64(10)
	switch pre[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, pre[10:12]); err != nil {
			return h, 0, badf(file, "truncated inside the npy header")
		}
		length, used = int(binary.LittleEndian.Uint32(pre[8:12])), 12
	default:
		return h, 0, badf(file, "npy format version %d.%d is not known; versions 1 to 3 are", pre[6], pre[7])
	}
	if length > npyHeaderMax {
		return h, 0, badf(file, "the npy header claims %d bytes, more than any matrix needs (%d)", length, npyHeaderMax)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, 0, badf(file, "truncated inside the npy header")
	}
	h, err = parseNPYHeader(string(text))
	if err != nil {
		return h, 0, badf(file, "bad npy header: %v", err)
	}
	return h, used + int64(length), nil
}

// literal scans the subset of Python literals that numpy writes into headers.
type literal struct {
	s string
	i int
}

func parseNPYHeader(s string) (npyHeader, error) {
	p := &literal{s: s}
	var h npyHeader
	seen := map[string]bool{}
	if !p.take('{') {
		return h, p.fail("'{'")
	}
	for !p.take('}') {
		key, err := p.str()
		if err != nil {
			return h, err
		}
		if !p.take(':') {
			return h, p.fail("':'")
		}
		if seen[key] {
			return h, fmt.Errorf("key %q appears twice", key)
		}
		seen[key] = true
		switch key {
		case "descr":
			h.descr, err = p.descr()
		case "fortran_order":
			h.fortran, err = p.boolean()
		case "shape":
			h.shape, err = p.tuple()
		default:
			err = fmt.Errorf("unknown key %q", key)
		}
		if err != nil {
			return h, err
		}
		if !p.take(',') && p.peek() != '}' {
			return h, p.fail("',' or '}'")
		}
	}
	if p.peek() != 0 {
		return h, p.fail("the end")
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			return h, fmt.Errorf("key %q is missing", key)
		}
	}
	return h, nil
}

func (p *literal) fail(want string) error {
	return fmt.Errorf("expected %s at character %d", want, p.i)
}

func (p *literal) peek() byte {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
	if p.i == len(p.s) {
		return 0
	}
	return p.s[p.i]
}

func (p *literal) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.i++
	return true
}

func (p *literal) str() (string, error) {
	q := p.peek()
	if q != '\'' && q != '"' {
		return "", p.fail("a string")
	}
	end := strings.IndexByte(p.s[p.i+1:], q)
	if end < 0 {
		return "", p.fail("a closed string")
	}
	s := p.s[p.i+1 : p.i+1+end]
	p.i += end + 2
	return s, nil
}

func (p *literal) descr() (string, error) {
	if p.peek() == '[' {
		return "", fmt.Errorf("the array has a structured type; save its fields as plain arrays")
	}
	return p.str()
}

func (p *literal) boolean() (bool, error) {
	p.peek()
	switch rest := p.s[p.i:]; {
	case strings.HasPrefix(rest, "True"):
		p.i += len("True")
		return true, nil
	case strings.HasPrefix(rest, "False"):
		p.i += len("False")
		return false, nil
	}
	return false, p.fail("True or False")
}

func (p *literal) tuple() ([]int, error) {
	if !p.take('(') {
		return nil, p.fail("'('")
	}
	shape := []int{}
	for !p.take(')') {
		p.peek()
		start := p.i
		for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
			p.i++
		}
		d, err := strconv.Atoi(p.s[start:p.i])
		if err != nil {
			return nil, fmt.Errorf("bad dimension at character %d of the header", start)
		}
		shape = append(shape, d)
		p.take('L') // Python 2 wrote long integers so
		if !p.take(',') && p.peek() != ')' {
			return nil, p.fail("',' or ')'")
		}
	}
	return shape, nil
}

// element describes how one element of an array is stored.
type element struct {
	kind    byte // f, i, u, b
	size    int
	swapped bool // big-endian
	name    string
}

func parseElement(descr string) (element, error) {
	d := descr
	var e element
	if d != "" && strings.IndexByte("<>|=", d[0]) >= 0 {
		e.swapped = d[0] == '>'
		d = d[1:]
	}
	if len(d) < 1 {
		return e, fmt.Errorf("has element type %q, which is not known", descr)
	}
	size, err := strconv.Atoi(d[1:])
	if err != nil && d != "O" {
		return e, fmt.Errorf("has element type %q, which is not known", descr)
	}
	e.kind, e.size = d[0], size
	switch d {
	case "f2", "f4", "f8":
		e.name = "float" + strconv.Itoa(8*size)
	case "i1", "i2", "i4", "i8":
		e.name = "int" + strconv.Itoa(8*size)
	case "u1", "u2", "u4", "u8":
		e.name = "uint" + strconv.Itoa(8*size)
	case "b1":
		e.name = "bool"
	case "c8", "c16", "c32":
		return e, fmt.Errorf("is complex%d; only real matrices are read: save its real part (numpy.save(f, a.real))", 8*size)
	case "O":
		return e, fmt.Errorf("holds pickled Python objects, which are never loaded: save it as a numeric array (a.astype(float))")
	default:
		return e, fmt.Errorf("has element type %q, which is not read: save it as float64 (a.astype(float))", descr)
	}
	return e, nil
}

// read decodes count elements. It takes memory for all of them at once only if trusted; otherwise the result grows with what arrives, and
// on a short read the error comes with the elements so far.
func (e element) read(r io.Reader, count int, trusted bool) ([]float64, error) {
	const chunk = 1 << 13
	buf := make([]byte, min(count, chunk)*e.size)
	capacity := min(count, chunk)
	if trusted {
		capacity = count
	}
	out := make([]float64, 0, capacity)
	for len(out) < count {
		k := min(count-len(out), chunk)
		b := buf[:k*e.size]
		got, err := io.ReadFull(r, b)
		out = e.decode(slices.Grow(out, k), b[:got-got%e.size])
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// decode appends the elements in b, for which out has room; it may reverse the bytes of b in place.
func (e element) decode(out []float64, b []byte) []float64 {
	if e.swapped && e.size > 1 {
		for i := 0; i < len(b); i += e.size {
			slices.Reverse(b[i : i+e.size])
		}
	}
	le := binary.LittleEndian
	start := len(out)
	out = out[:start+len(b)/e.size]
	dst := out[start:]
	switch {
	case e.kind == 'f' && e.size == 8:
		for i := range dst {
			dst[i] = math.Float64frombits(le.Uint64(b[8*i:]))
		}
	case e.kind == 'f' && e.size == 4:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(le.Uint32(b[4*i:])))
		}
	case e.kind == 'f':
		for i := range dst {
			dst[i] = halfFloat(le.Uint16(b[2*i:]))
		}
	case e.kind == 'b':
		for i := range dst {
			dst[i] = float64(min(b[i], 1))
		}
	case e.kind == 'u':
		for i := range dst {
			dst[i] = float64(unsigned(b[i*e.size : (i+1)*e.size]))
		}
	default:
		shift := 64 - 8*e.size
		for i := range dst {
			u := unsigned(b[i*e.size : (i+1)*e.size])
			dst[i] = float64(int64(u<<shift) >> shift)
		}
	}
	return out
}

func unsigned(b []byte) uint64 {
	var u uint64
	for i := len(b) - 1; i >= 0; i-- {
		u = u<<8 | uint64(b[i])
	}
	return u
}

// halfFloat widens an IEEE 754 binary16 number.
func halfFloat(h uint16) float64 {
	exp, frac := int(h>>10&31), float64(h&1023)
	var v float64
	switch {
	case exp == 31 && frac != 0:
		return math.NaN()
	case exp == 31:
		v = math.Inf(1)
	case exp == 0:
		v = math.Ldexp(frac, -24)
	default:
		v = math.Ldexp(1024+frac, exp-25)
	}
	if h>>15 != 0 {
		v = -v
	}
	return v
}

// npyHeaderSize is the length of every header that is written: enough for any shape, and a multiple of 64 as the format asks for, so that
// the number of matrices can be filled in after they are written.
const npyHeaderSize = 128

// npyHeaderBytes returns the version 1 header of a row-major float64 array, byte for byte as numpy.save writes it.
func npyHeaderBytes(shape []int) []byte {
	var b bytes.Buffer
	b.WriteString(npyMagic + "\x01\x00")
	b.Write(binary.LittleEndian.AppendUint16(nil, npyHeaderSize-10))
	fmt.Fprintf(&b, "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }", shapeString(shape))
	for b.Len() < npyHeaderSize-1 {
		b.WriteByte(' ')
	}
	b.WriteByte('\n')
	return b.Bytes()
}
