package run

import (
	"fmt"
	"math"
	"strconv"
)

// Num is a float64 that JSON can hold whatever its value: NaN and infinities are the strings "NaN", "Infinity", "-Infinity".
type Num float64

// AppendFloat appends v with the fewest digits that read back the same bits.
func AppendFloat(b []byte, v float64) []byte {
	switch {
	case v-v == 0:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case math.IsNaN(v):
		return append(b, `"NaN"`...)
	case v > 0:
		return append(b, `"Infinity"`...)
	}
	return append(b, `"-Infinity"`...)
}

// AppendFloats appends v as a JSON array.
func AppendFloats(b []byte, v []float64) []byte {
	b = append(b, '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendFloat(b, x)
	}
	return append(b, ']')
}

// MarshalJSON implements json.Marshaler.
func (v Num) MarshalJSON() ([]byte, error) { return AppendFloat(nil, float64(v)), nil }

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
