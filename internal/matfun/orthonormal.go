package matfun

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"runtime"
)

// Orthonormal makes rows of count n x n matrices orthonormal on any engine. It is not for use by several goroutines at once.
type Orthonormal[T dense.Float] struct {
	engine.Backend[T]
	arena         *engine.Arena[T] // of the memory below
	count, n      int
	cross         []T
	squares, ones []T
}

// panel is the number of rows that are made orthonormal to each other between two projections.
const panel = 32

// NewOrthonormal returns workspace for count matrices of n x n in the memory of the engine.
func NewOrthonormal[T dense.Float](e engine.Backend[T], a *engine.Arena[T], count, n int) *Orthonormal[T] {
	o := &Orthonormal[T]{Backend: e, arena: a, count: count, n: n, cross: a.Alloc(count * panel * n), squares: a.Alloc(count * n), ones: a.Alloc(count * n)}
	for i := range o.ones {
		o.ones[i] = 1
	}
	return o
}

// Rows makes the rows of w_k orthonormal, each in the span of itself and those before it: the transposed Q of a QR factorisation with positive diagonal,
// by Gram and Schmidt in blocks, each of them twice. A row that depends on those before it, to rounding, gives way to that of spare_k, or to a unit
// vector, freed of them. About four products of n x n matrices.
func (o *Orthonormal[T]) Rows(w, spare engine.Batch[T]) {
	engine.MustHave("Rows", o.count, w.Count, spare.Count)
	engine.MustHave("Rows", o.n, w.Rows, w.Cols, spare.Rows, spare.Cols)
	defer runtime.KeepAlive(o.arena)
	engine.Defer(o.Backend)
	defer engine.Settle(o.Backend)
	o.RowDots(w, w, o.squares)
	for first := 0; first < o.n; first += panel {
		rows := min(panel, o.n-first)
		for _, squares := range [][]T{o.squares, o.ones} {
			if first > 0 {
				o.project(w, first, rows)
			}
			o.Orthonormalise(first, rows, w, spare, squares)
		}
	}
}

// project frees rows [first, first+rows) of what they have of the rows before them.
func (o *Orthonormal[T]) project(w engine.Batch[T], first, rows int) {
	before, own := w, w
	before.Rows, own.Rows, own.Data = first, rows, w.Data[first*w.Stride:]
	cross := engine.Batch[T]{Count: o.count, Rows: rows, Cols: first, Stride: first, Step: rows * first, Data: o.cross}
	o.Gemm(dense.NoTrans, dense.Transposed, 1, own, before, 0, cross)
	o.Gemm(dense.NoTrans, dense.NoTrans, -1, cross, before, 1, own)
}
