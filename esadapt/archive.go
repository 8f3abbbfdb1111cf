package esadapt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// archive reads or writes a state: every type describes its fields once, in one order, for both directions. Floats keep their bits.
type archive struct {
	buf     []byte
	reading bool
	old     bool // it is of the format before
	err     error
}

// errState is wrapped by every error about a state that cannot be loaded.
var errState = errors.New("esadapt: state")

func (a *archive) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf("%w: %s", errState, fmt.Sprintf(format, args...))
	}
}

func (a *archive) word(v *uint64) {
	switch {
	case a.err != nil:
	case !a.reading:
		a.buf = binary.LittleEndian.AppendUint64(a.buf, *v)
	case len(a.buf) < 8:
		a.fail("ends too early")
	default:
		*v = binary.LittleEndian.Uint64(a.buf)
		a.buf = a.buf[8:]
	}
}

func (a *archive) int(v *int) {
	w := uint64(int64(*v))
	a.word(&w)
	*v = int(int64(w))
}

func (a *archive) bool(v *bool) {
	var w uint64
	if *v {
		w = 1
	}
	a.word(&w)
	*v = w != 0
}

func (a *archive) float(v *float64) {
	w := math.Float64bits(*v)
	a.word(&w)
	*v = math.Float64frombits(w)
}

// length archives a length; when reading it refuses one that the rest cannot hold at size bytes an element.
func (a *archive) length(n int, size int) int {
	a.int(&n)
	if a.reading && a.err == nil && (n < 0 || n > len(a.buf)/size) {
		a.fail("length %d does not fit the %d bytes left", n, len(a.buf))
	}
	if a.err != nil {
		return 0
	}
	return n
}

// fixed archives a slice whose length the configuration determines.
func (a *archive) fixed(v []float64) {
	if n := a.length(len(v), 8); a.err == nil && n != len(v) {
		a.fail("%d numbers where %d belong", n, len(v))
	}
	for i := range v {
		if a.err != nil {
			return
		}
		a.float(&v[i])
	}
}

// floats archives a slice of any length.
func (a *archive) floats(v *[]float64) {
	n := a.length(len(*v), 8)
	if a.reading {
		*v = resize(*v, n)
	}
	for i := range (*v)[:n] {
		a.float(&(*v)[i])
	}
}

// ints archives a slice of any length.
func (a *archive) ints(v *[]int) {
	n := a.length(len(*v), 8)
	if a.reading && n > 0 {
		*v = make([]int, n)
	}
	for i := range (*v)[:n] {
		a.int(&(*v)[i])
	}
}

func (a *archive) matrix(m dense.Matrix[float64]) {
	for i := range m.Rows {
		a.fixed(m.Row(i))
	}
}

func (a *archive) bytes(v *[]byte) {
	n := a.length(len(*v), 1)
	switch {
	case a.err != nil:
	case a.reading:
		*v = append([]byte(nil), a.buf[:n]...)
		a.buf = a.buf[n:]
	default:
		a.buf = append(a.buf, *v...)
	}
}

func (a *archive) string(v *string) {
	b := []byte(*v)
	a.bytes(&b)
	*v = string(b)
}

// tag archives a marker that must read back as it was written.
func (a *archive) tag(want string) {
	got := want
	a.string(&got)
	if a.err == nil && got != want {
		a.fail("holds %q where %q belongs", got, want)
	}
}

// tagOr is tag, but when reading takes another marker too and says whether it was that one.
func (a *archive) tagOr(want, other string) bool {
	got := want
	a.string(&got)
	if a.err == nil && got != want && got != other {
		a.fail("holds %q where %q belongs", got, want)
	}
	return got == other
}

// same archives a number that must agree with the present configuration.
func (a *archive) same(what string, have int) {
	v := have
	a.int(&v)
	if a.err == nil && v != have {
		a.fail("%s is %d, here it is %d", what, v, have)
	}
}

// end returns the error of the whole pass.
func (a *archive) end() error {
	if a.reading && a.err == nil && len(a.buf) != 0 {
		a.fail("%d bytes too many", len(a.buf))
	}
	return a.err
}

// resize returns a slice of length n, reusing the memory of v where it can. Its contents are unspecified.
func resize[T any](v []T, n int) []T {
	if cap(v) < n {
		return make([]T, n)
	}
	return v[:n]
}

// archived is a type that describes its own state.
type archived interface{ archive(a *archive) }

func marshal(s archived) ([]byte, error) {
	a := &archive{}
	s.archive(a)
	return a.buf, a.err
}

func unmarshal(s archived, data []byte) error {
	a := &archive{buf: data, reading: true}
	s.archive(a)
	return a.end()
}
