package problem

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/manifold"
)

// appendFloats appends the bits of v.
func appendFloats(b []byte, v []float64) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

// readFloats fills dst from the bytes of appendFloats; others are a *manifold.PointError.
func readFloats(dst []float64, data []byte) error {
	if len(data) != 8*len(dst) {
		return &manifold.PointError{What: fmt.Sprintf("%d bytes where a point of this run has %d", len(data), 8*len(dst))}
	}
	for i := range dst {
		dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	if !allFinite(dst) {
		return &manifold.PointError{What: "the binary point has a NaN or Inf entry"}
	}
	return nil
}
