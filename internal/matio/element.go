package matio

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// element describes how one element of an array is stored.
type element struct {
	kind    byte // f, i, u, b as in NumPy, and B for bfloat16
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
	case e.kind == 'B':
		for i := range dst {
			dst[i] = float64(math.Float32frombits(uint32(le.Uint16(b[2*i:])) << 16))
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
