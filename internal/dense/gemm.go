package dense

import (
	"fmt"
	"math"
	"unsafe"
)

// Trans says whether an operand enters a product as it is or transposed.
type Trans bool

// The two values of Trans.
const (
	NoTrans    Trans = false
	Transposed Trans = true
)

func opDims[T Float](t Trans, m Matrix[T]) (rows, cols int) {
	if t {
		return m.Cols, m.Rows
	}
	return m.Rows, m.Cols
}

// Gemm computes c = alpha op(a) op(b) + beta c. beta = 0 overwrites c whatever it held, NaN included; alpha = 0 reads neither a nor b. c must not
// overlap a or b.
//
// Each element is one chain of fused multiply-adds over each of the equal blocks of at most 512 that the inner dimension is cut into, so that its
// bits do not depend on the number of threads, on how c is cut into calls, or on whether AVX2, AVX-512 or NEON computes them. Products of more than
// about 12 us may be shared by up to GOMAXPROCS goroutines, unless those are busy with the work of another caller.
func Gemm[T Float](ta, tb Trans, alpha T, a, b Matrix[T], beta T, c Matrix[T]) {
	gemm(ta, tb, alpha, &a, &b, beta, &c, everywhere)
}

// GemmUpper computes the upper triangle (diagonal included) of the square c = alpha op(a) op(b) + beta c, in about half the work of
// Gemm. It is for products known to be symmetric, such as X X^T or B^T (G B). What lies below the diagonal of c is unspecified after the
// call; Mirror completes it.
func GemmUpper[T Float](ta, tb Trans, alpha T, a, b Matrix[T], beta T, c Matrix[T]) {
	c.mustHave(c.Rows, c.Rows, "GemmUpper")
	gemm(ta, tb, alpha, &a, &b, beta, &c, upperTriangle)
}

// GemmLower is GemmUpper for the lower triangle.
func GemmLower[T Float](ta, tb Trans, alpha T, a, b Matrix[T], beta T, c Matrix[T]) {
	c.mustHave(c.Rows, c.Rows, "GemmLower")
	gemm(ta, tb, alpha, &a, &b, beta, &c, lowerTriangle)
}

func gemm[T Float](ta, tb Trans, alpha T, a, b *Matrix[T], beta T, c *Matrix[T], part region) {
	m, k := a.Rows, a.Cols
	if ta {
		m, k = k, m
	}
	k2, n := b.Rows, b.Cols
	if tb {
		k2, n = n, k2
	}
	if k != k2 || c.Rows != m || c.Cols != n {
		panic(Error(fmt.Sprintf("Gemm: %dx%d times %dx%d into %dx%d", m, k, k2, n, c.Rows, c.Cols)))
	}
	if m <= 0 || n <= 0 {
		return
	}
	if alpha == 0 || k == 0 {
		scale(beta, *c)
		return
	}
	if !a.holds() || !b.holds() || !c.holds() {
		panic(errShort)
	}
	if !ta && !tb && (part == everywhere || n <= 16) && m <= tinySize && n <= tinySize && k <= tinySize {
		tinyGemm(alpha, a, b, beta, c)
		return
	}
	q := product{
		m: m, n: n, k: k,
		a: operandOf(ta, a), b: operandOf(tb, b), c: operandOf(NoTrans, c),
		alpha: bitsOf(alpha), beta: bitsOf(beta), first: useOf(alpha, beta), next: useOf(alpha, 1),
		region: part, size: unsafe.Sizeof(alpha),
	}
	q.start()
}

// tinySize is the size up to which a product takes the short way of tinyGemm.
const tinySize = 48

// tinyGemm is a few calls of a micro-kernel and nothing else.
func tinyGemm[T Float](alpha T, a, b *Matrix[T], beta T, c *Matrix[T]) {
	size := unsafe.Sizeof(alpha)
	g := tileGeometry(size)
	p := panel{
		a: unsafe.Pointer(unsafe.SliceData(a.Data)), aRow: uintptr(a.Stride) * size, aStep: size, aTile: uintptr(g.rows*a.Stride) * size,
		b: unsafe.Pointer(unsafe.SliceData(b.Data)), bStep: uintptr(b.Stride) * size,
		c: unsafe.Pointer(unsafe.SliceData(c.Data)), cRow: uintptr(c.Stride) * size,
		k: a.Cols, alpha: bitsOf(alpha), beta: bitsOf(beta), use: useOf(alpha, beta),
	}
	for n := c.Cols; ; {
		p.rows = c.Rows
		p.runColumns(min(n, g.cols), g, size)
		if n -= g.cols; n <= 0 {
			return
		}
		p.b, p.c = unsafe.Add(p.b, uintptr(g.cols)*size), unsafe.Add(p.c, uintptr(g.cols)*size)
	}
}

// bitsOf carries a value of either element type in a float64: as it is, or with the bits of a float32 in the low half.
func bitsOf[T Float](v T) float64 {
	if unsafe.Sizeof(v) == 8 {
		return float64(v)
	}
	return float32Bits(float32(v))
}

// one returns bitsOf(1) for the element size.
func one(size uintptr) float64 {
	if size == 8 {
		return 1
	}
	return float32Bits(1)
}

func float32Bits(v float32) float64 { return math.Float64frombits(uint64(math.Float32bits(v))) }

// scale sets c = beta c; beta = 0 overwrites.
func scale[T Float](beta T, c Matrix[T]) {
	switch beta {
	case 0:
		c.Zero()
	case 1:
	default:
		for i := range c.Rows {
			row := c.Row(i)
			for j := range row {
				row[j] *= beta
			}
		}
	}
}
