package solve

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/spdopt/spdopt/manifold"
)

// State is everything that a solver needs to go on: the point, the gradient, counters, stopping history and the solver's own memory. It is
// what Options.Checkpoint is given and Options.Restore takes. A run that is restored from a State on the same build, with the same
// manifold, objective and options, continues with the bits of the run that was not interrupted.
type State struct {
	data []byte
}

var (
	_ encoding.BinaryMarshaler   = (*State)(nil)
	_ encoding.BinaryUnmarshaler = (*State)(nil)
)

// StateError says that a state cannot be used.
type StateError struct {
	What string
}

// Error states what is wrong.
func (e *StateError) Error() string { return "solve: state: " + e.What }

const (
	stateMagic = "SPDSLV1\n"
	crcLen     = 4
	maxBlock   = 1 << 40
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// MarshalBinary returns the state as bytes with a checksum. A copy: the state may be used again afterwards.
func (s *State) MarshalBinary() ([]byte, error) {
	if len(s.data) == 0 {
		return nil, &StateError{"empty"}
	}
	return append([]byte(nil), s.data...), nil
}

// UnmarshalBinary replaces s by the state in data. Data that are truncated, damaged or from another format are a *StateError and leave s alone.
func (s *State) UnmarshalBinary(data []byte) error {
	if len(data) < len(stateMagic)+crcLen || string(data[:len(stateMagic)]) != stateMagic {
		return &StateError{"the data do not start with the header of a solver's state"}
	}
	end := len(data) - crcLen
	if crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		return &StateError{"the checksum does not match: the data are truncated or damaged"}
	}
	s.data = append([]byte(nil), data...)
	return nil
}

// codec writes a list of fields to buf, or reads the same list from it.
type codec struct {
	buf  []byte
	read bool
	err  error
}

func (c *codec) fail(format string, args ...any) {
	if c.err == nil {
		c.err = &StateError{fmt.Sprintf(format, args...)}
	}
}

func (c *codec) word(v *uint64) {
	switch {
	case !c.read:
		c.buf = binary.LittleEndian.AppendUint64(c.buf, *v)
	case c.err != nil:
	case len(c.buf) < 8:
		c.fail("it ends too early; it was written by another version or another solver")
	default:
		*v, c.buf = binary.LittleEndian.Uint64(c.buf), c.buf[8:]
	}
}

func (c *codec) float(v *float64) {
	bits := math.Float64bits(*v)
	c.word(&bits)
	if *v = math.Float64frombits(bits); *v != *v {
		c.fail("a number is NaN")
	}
}

func (c *codec) integer(v *int) {
	bits := uint64(*v)
	c.word(&bits)
	*v = int(bits)
}

func (c *codec) flag(v *bool) {
	var bits uint64
	if *v {
		bits = 1
	}
	c.word(&bits)
	*v = bits == 1
}

// vector takes the numbers of v, whose length must be the same when it is read.
func (c *codec) vector(v []float64) {
	n := len(v)
	c.integer(&n)
	if n != len(v) {
		c.fail("a vector of length %d where this run has %d; use the same size, solver and options", n, len(v))
		return
	}
	for i := range v {
		c.float(&v[i])
	}
}

// block takes a string of bytes of any length.
func (c *codec) block(b *[]byte) {
	n := len(*b)
	c.integer(&n)
	switch {
	case !c.read:
		c.buf = append(c.buf, *b...)
	case c.err != nil:
	case n < 0 || n > maxBlock || n > len(c.buf):
		c.fail("a block of %d bytes where %d are left", n, len(c.buf))
	default:
		*b, c.buf = c.buf[:n:n], c.buf[n:]
	}
}

// opaque takes a value that marshals itself, such as a point or a random source.
func (c *codec) opaque(what string, v any) {
	var b []byte
	if !c.read {
		m, ok := v.(encoding.BinaryMarshaler)
		if !ok {
			c.fail("%s of type %T does not marshal", what, v)
			return
		}
		var err error
		if b, err = m.MarshalBinary(); err != nil {
			c.fail("%s: %v", what, err)
		}
	}
	c.block(&b)
	if c.read && c.err == nil {
		u, ok := v.(encoding.BinaryUnmarshaler)
		if !ok {
			c.fail("%s of type %T does not unmarshal", what, v)
		} else if err := u.UnmarshalBinary(b); err != nil {
			c.fail("%s: %v", what, err)
		}
	}
}

// identity takes a value that must be the same in the run that reads it.
func (c *codec) identity(what, v string) {
	b := []byte(v)
	c.block(&b)
	if c.err == nil && string(b) != v {
		c.fail("%s is %q, this run has %q", what, b, v)
	}
}

// point takes the solver's name, the length of tangent vectors and the current point, which the rest of the state belongs to.
func (c *codec) point(name string, vectorLen int, p manifold.Point) {
	c.identity("the solver", name)
	n := vectorLen
	if c.integer(&n); n != vectorLen {
		c.fail("tangent vectors of length %d, this run has %d", n, vectorLen)
	}
	if c.err == nil {
		c.opaque("a point", p)
	}
}

// counters takes what the stopping criteria look at.
func (c *codec) counters(s *Status) {
	for _, v := range []*int{&s.Iteration, &s.Evaluations, &s.HessianProducts, &s.since} {
		c.integer(v)
	}
	for _, v := range []*float64{&s.Cost, &s.GradientNorm, &s.GradientScale, &s.StepNorm, &s.best} {
		c.float(v)
	}
	elapsed := int(s.Elapsed)
	c.integer(&elapsed)
	s.Elapsed = time.Duration(elapsed)
}

// open starts to read a state.
func (s *State) open() (*codec, error) {
	if len(s.data) == 0 {
		return nil, &StateError{"empty"}
	}
	return &codec{buf: s.data[len(stateMagic) : len(s.data)-crcLen], read: true}, nil
}

// save fills s with what fields writes.
func (s *State) save(fields func(*codec)) error {
	c := &codec{buf: append(s.data[:0], stateMagic...)}
	fields(c)
	s.data = binary.LittleEndian.AppendUint32(c.buf, crc32.Checksum(c.buf, castagnoli))
	return c.err
}

// close checks that everything was read.
func (c *codec) close() error {
	if c.err == nil && len(c.buf) != 0 {
		c.fail("%d bytes too long; it was written by another version or another solver", len(c.buf))
	}
	return c.err
}
