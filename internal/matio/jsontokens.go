package matio

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"strings"
)

// jsonTokens passes JSON on and quotes the bare words NaN, Infinity and -Infinity, which Python writes and JSON does not know.
type jsonTokens struct {
	r       *bufio.Reader
	quoted  bool // inside a string
	pending []byte
}

// Read implements io.Reader.
func (t *jsonTokens) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(t.pending) > 0 {
			k := copy(p[n:], t.pending)
			n, t.pending = n+k, t.pending[k:]
			continue
		}
		if n > 0 && t.r.Buffered() == 0 {
			return n, nil
		}
		b, err := t.r.ReadByte()
		if err != nil {
			return n, err
		}
		switch {
		case b == '"':
			t.quoted = !t.quoted
		case !t.quoted && (b == 'N' || b == 'I' || b == '-'):
			if word := t.word(b); word != "" {
				t.pending = []byte(`"` + word + `"`)
				continue
			}
		}
		p[n] = b
		n++
	}
	return n, nil
}

// word takes what follows first if they are one of the words.
func (t *jsonTokens) word(first byte) string {
	for _, w := range []string{"NaN", "Infinity", "-Infinity"} {
		if w[0] != first {
			continue
		}
		if rest, _ := t.r.Peek(len(w) - 1); string(rest) == w[1:] {
			_, _ = t.r.Discard(len(w) - 1) // they were peeked at
			return w
		}
	}
	return ""
}

// jsonNumber is a number, or one of the words for what JSON has no number for.
type jsonNumber float64

// UnmarshalJSON implements json.Unmarshaler.
func (v *jsonNumber) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case `"NaN"`:
		*v = jsonNumber(math.NaN())
	case `"Infinity"`:
		*v = jsonNumber(math.Inf(1))
	case `"-Infinity"`:
		*v = jsonNumber(math.Inf(-1))
	default:
		return json.Unmarshal(text, (*float64)(v))
	}
	return nil
}

// decodeRows reads an array of rows, decodeRow one row; words are looked for only where there are any.
func decodeRows(raw json.RawMessage) (rows [][]float64, err error) {
	if !strings.Contains(string(raw), `"`) {
		err = json.Unmarshal(raw, &rows)
		return rows, err
	}
	var words [][]jsonNumber
	if err = json.Unmarshal(raw, &words); err != nil {
		return nil, err
	}
	for _, w := range words {
		rows = append(rows, plain(w))
	}
	return rows, nil
}

func decodeRow(raw json.RawMessage) (row []float64, err error) {
	if !strings.Contains(string(raw), `"`) {
		err = json.Unmarshal(raw, &row)
		return row, err
	}
	var words []jsonNumber
	err = json.Unmarshal(raw, &words)
	return plain(words), err
}

func plain(words []jsonNumber) []float64 {
	row := make([]float64, len(words))
	for i, v := range words {
		row[i] = float64(v)
	}
	return row
}

var _ io.Reader = (*jsonTokens)(nil)
