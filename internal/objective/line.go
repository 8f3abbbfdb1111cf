package objective

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// hello is the first line that a worker gets.
func (p *Program) hello() []byte {
	b := fmt.Appendf(nil, `{"spdopt":1,"type":"hello","dim":%d,"seed":%d`, p.o.Dim, p.o.Seed)
	if p.o.Lower != nil {
		b = jsonfloat.AppendList(append(b, `,"lower":`...), p.o.Lower)
	}
	if p.o.Upper != nil {
		b = jsonfloat.AppendList(append(b, `,"upper":`...), p.o.Upper)
	}
	return append(b, "}\n"...)
}

func (o *Options) evalLine(id uint64, x []float64) []byte {
	b := fmt.Appendf(nil, `{"type":"eval","id":%d,"x":`, id)
	b = jsonfloat.AppendList(b, x)
	b = fmt.Appendf(b, `,"seed":%d`, o.seed(id))
	if o.Timeout > 0 {
		b = strconv.AppendFloat(append(b, `,"deadline_s":`...), o.Timeout.Seconds(), 'g', -1, 64)
	}
	return append(b, "}\n"...)
}

// seed returns the seed of an evaluation, of 53 bits so that every language holds it (mixing function of SplitMix64).
func (o *Options) seed(id uint64) uint64 {
	z := o.Seed + id*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (z ^ z>>31) >> 11
}

// answer is a line from the program. Fields it does not have are ignored.
type answer struct {
	Type     string
	ID       *uint64
	F        json.RawMessage
	G        []json.RawMessage
	Gradient []json.RawMessage
	Status   string
	Error    string

	line     string
	given    bool // there is an f
	f        float64
	g        []float64
	gradient []float64
}

// parseAnswer reads a line. The bare tokens NaN, Infinity and -Infinity, which Python writes, are numbers.
func parseAnswer(line []byte) (answer, error) {
	a := answer{line: string(line)}
	if err := json.Unmarshal(quoteTokens(line), &a); err != nil {
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &kind) && kind.Field == "ID":
			return a, fmt.Errorf("want a whole number from 0 on as id, not %s", kind.Value)
		case errors.As(err, &kind) && kind.Field != "":
			return a, fmt.Errorf("%s cannot be %s", strings.ToLower(kind.Field), kind.Value)
		case errors.As(err, &kind):
			return a, fmt.Errorf("want an object, not %s", kind.Value)
		}
		return a, err
	}
	var err error
	if a.given = a.F != nil; a.given {
		if a.f, err = number(a.F); err != nil {
			return a, fmt.Errorf("f %w", err)
		}
	}
	for i, raw := range a.G {
		v, err := number(raw)
		if err != nil {
			return a, fmt.Errorf("g[%d] %w", i, err)
		}
		a.g = append(a.g, v)
	}
	for i, raw := range a.Gradient {
		v, err := number(raw)
		if err != nil {
			return a, fmt.Errorf("gradient[%d] %w", i, err)
		}
		a.gradient = append(a.gradient, v)
	}
	return a, nil
}

// number reads a JSON number, null as NaN, or one of the words for what JSON has no number for.
func number(raw json.RawMessage) (float64, error) {
	text := string(raw)
	switch text {
	case "null", `"NaN"`:
		return math.NaN(), nil
	case `"Infinity"`:
		return math.Inf(1), nil
	case `"-Infinity"`:
		return math.Inf(-1), nil
	}
	if strings.HasPrefix(text, `"`) {
		return 0, fmt.Errorf("is the string %s, want a number", clip(strings.Trim(text, `"`)))
	}
	if strings.HasPrefix(text, "[") {
		return 0, errors.New("is a list, want one number")
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("is %s, want a number", clip(text))
	}
	return v, nil
}

// quoteTokens puts NaN, Infinity and -Infinity outside strings into quotes.
func quoteTokens(line []byte) []byte {
	out := make([]byte, 0, len(line)+8)
	for i := 0; i < len(line); {
		if line[i] == '"' {
			end := i + 1
			for end < len(line) && line[end] != '"' {
				if line[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(line))
			out = append(out, line[i:end]...)
			i = end
			continue
		}
		token := ""
		for _, t := range []string{"NaN", "Infinity", "-Infinity"} {
			if bytes.HasPrefix(line[i:], []byte(t)) {
				token = t
			}
		}
		if token == "" {
			out = append(out, line[i])
			i++
			continue
		}
		out = append(out, '"')
		out = append(out, token...)
		out = append(out, '"')
		i += len(token)
	}
	return out
}

// clip quotes a line of unknown origin, the beginning of it if it is long.
func clip(line string) string {
	const most = 120
	if len(line) > most {
		return strconv.Quote(line[:most]) + "..."
	}
	return strconv.Quote(line)
}

// tail keeps the last bytes of what is written to it, as many as size says.
type tail struct {
	size int
	mu   sync.Mutex
	last []byte
}

const stderrSize = 4096

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if extra := len(t.last) - t.size; extra > 0 {
		t.last = append(t.last[:0], t.last[extra:]...)
	}
	return len(p), nil
}

// lastLine returns the last line that is not empty.
func (t *tail) lastLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return lastLine(string(t.last))
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
