package serve

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is the type of a JSON value.
type kind byte

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

var kindNames = [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}

// value is one JSON value. The bare tokens NaN, Infinity and -Infinity, which many languages write, are numbers.
type value struct {
	kind   kind
	truth  bool
	number float64
	text   string
	list   []value
	fields []field
}

type field struct {
	name  string
	value value
}

// get returns the last field of that name.
func (v *value) get(name string) (value, bool) {
	for i := len(v.fields) - 1; i >= 0; i-- {
		if v.fields[i].name == name {
			return v.fields[i].value, true
		}
	}
	return value{}, false
}

// parser reads one JSON text.
type parser struct {
	in  []byte
	pos int
}

// maxDepth bounds the nesting of lists and objects.
const maxDepth = 16

func parse(in []byte) (value, error) {
	p := &parser{in: in}
	v, err := p.value(0)
	if err != nil {
		return value{}, err
	}
	p.space()
	if p.pos != len(p.in) {
		return value{}, p.fail("something follows the object")
	}
	return v, nil
}

func (p *parser) fail(what string) error {
	end := min(len(p.in), p.pos+12)
	near := string(p.in[min(p.pos, len(p.in)):end])
	if near == "" {
		return fmt.Errorf("not JSON: %s at the end of the line", what)
	}
	return fmt.Errorf("not JSON: %s at character %d, near %q", what, p.pos+1, near)
}

func (p *parser) space() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// next skips white space and takes c if it comes next.
func (p *parser) next(c byte) bool {
	p.space()
	if p.pos < len(p.in) && p.in[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) word(w string) bool {
	if len(p.in)-p.pos >= len(w) && string(p.in[p.pos:p.pos+len(w)]) == w {
		p.pos += len(w)
		return true
	}
	return false
}

func (p *parser) value(depth int) (value, error) {
	if depth > maxDepth {
		return value{}, p.fail("nested too deeply")
	}
	p.space()
	if p.pos == len(p.in) {
		return value{}, p.fail("a value is missing")
	}
	switch c := p.in[p.pos]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.list(depth)
	case c == '"':
		s, err := p.string()
		return value{kind: text, text: s}, err
	case p.word("null"):
		return value{}, nil
	case p.word("true"):
		return value{kind: boolean, truth: true}, nil
	case p.word("false"):
		return value{kind: boolean}, nil
	case p.word("NaN"), p.word("nan"):
		return value{kind: number, number: math.NaN()}, nil
	case p.word("Infinity"), p.word("inf"):
		return value{kind: number, number: math.Inf(1)}, nil
	case p.word("-Infinity"), p.word("-inf"):
		return value{kind: number, number: math.Inf(-1)}, nil
	}
	return p.number()
}

func (p *parser) number() (value, error) {
	start := p.pos
	for p.pos < len(p.in) {
		switch c := p.in[p.pos]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			p.pos++
			continue
		}
		break
	}
	f, err := strconv.ParseFloat(string(p.in[start:p.pos]), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		p.pos = start
		return value{}, p.fail("this is no value")
	}
	return value{kind: number, number: f}, nil
}

func (p *parser) list(depth int) (value, error) {
	p.pos++
	v := value{kind: list}
	if p.next(']') {
		return v, nil
	}
	for {
		e, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.list = append(v.list, e)
		if p.next(']') {
			return v, nil
		}
		if !p.next(',') {
			return v, p.fail("a comma or ] is missing")
		}
	}
}

func (p *parser) object(depth int) (value, error) {
	p.pos++
	v := value{kind: object}
	if p.next('}') {
		return v, nil
	}
	for {
		p.space()
		if p.pos == len(p.in) || p.in[p.pos] != '"' {
			return v, p.fail("a field name is missing")
		}
		name, err := p.string()
		if err != nil {
			return v, err
		}
		if !p.next(':') {
			return v, p.fail("a colon is missing")
		}
		e, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.fields = append(v.fields, field{name, e})
		if p.next('}') {
			return v, nil
		}
		if !p.next(',') {
			return v, p.fail("a comma or } is missing")
		}
	}
}

func (p *parser) string() (string, error) {
	p.pos++
	var out []byte
	for p.pos < len(p.in) {
		c := p.in[p.pos]
		p.pos++
		switch {
		case c == '"':
			return string(out), nil
		case c == '\\':
			r, ok := p.escape()
			if !ok {
				return "", p.fail("unknown escape in a string")
			}
			out = utf8.AppendRune(out, p.otherHalf(r))
		case c < 0x20:
			return "", p.fail("control character in a string")
		default:
			out = append(out, c)
		}
	}
	return "", p.fail("a string does not end")
}

// otherHalf takes the second of the two escapes that make a character beyond 16 bits, if r is the first.
func (p *parser) otherHalf(r rune) rune {
	before := p.pos
	if utf16.IsSurrogate(r) && p.word(`\u`) {
		p.pos--
		low, _ := p.escape()
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			return both
		}
	}
	p.pos = before
	return r
}

func (p *parser) escape() (rune, bool) {
	if p.pos == len(p.in) {
		return 0, false
	}
	c := p.in[p.pos]
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'n':
		return '\n', true
	case 't':
		return '\t', true
	case 'r':
		return '\r', true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'u':
		if p.pos+4 > len(p.in) {
			return 0, false
		}
		u, err := strconv.ParseUint(string(p.in[p.pos:p.pos+4]), 16, 32)
		p.pos += 4
		return rune(u), err == nil
	}
	return 0, false
}

// float reads a number; null is NaN, and the strings "NaN", "Infinity", "-Infinity" and any number in quotes count too.
func (v value) float() (float64, error) {
	switch v.kind {
	case number:
		return v.number, nil
	case null:
		return math.NaN(), nil
	case text:
		if f, err := strconv.ParseFloat(v.text, 64); err == nil {
			return f, nil
		}
		return 0, fmt.Errorf("%q is not a number", v.text)
	}
	return 0, fmt.Errorf("%s is not a number", kindNames[v.kind])
}

// floats appends a list of numbers to dst.
func (v value) floats(dst []float64) ([]float64, error) {
	if v.kind != list {
		return dst, fmt.Errorf("%s is not a list of numbers", kindNames[v.kind])
	}
	for i, e := range v.list {
		f, err := e.float()
		if err != nil {
			return dst, fmt.Errorf("element %d: %w", i, err)
		}
		dst = append(dst, f)
	}
	return dst, nil
}

// whole reads a number without fraction.
func (v value) whole() (int, error) {
	f, err := v.float()
	if err != nil {
		return 0, err
	}
	if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, fmt.Errorf("%v is not a whole number", f)
	}
	return int(f), nil
}
