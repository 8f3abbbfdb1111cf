package engine

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// BFloat16 is a number stored in the upper 16 bits of a float32: its range with 8 significant bits.
type BFloat16 uint16

// Float32 returns the value, exactly.
func (b BFloat16) Float32() float32 { return math.Float32frombits(uint32(b) << 16) }

// Round returns the bfloat16 number next to v, of two equally near ones the one with an even last bit. What rounds beyond the largest number
// becomes infinite; NaN stays NaN.
func Round[T dense.Float](v T) BFloat16 {
	f := float32(v)
	bits := math.Float32bits(f)
	if v != v {
		return BFloat16(bits>>16 | 0x40)
	}
	if T(f) != v { // float64 that float32 does not hold: cut and mark the rest in the last bit, so that the second rounding is right
		if math.Abs(float64(f)) > math.Abs(float64(v)) {
			bits--
		}
		bits |= 1
	}
	return BFloat16((bits + 0x7fff + bits>>16&1) >> 16)
}

// NarrowBatch is a Batch whose elements are stored in bfloat16.
type NarrowBatch struct {
	Count, Rows, Cols int
	Stride, Step      int
	Data              []BFloat16
}

// Narrow implements Movement.
func (*cpu[T]) Narrow(x []T, dst []BFloat16) {
	MustHave("Narrow", len(x), len(dst))
	for i, v := range x {
		dst[i] = Round(v)
	}
}

// Widen implements Movement.
func (*cpu[T]) Widen(x []BFloat16, dst []T) {
	MustHave("Widen", len(x), len(dst))
	widen(x, dst)
}

func widen[T dense.Float](x []BFloat16, dst []T) {
	for i, v := range x {
		dst[i] = T(v.Float32())
	}
}

// widenMatrix sets dst to matrix k of the batch.
func widenMatrix[T dense.Float](b *NarrowBatch, k int, dst dense.Matrix[T]) {
	for i := range b.Rows {
		widen(b.Data[k*b.Step+i*b.Stride:][:b.Cols], dst.Row(i))
	}
}

// narrowPiece is the number of elements that AdamNarrow widens at a time.
const narrowPiece = 256

// AdamNarrow implements Updates.
func (c *cpu[T]) AdamNarrow(u Adam, w, g []T, m []BFloat16, v []T) {
	MustHave("AdamNarrow", len(w), len(g), len(m), len(v))
	var buffer [narrowPiece]T
	for at := 0; at < len(w); at += narrowPiece {
		end := min(at+narrowPiece, len(w))
		wide := buffer[:end-at]
		c.Widen(m[at:end], wide)
		c.Adam(u, w[at:end], g[at:end], wide, v[at:end])
		c.Narrow(wide, m[at:end])
	}
}
