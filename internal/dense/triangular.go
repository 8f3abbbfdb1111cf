package dense

import "math"

// Cholesky overwrites the lower triangle of the symmetric a (whose lower triangle is read) with L such that a = L L^T, and clears the strict
// upper triangle. It returns -1, or the index of the first pivot that is not positive, in which case a holds a partial factor.
func Cholesky[T Float](a Matrix[T]) int {
	n := a.Rows
	for j := range n {
		s := a.At(j, j)
		for k := range j {
			s -= a.At(j, k) * a.At(j, k)
		}
		if !(s > 0) {
			return j
		}
		p := T(math.Sqrt(float64(s)))
		a.Set(j, j, p)
		for i := j + 1; i < n; i++ {
			s := a.At(i, j)
			for k := range j {
				s -= a.At(i, k) * a.At(j, k)
			}
			a.Set(i, j, s/p)
			a.Set(j, i, 0)
		}
	}
	return -1
}

// SolveLower overwrites b with op(L)^-1 b for the lower triangular L (its strict upper triangle is not read).
func SolveLower[T Float](tl Trans, l, b Matrix[T]) {
	n := l.Rows
	for c := range b.Cols {
		for s := range n {
			i := s
			if tl {
				i = n - 1 - s
			}
			v := b.At(i, c)
			if tl {
				for k := i + 1; k < n; k++ {
					v -= l.At(k, i) * b.At(k, c)
				}
			} else {
				for k := range i {
					v -= l.At(i, k) * b.At(k, c)
				}
			}
			b.Set(i, c, v/l.At(i, i))
		}
	}
}

// SolveLowerRight overwrites b with b op(L)^-1 for the lower triangular L (its strict upper triangle is not read).
func SolveLowerRight[T Float](tl Trans, l, b Matrix[T]) {
	t := New[T](b.Cols, b.Rows)
	for i := range b.Rows {
		for j := range b.Cols {
			t.Set(j, i, b.At(i, j))
		}
	}
	SolveLower(!tl, l, t)
	for i := range b.Rows {
		for j := range b.Cols {
			b.Set(i, j, t.At(j, i))
		}
	}
}

// InvertLower overwrites the lower triangular l with its inverse; the strict upper triangle is not touched.
func InvertLower[T Float](l Matrix[T]) {
	n := l.Rows
	x := New[T](n, n)
	x.Identity()
	SolveLower(NoTrans, l, x)
	for i := range n {
		copy(l.Row(i)[:i+1], x.Row(i)[:i+1])
	}
}

// MulLower sets dst = op(L) b for the lower triangular L (its strict upper triangle is not read), in half the work of Gemm. dst must not
// overlap l or b.
func MulLower[T Float](tl Trans, l, b, dst Matrix[T]) {
	n := l.Rows
	for i := range n {
		for c := range b.Cols {
			var s T
			lo, hi := 0, i+1
			if tl {
				lo, hi = i, n
			}
			for k := lo; k < hi; k++ {
				s += opAt(tl, l, i, k) * b.At(k, c)
			}
			dst.Set(i, c, s)
		}
	}
}
