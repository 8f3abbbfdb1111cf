package engine

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
)

// blockFlops is the work of a product from which those of a small batch go one after the other, each shared between all goroutines.
const blockFlops = 1e8

// Gemm implements Products.
func (c *cpu[T]) Gemm(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, dst Batch[T]) {
	MustPair("Gemm", a.Count, b.Count, dst.Count)
	c.products(blockTask[T]{do: multiply[T]{}, ta: ta, tb: tb, alpha: alpha, beta: beta, a: a, b: b, c: dst}, inner(ta, a.Rows, a.Cols))
}

// GemmSymmetric implements Products.
func (c *cpu[T]) GemmSymmetric(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, dst Batch[T]) {
	MustPair("GemmSymmetric", a.Count, b.Count, dst.Count)
	c.products(blockTask[T]{do: multiplySymmetric[T]{}, ta: ta, tb: tb, alpha: alpha, beta: beta, a: a, b: b, c: dst}, inner(ta, a.Rows, a.Cols))
}

// GemmNarrow implements Products.
func (c *cpu[T]) GemmNarrow(ta, tb dense.Trans, alpha T, a, b NarrowBatch, beta T, dst Batch[T]) {
	MustPair("GemmNarrow", a.Count, b.Count, dst.Count)
	c.products(blockTask[T]{do: multiplyNarrow[T]{}, ta: ta, tb: tb, alpha: alpha, beta: beta, na: a, nb: b, c: dst}, inner(ta, a.Rows, a.Cols))
}

// rounded is the processor with operands of products rounded to bfloat16.
type rounded[T dense.Float] struct{ *cpu[T] }

// RoundedCPU returns the backend of the processor with the operands of Gemm and GemmSymmetric rounded to bfloat16 (dense.GemmRounded).
func RoundedCPU[T dense.Float]() Backend[T] { return &rounded[T]{CPU[T]().(*cpu[T])} }

// Gemm implements Products.
func (c *rounded[T]) Gemm(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, dst Batch[T]) {
	MustPair("Gemm", a.Count, b.Count, dst.Count)
	c.products(blockTask[T]{do: multiplyRounded[T]{}, ta: ta, tb: tb, alpha: alpha, beta: beta, a: a, b: b, c: dst}, inner(ta, a.Rows, a.Cols))
}

// GemmSymmetric implements Products.
func (c *rounded[T]) GemmSymmetric(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, dst Batch[T]) {
	MustPair("GemmSymmetric", a.Count, b.Count, dst.Count)
	c.products(blockTask[T]{do: multiplyRounded[T]{symmetric: true}, ta: ta, tb: tb, alpha: alpha, beta: beta, a: a, b: b, c: dst}, inner(ta, a.Rows, a.Cols))
}

// halfProducts is implemented by backends that can leave out the lower triangle of GemmSymmetric.
type halfProducts[T dense.Float] interface {
	gemmUpper(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, c Batch[T])
}

// GemmUpper is GemmSymmetric of a backend where only the upper triangles of c are wanted; what is below is undefined.
func GemmUpper[T dense.Float](e Backend[T], ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, c Batch[T]) {
	if h, ok := e.(halfProducts[T]); ok {
		h.gemmUpper(ta, tb, alpha, a, b, beta, c)
		return
	}
	e.GemmSymmetric(ta, tb, alpha, a, b, beta, c)
}

func (c *cpu[T]) gemmUpper(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, dst Batch[T]) {
	MustPair("GemmUpper", a.Count, b.Count, dst.Count)
	c.products(blockTask[T]{do: multiplyUpper[T]{}, ta: ta, tb: tb, alpha: alpha, beta: beta, a: a, b: b, c: dst}, inner(ta, a.Rows, a.Cols))
}

func (c *rounded[T]) gemmUpper(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, dst Batch[T]) {
	MustPair("GemmUpper", a.Count, b.Count, dst.Count)
	c.products(blockTask[T]{do: multiplyUpper[T]{rounded: true}, ta: ta, tb: tb, alpha: alpha, beta: beta, a: a, b: b, c: dst}, inner(ta, a.Rows, a.Cols))
}

// MustPair panics with Error unless three batches have one length.
func MustPair(op string, a, b, c int) {
	if a != c || b != c {
		panic(Error(fmt.Sprintf("%s: batches of %d, %d and %d matrices", op, a, b, c)))
	}
}

func inner(ta dense.Trans, rows, cols int) int {
	if ta {
		return rows
	}
	return cols
}

// products runs a batch of products side by side, unless there are few of them and each is large enough to be shared by itself. A processor does
// about eight multiplications in the time of an elementary operation.
func (c *cpu[T]) products(t blockTask[T], inner int) {
	each := t.c.Rows * t.c.Cols * inner
	work := each / 8 * t.c.Count
	if t.c.Count < 8 && 2*each >= blockFlops {
		work = 0
	}
	c.runBlocks(t, t.c.Count, work)
}

type multiply[T dense.Float] struct{}

func (multiply[T]) block(t *blockTask[T], k int) {
	dense.Gemm(t.ta, t.tb, t.alpha, t.a.At(k), t.b.At(k), t.beta, t.c.At(k))
}

type multiplyUpper[T dense.Float] struct{ rounded bool }

func (o multiplyUpper[T]) block(t *blockTask[T], k int) {
	if o.rounded {
		dense.GemmRoundedUpper(t.ta, t.tb, t.alpha, t.a.At(k), t.b.At(k), t.beta, t.c.At(k))
	} else {
		dense.GemmUpper(t.ta, t.tb, t.alpha, t.a.At(k), t.b.At(k), t.beta, t.c.At(k))
	}
}

type multiplySymmetric[T dense.Float] struct{}

func (multiplySymmetric[T]) block(t *blockTask[T], k int) {
	m := t.c.At(k)
	dense.GemmUpper(t.ta, t.tb, t.alpha, t.a.At(k), t.b.At(k), t.beta, m)
	dense.Mirror(m)
}

type multiplyRounded[T dense.Float] struct{ symmetric bool }

func (o multiplyRounded[T]) block(t *blockTask[T], k int) {
	m := t.c.At(k)
	if !o.symmetric {
		dense.GemmRounded(t.ta, t.tb, t.alpha, t.a.At(k), t.b.At(k), t.beta, m)
		return
	}
	dense.GemmRoundedUpper(t.ta, t.tb, t.alpha, t.a.At(k), t.b.At(k), t.beta, m)
	dense.Mirror(m)
}

type multiplyNarrow[T dense.Float] struct{}

func (multiplyNarrow[T]) block(t *blockTask[T], k int) {
	sizeA, sizeB := t.na.Rows*t.na.Cols, t.nb.Rows*t.nb.Cols
	work, loan := dense.Borrow[T](sizeA + sizeB)
	a, b := dense.Wrap(t.na.Rows, t.na.Cols, work), dense.Wrap(t.nb.Rows, t.nb.Cols, work[sizeA:])
	widenMatrix(&t.na, k, a)
	widenMatrix(&t.nb, k, b)
	dense.GemmRounded(t.ta, t.tb, t.alpha, a, b, t.beta, t.c.At(k))
	loan.Return()
}
