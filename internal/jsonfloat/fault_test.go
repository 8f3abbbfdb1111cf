package jsonfloat

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// Embedded has a field whose path in errors of encoding/json begins with its name.
type Embedded struct {
	Own int `json:"own"`
}

func TestFault(t *testing.T) {
	for text, want := range map[string]string{
		``:                   `it is empty`,
		`{"n":`:              `it ends in the middle`,
		`{"n":x}`:            `byte 6: invalid character 'x'`,
		`[1]`:                `it holds another kind of value (array)`,
		`{"n":"x"}`:          `"n" holds another kind of value (string)`,
		`{"n":1.5}`:          `"n" cannot be 1.5`,
		`{"in":{"x":"y"}}`:   `"in.x" holds another kind of value (string)`,
		`{"in":{"x":1e999}}`: `1e999 is beyond the range of numbers`,
		`{"own":"y"}`:        `"own" holds another kind of value (string)`,
		`{"m":1}`:            `unknown field "m"`,
	} {
		var v struct {
			Embedded
			N  int `json:"n"`
			In struct {
				X float64 `json:"x"`
			} `json:"in"`
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := Fault(d.Decode(&v)); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if err := Fault(json.Unmarshal([]byte("[1"), new([]int))); err.Error() != "it ends in the middle" {
		t.Error(err)
	}
	if err := Fault(json.Unmarshal(nil, new([]int))); err.Error() != "it is empty" {
		t.Error(err)
	}
	if other := errors.New("other"); Fault(other) != other {
		t.Error("an error of another package is worded anew")
	}
}
