package roots

import (
	"cmp"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// Pow sets dst = A^p for any real p. A must be positive definite unless p is a non-negative integer, and may be semi-definite for p > 0.
// An empty dst takes the size of A; dst may be a. Cost by method: see Methods; about 7 GEMM-equivalents by eigendecomposition.
func Pow(dst *mat.SymDense, a mat.Symmetric, p float64, o *Options) (Report, error) {
	return Compute(dst, a, Query{Kind: KindPow, Power: p}, o)
}

// Sqrt sets dst to the principal square root of the positive semi-definite A; as Pow with p = 1/2.
func Sqrt(dst *mat.SymDense, a mat.Symmetric, o *Options) (Report, error) {
	return Compute(dst, a, Query{Kind: KindSqrt}, o)
}

// Inv sets dst to the inverse of the positive-definite A (one GEMM-equivalent, by Cholesky), or to its pseudo-inverse under Options.Cutoff.
func Inv(dst *mat.SymDense, a mat.Symmetric, o *Options) (Report, error) {
	return Compute(dst, a, Query{Kind: KindInv}, o)
}

// Log sets dst to the principal logarithm of the positive-definite A.
func Log(dst *mat.SymDense, a mat.Symmetric, o *Options) (Report, error) {
	return Compute(dst, a, Query{Kind: KindLog}, o)
}

// Exp sets dst to the exponential of the symmetric A, which need not be definite.
func Exp(dst *mat.SymDense, a mat.Symmetric, o *Options) (Report, error) {
	return Compute(dst, a, Query{Kind: KindExp}, o)
}

// Compute sets dst to the function of the symmetric A that q.Kind and q.Power name (every kind but polar, which takes any matrix: Polar). The
// other fields of q are filled in. An empty dst takes the size of A; dst may be a.
func Compute(dst *mat.SymDense, a mat.Symmetric, q Query, o *Options) (Report, error) {
	if err := cmp.Or(present("a", a), present("dst", dst)); err != nil {
		return Report{}, err
	}
	n := a.SymmetricDim()
	if dst.IsEmpty() && n > 0 {
		dst.ReuseAsSym(n)
	} else if dst.SymmetricDim() != n {
		mistake("dst is %d x %[1]d, a %d x %[2]d", dst.SymmetricDim(), n)
	}
	full := symmetric(a)
	x := dense.New[float64](n, n)
	q.Columns = 0
	rep, err := compute(x, full, dense.Matrix[float64]{}, q, o)
	if err == nil || isAccuracy(err) {
		raw := dst.RawSymmetric()
		for i := range n {
			copy(raw.Data[i*raw.Stride+i:i*raw.Stride+n], x.Row(i)[i:])
		}
	}
	return rep, err
}

// Apply sets dst = f(A) X for the n x k matrix X without promising to form f(A); q is as in Compute, and Report.Bound then bounds
// ||dst - f(A) X||_F / (||f(A)||_2 ||X||_F). An empty dst takes the size of X; dst may be x.
func Apply(dst *mat.Dense, a mat.Symmetric, x mat.Matrix, q Query, o *Options) (Report, error) {
	if err := cmp.Or(present("a", a), present("x", x), present("dst", dst)); err != nil {
		return Report{}, err
	}
	n := a.SymmetricDim()
	r, k := x.Dims()
	if r != n {
		mistake("Apply: x has %d rows, a %d", r, n)
	}
	rhs := dense.New[float64](r, k)
	for i := range r {
		for c := range k {
			rhs.Set(i, c, x.At(i, c))
		}
	}
	if dst.IsEmpty() && n*k > 0 {
		dst.ReuseAs(n, k)
	} else if dr, dc := dst.Dims(); n*k > 0 && (dr != n || dc != k) {
		mistake("Apply: dst is %d x %d, x %d x %d", dr, dc, n, k)
	}
	out := dense.New[float64](n, k)
	q.Columns = k
	rep, err := compute(out, symmetric(a), rhs, q, o)
	if err == nil || isAccuracy(err) {
		for i := range n {
			copy(dst.RawRowView(i), out.Row(i))
		}
	}
	return rep, err
}

// symmetric copies a into full storage.
func symmetric(a mat.Symmetric) dense.Matrix[float64] {
	n := a.SymmetricDim()
	m := dense.New[float64](n, n)
	if s, ok := a.(mat.RawSymmetricer); ok {
		raw := s.RawSymmetric()
		for i := range n {
			copy(m.Row(i)[i:], raw.Data[i*raw.Stride+i:i*raw.Stride+n])
		}
	} else {
		for i := range n {
			for j := i; j < n; j++ {
				m.Set(i, j, a.At(i, j))
			}
		}
	}
	dense.Mirror(m)
	return m
}
