package gonumblas

import (
	"github.com/spdopt/spdopt/internal/dense"
	"gonum.org/v1/gonum/blas"
)

// The functions of this file return false, without having done anything, when an argument is one that gonum rejects. The caller then lets gonum
// panic.

// view returns the r x c matrix in a, and false if a, with its stride, cannot hold it.
func view[T dense.Float](r, c int, a []T, stride int) (dense.Matrix[T], bool) {
	if r < 0 || c < 0 || stride < max(1, c) {
		return dense.Matrix[T]{}, false
	}
	if r == 0 || c == 0 {
		return dense.Matrix[T]{Rows: r, Cols: c, Stride: stride}, true
	}
	if len(a) < (r-1)*stride+c {
		return dense.Matrix[T]{}, false
	}
	return dense.Matrix[T]{Rows: r, Cols: c, Stride: stride, Data: a}, true
}

func transpose(t blas.Transpose) (dense.Trans, bool) {
	switch t {
	case blas.NoTrans:
		return dense.NoTrans, true
	case blas.Trans, blas.ConjTrans:
		return dense.Transposed, true
	}
	return dense.NoTrans, false
}

func triangle(ul blas.Uplo) (dense.Triangle, bool) {
	switch ul {
	case blas.Upper:
		return dense.Upper, true
	case blas.Lower:
		return dense.Lower, true
	}
	return dense.Upper, false
}

// operand returns the view of a whose op is r x c.
func operand[T dense.Float](t dense.Trans, r, c int, a []T, stride int) (dense.Matrix[T], bool) {
	if t {
		r, c = c, r
	}
	return view(r, c, a, stride)
}

func gemm[T dense.Float](tA, tB blas.Transpose, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) bool {
	ta, ok1 := transpose(tA)
	tb, ok2 := transpose(tB)
	if !ok1 || !ok2 {
		return false
	}
	ma, ok1 := operand(ta, m, k, a, lda)
	mb, ok2 := operand(tb, k, n, b, ldb)
	mc, ok3 := view(m, n, c, ldc)
	if !ok1 || !ok2 || !ok3 {
		return false
	}
	dense.Gemm(ta, tb, alpha, ma, mb, beta, mc)
	return true
}

func syrk[T dense.Float](ul blas.Uplo, t blas.Transpose, n, k int, alpha T, a []T, lda int, beta T, c []T, ldc int) bool {
	half, ok1 := triangle(ul)
	ta, ok2 := transpose(t)
	if !ok1 || !ok2 {
		return false
	}
	ma, ok1 := operand(ta, n, k, a, lda)
	mc, ok2 := view(n, n, c, ldc)
	if !ok1 || !ok2 {
		return false
	}
	dense.GemmTriangle(half, ta, !ta, alpha, ma, ma, beta, mc)
	return true
}

func syr2k[T dense.Float](ul blas.Uplo, t blas.Transpose, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) bool {
	half, ok1 := triangle(ul)
	ta, ok2 := transpose(t)
	if !ok1 || !ok2 {
		return false
	}
	ma, ok1 := operand(ta, n, k, a, lda)
	mb, ok2 := operand(ta, n, k, b, ldb)
	mc, ok3 := view(n, n, c, ldc)
	if !ok1 || !ok2 || !ok3 {
		return false
	}
	dense.GemmTriangle(half, ta, !ta, alpha, ma, mb, beta, mc)
	dense.GemmTriangle(half, ta, !ta, alpha, mb, ma, 1, mc)
	return true
}

func symm[T dense.Float](side blas.Side, ul blas.Uplo, m, n int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) bool {
	half, ok := triangle(ul)
	size, ok2 := orderOf(side, m, n)
	if !ok || !ok2 {
		return false
	}
	ma, ok1 := view(size, size, a, lda)
	mb, ok2 := view(m, n, b, ldb)
	mc, ok3 := view(m, n, c, ldc)
	if !ok1 || !ok2 || !ok3 {
		return false
	}
	data, loan := dense.Borrow[T](size * size)
	defer loan.Return()
	full := dense.Wrap(size, size, data)
	if half == dense.Upper {
		full.Copy(ma)
	} else {
		dense.Transpose(full, ma)
	}
	dense.Mirror(full)
	if side == blas.Left {
		dense.Gemm(dense.NoTrans, dense.NoTrans, alpha, full, mb, beta, mc)
	} else {
		dense.Gemm(dense.NoTrans, dense.NoTrans, alpha, mb, full, beta, mc)
	}
	return true
}

