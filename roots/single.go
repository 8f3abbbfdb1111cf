package roots

import (
	"errors"
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
)

// SingleTol is the tolerance of the float32 functions when Options.Tol is 0: the accuracy that they keep up to condition numbers of about 10^6
// and beyond by going on in float64.
const SingleTol = 1e-3

// Compute32 is Compute for float32 data: dst and a are row-major n x n, of which a's upper triangle is read; dst may be a. Options.Tol = 0
// means SingleTol. Products run in float32, factorizations in float64. Where no float32 method promises the tolerance, or the one asked
// for does not, the whole computation is repeated in float64 and rounded, and Report.Promoted says so; under Options.KeepSingle that is a
// PrecisionError instead.
func Compute32(dst, a []float32, n int, q Query, o *Options) (Report, error) {
	return compute32(dst, a, nil, n, 0, q, o)
}

// Pow32 sets dst = A^p as Compute32 does.
func Pow32(dst, a []float32, n int, p float64, o *Options) (Report, error) {
	return Compute32(dst, a, n, Query{Kind: KindPow, Power: p}, o)
}

// Apply32 sets dst = f(A) X for float32 data, X and dst being row-major n x k, as Compute32 and Apply do; dst may be x.
func Apply32(dst, a, x []float32, n, k int, q Query, o *Options) (Report, error) {
	if n < 0 || k < 0 || len(x) < n*k {
		mistake("Apply32: x of %d elements does not hold %d x %d", len(x), n, k)
	}
	return compute32(dst, a, x, n, k, q, o)
}

func compute32(dst, a, x []float32, n, k int, q Query, o *Options) (Report, error) {
	cols := n
	if k > 0 {
		cols = k
	}
	if n < 0 || len(a) < n*n || len(dst) < n*cols {
		mistake("float32: a of %d elements does not hold %d x %[2]d, or dst of %d not %[2]d x %d", len(a), n, len(dst), cols)
	}
	opt := Options{}
	if o != nil {
		opt = *o
	}
	if opt.Tol == 0 {
		opt.Tol = SingleTol
	}
	m := dense.New[float32](n, n)
	for i := range n {
		copy(m.Row(i)[i:], a[i*n+i:(i+1)*n])
	}
	dense.Mirror(m)
	var rhs dense.Matrix[float32]
	if k > 0 {
		rhs = dense.Wrap(n, k, append([]float32(nil), x[:n*k]...))
	}
	q.Columns = k
	out := dense.New[float32](n, cols)
	rep, err := compute(out, m.Clone(), rhs, q, &opt)
	var missed *AccuracyError
	var failed *MethodError
	var overflow *RangeError
	again := errors.As(err, &missed) || errors.As(err, &failed) || errors.As(err, &overflow)
	if !again {
		if err == nil {
			copy(dst[:n*cols], out.Data)
		}
		return rep, err
	}
	if opt.KeepSingle {
		if missed != nil {
			err = &PrecisionError{missed.Method, missed.Bound, missed.Tol, missed.Cond}
		}
		return rep, err
	}
	return promote(dst, m, rhs, q, &opt, err)
}

// promote repeats a float32 computation in float64.
func promote(dst []float32, m, rhs dense.Matrix[float32], q Query, o *Options, why error) (Report, error) {
	n := m.Rows
	cols := n
	a := dense.New[float64](n, n)
	convert(a, m)
	var x dense.Matrix[float64]
	if q.Columns > 0 {
		cols = q.Columns
		x = dense.New[float64](n, cols)
		convert(x, rhs)
	}
	out := dense.New[float64](n, cols)
	rep, err := compute(out, a, x, q, o)
	if err != nil && !isAccuracy(err) {
		return rep, err
	}
	rounded := dense.Wrap(n, cols, dst)
	convert(rounded, out)
	rep.Bound += 0x1p-24
	rep.Promoted = fmt.Sprintf("float64: %v", why)
	if e := finite(rounded); e != nil {
		return rep, fmt.Errorf("roots: result leaves the float32 range: %w", e)
	}
	return rep, err
}
