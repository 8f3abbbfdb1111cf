package dense

import (
	"math"
	"unsafe"
)

// BFloat16 is a number stored in the upper 16 bits of a float32: its range with 8 significant bits.
type BFloat16 uint16

// HasBFloat16 says whether products of operands rounded to bfloat16 are faster than others: the processor has VDPBF16PS, and kernels of AVX-512 are in use.
func HasBFloat16() bool { return hasPairs() }

// HasTiles says whether long products of bfloat16 numbers and of bytes are computed by AMX, in about the same time.
func HasTiles() bool { return tilesPairs(math.MaxInt) && tilesBytes(math.MaxInt) }

// Float32 returns the value, exactly.
func (b BFloat16) Float32() float32 { return math.Float32frombits(uint32(b) << 16) }

// Round returns the bfloat16 number next to v, of two equally near ones the one with an even last bit. What rounds beyond the largest number
// becomes infinite; NaN stays NaN.
func Round[T Float](v T) BFloat16 {
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

// Narrow sets dst to x, rounded as by Round.
func Narrow[T Float](x []T, dst []BFloat16) {
	if len(x) != len(dst) {
		panic(Error("Narrow: lengths differ"))
	}
	if len(x) == 0 || narrowKernel(x, dst) {
		return
	}
	for i, v := range x {
		dst[i] = Round(v)
	}
}

// Widen sets dst to x, exactly.
func Widen[T Float](x []BFloat16, dst []T) {
	if len(x) != len(dst) {
		panic(Error("Widen: lengths differ"))
	}
	if len(x) == 0 || widenKernel(x, dst) {
		return
	}
	for i, v := range x {
		dst[i] = T(v.Float32())
	}
}

// GemmRounded is Gemm with the elements of a and b rounded to bfloat16. The products of two such numbers are exact in float32; they are added in T:
//
//	float32 on a processor with VDPBF16PS: over each of the equal blocks of at most 1024 that the inner dimension is cut into, two products after
//	two, of each two the second one first, with a rounding after every addition; subnormal numbers count as zero there. Up to twice as fast
//	as Gemm.
//	float32 on one with TDPBF16PS (AMX, under Linux) and an inner dimension above 30: over each of those blocks, 32 products after 32, of which those of even and
//	of odd numbers are added apart from each other, then both together. Subnormal numbers count as zero there too.
//	elsewhere: the chains of Gemm, in no less time than it.
//
// On each of them the bits depend neither on the number of threads nor on how c is cut into calls. With u = 2^-8 and e = 2^-24 (float32) an element differs
// from that of the exact product by at most (2u + u^2 + k e) sum |a_il b_lj|, up to terms in e^2.
func GemmRounded[T Float](ta, tb Trans, alpha T, a, b Matrix[T], beta T, c Matrix[T]) {
	gemmRounded(ta, tb, alpha, &a, &b, beta, &c, everywhere)
}

// GemmRoundedUpper is to GemmRounded what GemmUpper is to Gemm.
func GemmRoundedUpper[T Float](ta, tb Trans, alpha T, a, b Matrix[T], beta T, c Matrix[T]) {
	c.mustHave(c.Rows, c.Rows, "GemmRoundedUpper")
	gemmRounded(ta, tb, alpha, &a, &b, beta, &c, upperTriangle)
}

// GemmRoundedLower is to GemmRounded what GemmLower is to Gemm.
func GemmRoundedLower[T Float](ta, tb Trans, alpha T, a, b Matrix[T], beta T, c Matrix[T]) {
	c.mustHave(c.Rows, c.Rows, "GemmRoundedLower")
	gemmRounded(ta, tb, alpha, &a, &b, beta, &c, lowerTriangle)
}

func gemmRounded[T Float](ta, tb Trans, alpha T, a, b *Matrix[T], beta T, c *Matrix[T], part region) {
	m, k := opDims(ta, *a)
	k2, n := opDims(tb, *b)
	if alpha == 0 || m <= 0 || n <= 0 || k <= 0 || k != k2 || c.Rows != m || c.Cols != n {
		gemm(ta, tb, alpha, a, b, beta, c, part)
		return
	}
	if !a.holds() || !b.holds() || !c.holds() {
		panic(errShort)
	}
	w := takeWorkspace()
	if unsafe.Sizeof(alpha) == 4 && hasPairs() {
		pairs := (k + 1) / 2
		work := w.a.need(4 * pairs * (m + n))
		left, right := operandOf(ta, a), operandOf(tb, b).transposed()
		rounded := pairsOf(left, m, k, work)
		other := rounded
		if m != n || left != right {
			other = pairsOf(right, n, k, unsafe.Add(work, 4*pairs*m))
		}
		if tilesPairs(pairs) && rounded.col != 4 {
			rounded = rounded.inRows(m, pairs, w.b.need(4*pairs*m))
		}
		q := product{
			m: m, n: n, k: pairs, pairs: true,
			a: rounded, b: other.transposed(), c: operandOf(NoTrans, c),
			alpha: bitsOf(alpha), beta: bitsOf(beta), first: useOf(alpha, beta), next: useOf(alpha, 1),
			region: part, size: 4,
		}
		q.start()
	} else {
		work := elementsOf[T](&w.a, len(a.Data)+len(b.Data))
		ra, rb := roundMatrix(a, work), roundMatrix(b, work[len(a.Data):])
		gemm(ta, tb, alpha, &ra, &rb, beta, c, part)
	}
	w.release()
}

// roundMatrix returns a matrix in work of the elements of a rounded to bfloat16.
func roundMatrix[T Float](a *Matrix[T], work []T) Matrix[T] {
	r := Wrap(a.Rows, a.Cols, work)
	for i := range a.Rows {
		row := r.Row(i)
		for j, v := range a.Row(i) {
			row[j] = T(Round(v).Float32())
		}
	}
	return r
}

// pairsOf writes the m x k matrix x of float32, rounded, to dst as an m x (k+1)/2 matrix of pairs of neighbours in a row, the first one in the low half. What
// the last pair has beyond k is zero.
func pairsOf(x operand, m, k int, dst unsafe.Pointer) operand {
	pairs := (k + 1) / 2
	if x.col == 4 {
		out := operand{dst, uintptr(4 * pairs), 4}
		for i := range m {
			row := unsafe.Slice((*BFloat16)(out.at(i, 0).p), 2*pairs)
			row[2*pairs-1] = 0
			Narrow(unsafe.Slice((*float32)(x.at(i, 0).p), k), row[:k])
		}
		return out
	}
	out := operand{dst, 4, uintptr(4 * m)}
	for l := range pairs {
		column := unsafe.Slice((*uint32)(out.at(0, l).p), m)
		first := unsafe.Slice((*float32)(x.at(0, 2*l).p), m)
		if 2*l+1 < k {
			interleave(first, unsafe.Slice((*float32)(x.at(0, 2*l+1).p), m), column)
			continue
		}
		for i, v := range first {
			column[i] = uint32(Round(v))
		}
	}
	return out
}

// inRows copies the m x k matrix of words whose columns are contiguous to dst, so that its rows are.
func (o operand) inRows(m, k int, dst unsafe.Pointer) operand {
	of := func(p unsafe.Pointer, rows, cols int) Matrix[float32] {
		return Wrap(rows, cols, unsafe.Slice((*float32)(p), rows*cols))
	}
	Transpose(of(dst, m, k), of(o.p, k, m))
	return operand{dst, uintptr(4 * k), 4}
}

// interleave sets the pairs of dst to the elements of a and b, rounded.
func interleave(a, b []float32, dst []uint32) {
	if len(dst) == 0 || interleaveKernel(a, b, dst) {
		return
	}
	for i, v := range a {
		dst[i] = uint32(Round(v)) | uint32(Round(b[i]))<<16
	}
}
