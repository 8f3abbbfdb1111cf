package engine

import "github.com/spdopt/spdopt/internal/dense"

// BFloat16 is that of dense.
type BFloat16 = dense.BFloat16

// NarrowBatch is a Batch whose elements are stored in bfloat16.
type NarrowBatch struct {
	Count, Rows, Cols int
	Stride, Step      int
	Data              []BFloat16
}

// Narrow implements Movement.
func (*cpu[T]) Narrow(x []T, dst []BFloat16) {
	MustHave("Narrow", len(x), len(dst))
	dense.Narrow(x, dst)
}

// Widen implements Movement.
func (*cpu[T]) Widen(x []BFloat16, dst []T) {
	MustHave("Widen", len(x), len(dst))
	dense.Widen(x, dst)
}

// widenMatrix sets dst to matrix k of the batch.
func widenMatrix[T dense.Float](b *NarrowBatch, k int, dst dense.Matrix[T]) {
	for i := range b.Rows {
		dense.Widen(b.Data[k*b.Step+i*b.Stride:][:b.Cols], dst.Row(i))
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
