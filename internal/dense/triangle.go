package dense

// triangleBase is the size of the diagonal blocks of GemmTriangle.
const triangleBase = 48

// Triangle names one half of a square matrix; both contain the diagonal.
type Triangle bool

// The two values of Triangle.
const (
	Upper Triangle = false
	Lower Triangle = true
)

// GemmTriangle computes one triangle of the square c = alpha op(a) op(b) + beta c, in about half the work of Gemm, and touches nothing outside
// of it. GemmUpper and GemmLower are a little faster and leave the other triangle unspecified.
func GemmTriangle[T Float](half Triangle, ta, tb Trans, alpha T, a, b Matrix[T], beta T, c Matrix[T]) {
	n := c.Rows
	if n == 0 {
		c.mustHave(0, 0, "GemmTriangle")
		return
	}
	c.mustHave(n, n, "GemmTriangle")
	w := takeWorkspace()
	gemmTriangle(half, ta, tb, alpha, a, b, beta, c, elementsOf[T](&w.a, min(n, triangleBase)*min(n, triangleBase)))
	w.release()
}

func gemmTriangle[T Float](half Triangle, ta, tb Trans, alpha T, a, b Matrix[T], beta T, c Matrix[T], work []T) {
	n := c.Rows
	if n <= triangleBase {
		t := Wrap(n, n, work)
		if beta != 0 {
			copyTriangle(half, t, c)
		}
		Gemm(ta, tb, alpha, a, b, beta, t)
		copyTriangle(half, c, t)
		return
	}
	h := splitAt(n)
	a1, a2 := splitRows(ta, a, h)
	b1, b2 := splitRows(!tb, b, h)
	gemmTriangle(half, ta, tb, alpha, a1, b1, beta, c.View(0, 0, h, h), work)
	gemmTriangle(half, ta, tb, alpha, a2, b2, beta, c.View(h, h, n-h, n-h), work)
	if half == Upper {
		Gemm(ta, tb, alpha, a1, b2, beta, c.View(0, h, h, n-h))
	} else {
		Gemm(ta, tb, alpha, a2, b1, beta, c.View(h, 0, n-h, h))
	}
}

// splitRows returns the first h rows of op(m) and the others, as views of m.
func splitRows[T Float](t Trans, m Matrix[T], h int) (first, rest Matrix[T]) {
	if t {
		return m.View(0, 0, m.Rows, h), m.View(0, h, m.Rows, m.Cols-h)
	}
	return m.View(0, 0, h, m.Cols), m.View(h, 0, m.Rows-h, m.Cols)
}

func copyTriangle[T Float](half Triangle, dst, src Matrix[T]) {
	for i := range src.Rows {
		if half == Upper {
			copy(dst.Row(i)[i:], src.Row(i)[i:])
		} else {
			copy(dst.Row(i)[:i+1], src.Row(i)[:i+1])
		}
	}
}

// Loan is memory lent by Borrow.
type Loan struct{ w *workspace }

// Borrow lends n elements, whose contents are unspecified, from the free list that the kernels use for themselves. In the steady state it
// allocates nothing. The loan must be returned, and the elements not be used after that.
func Borrow[T Float](n int) ([]T, Loan) {
	w := takeWorkspace()
	return elementsOf[T](&w.b, n), Loan{w}
}

// Return ends the loan.
func (l Loan) Return() { l.w.release() }
