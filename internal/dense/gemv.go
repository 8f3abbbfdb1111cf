package dense

// gemvChunk is the number of elements that Gemv handles at a time on the stack.
const gemvChunk = 128

// Gemv computes y = alpha op(a) x + beta y; beta = 0 overwrites y. y must not overlap a or x.
func Gemv[T Float](ta Trans, alpha T, a Matrix[T], x []T, beta T, y []T) {
	m, k := opDims(ta, a)
	if len(x) != k || len(y) != m {
		panic(Error("Gemv: lengths do not fit"))
	}
	if beta == 0 {
		clear(y)
	} else if beta != 1 {
		Scale(beta, y, y)
	}
	if alpha == 0 || m == 0 || k == 0 {
		return
	}
	if !a.holds() {
		panic(errShort)
	}
	var buf [gemvChunk]T
	if ta {
		for i := 0; i < k; i += gemvChunk {
			coef := buf[:min(gemvChunk, k-i)]
			Scale(alpha, x[i:i+len(coef)], coef)
			axpyRows(coef, a.Data, i*a.Stride, a.Stride, y)
		}
		return
	}
	for i := 0; i < m; i += gemvChunk {
		dots := buf[:min(gemvChunk, m-i)]
		dotRows(a.Data[i*a.Stride:], a.Stride, dots, x)
		Axpy(alpha, dots, y[i:i+len(dots)])
	}
}

// Ger adds alpha x y^T to a.
func Ger[T Float](alpha T, x, y []T, a Matrix[T]) {
	a.mustHave(len(x), len(y), "Ger")
	for i, v := range x {
		Axpy(alpha*v, y, a.Row(i))
	}
}
