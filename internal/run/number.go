package run

import (
	"fmt"
	"math"
	"strconv"

	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// Num is a float64 that JSON can hold whatever its value: NaN and infinities are the strings "NaN", "Infinity", "-Infinity".
type Num float64

// MarshalJSON implements json.Marshaler.
func (v Num) MarshalJSON() ([]byte, error) { return jsonfloat.Append(nil, float64(v)), nil }

// UnmarshalJSON implements json.Unmarshaler; null is NaN.
func (v *Num) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" {
		*v = Num(math.NaN())
		return nil
	}
	if n := len(s); n > 1 && s[0] == '"' && s[n-1] == '"' {
		s = s[1 : n-1]
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return fmt.Errorf("run: %q is not a number", b)
	}
	*v = Num(f)
	return nil
}
