package dense

// TriangleStrip is the number of rows of the strips in which products of triangles are computed. They cost a sixth of a Gemm, and what is wasted in blocks on the
// diagonal: all that they save where there is a single strip.
const TriangleStrip = solveStrip

// MulTriangles sets dst to the product of the lower triangular a and b, with zeros above the diagonal. Of the strict upper triangles of a and b only what is near the
// diagonal is read, and must be zero. dst must not overlap them.
func MulTriangles[T Float](a, b, dst Matrix[T]) {
	n := dst.Rows
	a.mustHave(n, n, "MulTriangles")
	b.mustHave(n, n, "MulTriangles")
	dst.mustHave(n, n, "MulTriangles")
	if p := triangularParts[T](triangleTimes(n, n)/3, n); p != nil {
		p.run(multiplyTriangles, NoTrans, a, b, dst)
		return
	}
	mulTriangleRows(a, b, dst, 0, n)
}

// mulTriangleRows is MulTriangles for the rows [from, to), from being a multiple of TriangleStrip.
func mulTriangleRows[T Float](a, b, dst Matrix[T], from, to int) {
	for i := from; i < to; i += TriangleStrip {
		rows := min(TriangleStrip, to-i)
		end := i + rows
		for j := 0; j < end; j += TriangleStrip {
			c := min(TriangleStrip, end-j)
			Gemm(NoTrans, NoTrans, 1, a.View(i, j, rows, end-j), b.View(j, j, end-j, c), 0, dst.View(i, j, rows, c))
		}
		for r := i; r < end; r++ {
			clear(dst.Row(r)[end:])
		}
	}
}

// TriangleGram sets the lower triangle of dst to that of L^T L if tl is Transposed and of L L^T if not, for the lower triangular L. Of the strict upper triangle of L only
// what is near the diagonal is read, and must be zero; that of dst is unspecified after the call. dst must not overlap L. MirrorLower completes it.
func TriangleGram[T Float](tl Trans, l, dst Matrix[T]) {
	n := l.Rows
	l.mustHave(n, n, "TriangleGram")
	dst.mustHave(n, n, "TriangleGram")
	MulLowerHalf(tl, l, l, dst)
}

// MulLowerHalf sets the lower triangle of dst to that of L^T M if tl is Transposed and of M L^T if not, for the lower triangular L and an M that makes the product
// symmetric, such as M = S L for a symmetric S. Of the strict upper triangle of L only what is near the diagonal is read, and must be zero; that of dst is unspecified after the
// call. dst must not overlap L or M. MirrorLower completes it.
func MulLowerHalf[T Float](tl Trans, l, m, dst Matrix[T]) {
	n := l.Rows
	l.mustHave(n, n, "MulLowerHalf")
	m.mustHave(n, n, "MulLowerHalf")
	dst.mustHave(n, n, "MulLowerHalf")
	if p := triangularParts[T](triangleTimes(n, n)/3, n); p != nil {
		p.run(multiplyHalf, tl, l, m, dst)
		return
	}
	mulLowerHalfStrips(tl, l, m, dst, 0, n)
}

// mulLowerHalfStrips is MulLowerHalf for the columns of M L^T, or rows of L^T M, [from, to), from being a multiple of TriangleStrip.
func mulLowerHalfStrips[T Float](tl Trans, l, m, dst Matrix[T], from, to int) {
	n := l.Rows
	for i := from; i < to; i += TriangleStrip {
		c := min(TriangleStrip, to-i)
		if end := i + c; tl {
			Gemm(Transposed, NoTrans, 1, l.View(i, i, n-i, c), m.View(i, 0, n-i, end), 0, dst.View(i, 0, c, end))
		} else {
			Gemm(NoTrans, Transposed, 1, m.View(i, 0, n-i, end), l.View(i, 0, c, end), 0, dst.View(i, i, n-i, c))
		}
	}
}

// SolveLowerTriangleRight overwrites the lower triangular b with b L^-1 for the lower triangular L (its strict upper triangle is not read), in two thirds of the work
// of SolveLowerRight and less. Of the strict upper triangle of b only what is near the diagonal is read, and must be zero; it stays so.
func SolveLowerTriangleRight[T Float](l, b Matrix[T]) {
	n := b.Rows
	l.mustHave(n, n, "SolveLowerTriangleRight")
	b.mustHave(n, n, "SolveLowerTriangleRight")
	if p := triangularParts[T](triangleTimes(n, n)/3, n); p != nil {
		p.run(solveTriangleRows, NoTrans, l, b, Matrix[T]{})
		return
	}
	solveLowerRowStrips(l, b, 0, n)
}

// solveLowerRowStrips is SolveLowerTriangleRight for the rows [from, to), from being a multiple of TriangleStrip.
func solveLowerRowStrips[T Float](l, b Matrix[T], from, to int) {
	for i := from; i < to; i += TriangleStrip {
		rows := min(TriangleStrip, to-i)
		solveLowerRightAlone(NoTrans, l.View(0, 0, i+rows, i+rows), b.View(i, 0, rows, i+rows))
	}
}

// SolveLowerHalf overwrites the lower triangle of the square b with that of L^-T b for the lower triangular L (its strict upper triangle is not read), in a third of the work of
// SolveLower and more. What is above the diagonal of b is unspecified after the call.
func SolveLowerHalf[T Float](l, b Matrix[T]) {
	n := b.Rows
	l.mustHave(n, n, "SolveLowerHalf")
	b.mustHave(n, n, "SolveLowerHalf")
	if p := triangularParts[T](triangleTimes(n, n)/3, n); p != nil {
		p.run(solveHalf, Transposed, l, b, Matrix[T]{})
		return
	}
	solveLowerStrips(Transposed, l, b, 0, n)
}
