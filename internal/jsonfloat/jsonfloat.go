// Package jsonfloat writes float64 numbers as JSON: with the fewest digits that read back the same bits, and what JSON has no number for as the strings "NaN",
// "Infinity" and "-Infinity". Everything that spdopt writes for other programs holds numbers in this form. Fault
// words what the decoder of encoding/json finds wrong.
package jsonfloat

import (
	"math"
	"strconv"
)

// Append appends v.
func Append(b []byte, v float64) []byte {
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

// AppendList appends v as an array.
func AppendList(b []byte, v []float64) []byte {
	b = append(b, '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = Append(b, x)
	}
	return append(b, ']')
}
