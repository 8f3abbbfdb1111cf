package matio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
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