// orderOf returns the order of the square operand of a product with an m x n matrix.
func orderOf(side blas.Side, m, n int) (int, bool) {
	switch side {
	case blas.Left:
		return m, true
	case blas.Right:
		return n, true
	}
	return 0, false
}

// lower describes a triangular operand as op(L) of a lower triangular L.
type lower[T dense.Float] struct {
	l    dense.Matrix[T]
	t    dense.Trans
	loan dense.Loan
	lent bool
}

func (o *lower[T]) close() {
	if o.lent {
		o.loan.Return()
	}
}

// lowerOf returns the triangular operand; an upper triangle is copied, and so is one whose unit diagonal is not stored.
func lowerOf[T dense.Float](ul blas.Uplo, t blas.Transpose, d blas.Diag, n int, a []T, lda int) (lower[T], bool) {
	half, ok1 := triangle(ul)
	ta, ok2 := transpose(t)
	ma, ok3 := view(n, n, a, lda)
	if !ok1 || !ok2 || !ok3 || d != blas.Unit && d != blas.NonUnit {
		return lower[T]{}, false
	}
	if half == dense.Lower && d == blas.NonUnit {
		return lower[T]{l: ma, t: ta}, true
	}
	data, loan := dense.Borrow[T](n * n)
	o := lower[T]{l: dense.Wrap(n, n, data), t: ta, loan: loan, lent: true}
	if half == dense.Upper {
		dense.Transpose(o.l, ma)
		o.t = !ta
	} else {
		o.l.Copy(ma)
	}
	if d == blas.Unit {
		for i := range n {
			o.l.Set(i, i, 1)
		}
	}
	return o, true
}

func trsm[T dense.Float](side blas.Side, ul blas.Uplo, t blas.Transpose, d blas.Diag, m, n int, alpha T, a []T, lda int, b []T, ldb int) bool {
	size, ok1 := orderOf(side, m, n)
	mb, ok2 := view(m, n, b, ldb)
	if !ok1 || !ok2 {
		return false
	}
	o, ok := lowerOf(ul, t, d, size, a, lda)
	if !ok {
		return false
	}
	defer o.close()
	if alpha == 0 {
		mb.Zero()
		return true
	}
	if alpha != 1 {
		for i := range m {
			dense.Scale(alpha, mb.Row(i), mb.Row(i))
		}
	}
	if side == blas.Left {
		dense.SolveLower(o.t, o.l, mb)
	} else {
		dense.SolveLowerRight(o.t, o.l, mb)
	}
	return true
}

func trmm[T dense.Float](side blas.Side, ul blas.Uplo, t blas.Transpose, d blas.Diag, m, n int, alpha T, a []T, lda int, b []T, ldb int) bool {
	size, ok1 := orderOf(side, m, n)
	mb, ok2 := view(m, n, b, ldb)
	if !ok1 || !ok2 {
		return false
	}
	o, ok := lowerOf(ul, t, d, size, a, lda)
	if !ok {
		return false
	}
	defer o.close()
	if alpha == 0 {
		mb.Zero()
		return true
	}
	data, loan := dense.Borrow[T](m * n)
	defer loan.Return()
	from := dense.Wrap(m, n, data)
	for i := range m {
		dense.Scale(alpha, mb.Row(i), from.Row(i))
	}
	if side == blas.Left {
		dense.MulLower(o.t, o.l, from, mb)
	} else {
		dense.MulLowerRight(o.t, o.l, from, mb)
	}
	return true
}

func gemv[T dense.Float](t blas.Transpose, m, n int, alpha T, a []T, lda int, x []T, incX int, beta T, y []T, incY int) bool {
	ta, ok1 := transpose(t)
	ma, ok2 := view(m, n, a, lda)
	if !ok1 || !ok2 || incX != 1 || incY != 1 {
		return false
	}
	if ta {
		m, n = n, m
	}
	if m == 0 || n == 0 || len(x) < n || len(y) < m {
		return false
	}
	dense.Gemv(ta, alpha, ma, x[:n], beta, y[:m])
	return true
}

func ger[T dense.Float](m, n int, alpha T, x []T, incX int, y []T, incY int, a []T, lda int) bool {
	ma, ok := view(m, n, a, lda)
	if !ok || incX != 1 || incY != 1 || m == 0 || n == 0 || len(x) < m || len(y) < n {
		return false
	}
	dense.Ger(alpha, x[:m], y[:n], ma)
	return true
}
