package dense

import (
	"fmt"
	"unsafe"
)

// RoundedSandwiches computes sum_k Y_k H_k for n x n matrices at the speed of bfloat16 products, with images Y_k = G_k U or what the caller makes of them. The G and H are rounded
// to bfloat16 and packed once, U and the Y when they are set; sums are in float32 as those of GemmRounded. With u = 2^-8, e = 2^-24 and m matrices an element of
// sum_k G_k U H_k differs from the exact one by at most (4u + (m + 1) n e) sum_k |G_k| |U| |H_k|, up to terms in u^2, and typically by u of the root of the sum of the squares of
// the terms. Its bits depend on the matrices alone. Subnormal numbers count as zero.
type RoundedSandwiches struct {
	n, count, pairs int
	left, right     []uint32 // the G below each other, pairs of neighbours in a row; the H below each other, pairs in a column
	middle          []uint32 // U, as H
	images          []uint32 // side by side, pairs in a row
}

// NewRoundedSandwiches returns a RoundedSandwiches for count pairs of n x n matrices, all of them zero, or nil where the processor has no VDPBF16PS or other kernels
// than AVX-512 are in use.
func NewRoundedSandwiches(n, count int) *RoundedSandwiches {
	if n < 1 || count < 1 {
		panic(Error(fmt.Sprintf("RoundedSandwiches: %d pairs of matrices of %d rows", count, n)))
	}
	if !hasPairs() {
		return nil
	}
	pairs := (n + 1) / 2
	words := func(rows int) []uint32 { return alignedWords(rows * pairs * n) }
	return &RoundedSandwiches{n: n, count: count, pairs: pairs, left: words(count), right: words(count), middle: words(1), images: words(count)}
}

// Set makes g and h the given pair.
func (s *RoundedSandwiches) Set(k int, g, h Matrix[float32]) {
	size := s.pairs * s.n
	s.check(g)
	pairsOf(operandOf(NoTrans, &g), s.n, s.n, words(s.left[k*size:]))
	s.pack(h, s.right[k*size:])
}

// SetMiddle makes u the U of what follows.
func (s *RoundedSandwiches) SetMiddle(u Matrix[float32]) { s.pack(u, s.middle) }

// pack writes pairs of neighbours in the columns of x, row after row. The last row has no neighbour if their number is odd.
func (s *RoundedSandwiches) pack(x Matrix[float32], dst []uint32) {
	s.check(x)
	s.interleave(x, dst)
	if s.n%2 != 0 {
		last := dst[(s.pairs-1)*s.n:]
		for i, v := range x.Row(s.n - 1) {
			last[i] = uint32(Round(v))
		}
	}
}

func (s *RoundedSandwiches) check(x Matrix[float32]) {
	x.mustHave(s.n, s.n, "RoundedSandwiches")
	if !x.holds() {
		panic(errShort)
	}
}

// Image sets y to G_k U.
func (s *RoundedSandwiches) Image(k int, y Matrix[float32]) {
	s.check(y)
	s.multiply(s.left[k*s.pairs*s.n:], s.middle, s.pairs, y)
}

// SetImage makes y the image of the given pair. Images of different ones may be computed and set at once.
func (s *RoundedSandwiches) SetImage(k int, y Matrix[float32]) {
	s.check(y)
	s.narrow(k, y)
}

// Sum sets out to the sum of the images times the H.
func (s *RoundedSandwiches) Sum(out Matrix[float32]) {
	s.check(out)
	s.multiply(s.images, s.right, s.count*s.pairs, out)
}

// multiply sets c to the product of an n x 2k and a 2k x n matrix.
func (s *RoundedSandwiches) multiply(a, b []uint32, k int, c Matrix[float32]) {
	width := uintptr(4 * s.n)
	q := product{m: s.n, n: s.n, k: k, pairs: true, a: operand{words(a), uintptr(4 * k), 4}, b: operand{words(b), width, 4}, c: operandOf(NoTrans, &c),
		first: storePlain, next: addPlain, size: 4}
	q.start()
}

func words(x []uint32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }
