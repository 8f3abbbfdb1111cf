package roots

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// columns is the workspace for right-hand sides and for the shifted systems.
type columns[T dense.Float] struct {
	in, y      []T // n x k
	u, v2      []T
	v          []T
	g, z, prev []T // n x (poles k)
	mz, inv    []T
	poles      []T
	weights    []T
	sum, res   []T
	f, norm    []float64
	shifted    dense.Shifted[T]
}

func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/4)[:n]
	}
	return s[:n]
}

func (c *columns[T]) pair(n, k int) (a, b dense.Matrix[T]) {
	c.u, c.v2 = grown(c.u, n*k), grown(c.v2, n*k)
	return dense.Wrap(n, k, c.u), dense.Wrap(n, k, c.v2)
}

// input returns the n x k matrix that apply takes its right-hand sides from and leaves its result in.
func (t *tracker[T]) input(k int) dense.Matrix[T] {
	t.cols.in = grown(t.cols.in, t.n*k)
	return dense.Wrap(t.n, k, t.cols.in)
}

// apply overwrites x with A^p x.
func (t *tracker[T]) apply(p float64, x dense.Matrix[T]) (TrackReport, error) {
	switch {
	case !t.valid:
		return TrackReport{}, errNoMatrix
	case math.IsNaN(p) || math.IsInf(p, 0):
		return TrackReport{}, &MethodError{"tracker", "the exponent must be finite"}
	}
	if err := finite(x); err != nil {
		return TrackReport{}, err
	}
	if t.n == 0 || p == 0 || x.Cols == 0 {
		return t.report(), nil
	}
	pieces, q := split(p)
	if err := t.inRange(p); err != nil {
		return TrackReport{}, err
	}
	tol := t.tol / float64(pieces)
	sweeps, order := t.plan(q, x.Cols, tol)
	rep := t.report()
	rep.Sweeps, rep.Order = sweeps, order
	y := dense.Wrap(t.n, x.Cols, grown(t.cols.y, t.n*x.Cols))
	t.cols.y = y.Data
	t.mulBasis(dense.Transposed, x, y)
	madds := 2 * float64(t.n) * float64(t.n) * float64(x.Cols)
	var e float64
	for range pieces {
		switch {
		case q == 1:
			x.Copy(y)
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.m, x, 0, y)
			madds += float64(t.n) * float64(t.n) * float64(x.Cols)
		case order >= 0:
			e += t.applyOrder(q, order, y, x)
			madds += float64(order) * float64(t.n) * float64(t.n) * float64(x.Cols)
		default:
			b, its := t.applyShifted(q, y, tol)
			e += b
			rep.Iterations += its
			w := float64(its*len(t.fit.s)) * float64(t.n) * float64(t.n) * float64(x.Cols)
			madds += w
			t.owe(thin*t.work(w), x.Cols)
		}
	}
	t.mulBasis(dense.NoTrans, y, x)
	rep.Work = t.work(madds) + 3.5*float64(sweeps)
	rep.Bound = e + t.roundingPower(p)
	return rep, nil
}

// split returns p as so many times q, |q| <= 1.
func split(p float64) (pieces int, q float64) {
	pieces = max(1, int(math.Ceil(math.Abs(p))))
	return pieces, p / float64(pieces)
}

// owe adds what an application to k columns cost beyond the first one after the last rotation, per column, to the debt.
func (t *tracker[T]) owe(cost float64, k int) {
	if t.base == 0 {
		t.base = cost / float64(k)
	}
	t.debt += max(0, cost-t.base*float64(k))
}

// mulBasis sets dst = op(B) x.
func (t *tracker[T]) mulBasis(op dense.Trans, x, dst dense.Matrix[T]) {
	if x.Cols == 1 {
		dense.Gemv(op, 1, t.b, x.Data, 0, dst.Data)
		return
	}
	dense.Gemm(op, dense.NoTrans, 1, t.b, x, 0, dst)
}

// thin is how much slower products with a few columns run than square ones.
const thin = 1.5

// maxTrackedPower bounds |p|: a power is applied in ceil(|p|) pieces.
const maxTrackedPower = 1024

// inRange refuses exponents whose result leaves the floating-point range.
func (t *tracker[T]) inRange(p float64) error {
	low, high := exponents(t.single)
	l := t.top
	if p < 0 {
		l = t.theta * t.dmin
	}
	if v := p * math.Log2(l); v >= high-4 || v < low {
		return newRangeError(KindPow, p, l, v, t.single)
	}
	if math.Abs(p) > maxTrackedPower {
		return &MethodError{"tracker", fmt.Sprintf("powers beyond %d are not applied piece by piece; use Pow", maxTrackedPower)}
	}
	return nil
}

// expansion returns the order of the Taylor expansion around D that meets tol, or -1; highest is 1 or 2.
func (t *tracker[T]) expansion(tol float64, highest int) int {
	e := t.bound
	if e >= 1 {
		return -1
	}
	for k := 0; k <= highest; k++ {
		if e/(1-t.bound) <= tol {
			return k
		}
		e *= t.bound
	}
	return -1
}

// room is what rounding leaves of the tolerance, or the fourth part of it where that is less.
func (t *tracker[T]) room(q, tol float64) float64 {
	return max(tol-t.rounding(q, t.theta*t.dmin), tol/4)
}

// fitShare is the part of the tolerance that the error of a fit may be; it counts twice.
const fitShare = 6

// plan rotates the basis as far as that pays and returns how the power is to be applied to k columns: the order of the expansion, or -1 for
// shifted systems.
func (t *tracker[T]) plan(q float64, k int, tol float64) (sweeps, order int) {
	if q == 1 {
		return 0, 0
	}
	for ; ; sweeps++ {
		if order = t.expansion(t.room(q, tol), 1); order >= 0 {
			return sweeps, order
		}
		if 4*t.nu*t.nu <= tol {
			t.tighten()
			if order = t.expansion(t.room(q, tol), 1); order >= 0 {
				return sweeps, order
			}
		}
		low := t.theta * t.dmin
		if t.fit.require(q, low, t.top, tol/fitShare) {
			cost := thin * t.work(float64(t.n)*float64(t.n)*float64(k*len(t.fit.s))*t.iterations(tol))
			if t.debt+max(0, cost-t.base*float64(k)) <= t.sweep || sweeps == maxSweeps {
				return sweeps, -1
			}
		} else if sweeps >= maxSweeps {
			// Neither the fit nor rotations reach the tolerance: nothing but a decomposition is left. The bound tells where that fails too.
			if t.refresh() != nil {
				return sweeps, -1
			}
			continue
		}
		t.rotate()
	}
}

// iterations predicts how many Chebyshev steps reduce the error to tol.
func (t *tracker[T]) iterations(tol float64) float64 {
	a, b := t.interval()
	r := math.Sqrt(b / a)
	rate := (r - 1) / (r + 1)
	return math.Ceil(max(1, math.Log(tol/4)/math.Log(max(rate, 1e-16))))
}

// estimateMargin raises the estimate of ||x||_2, which comes from below.
const estimateMargin = 1.1

// interval returns the range in which the spectrum of I + x is taken to lie.
func (t *tracker[T]) interval() (a, b float64) {
	r := min(estimateMargin*t.nu, t.bound)
	return max(t.theta, 1-r), 1 + r
}

// applyOrder overwrites y with f(M) y by the expansion of order 0 or 1 around D, f = x^q: D^q y + (F o E) y with the divided differences
// F_ij = (d_i^q - d_j^q)/(d_i - d_j). x is workspace. It returns the relative error bound.
func (t *tracker[T]) applyOrder(q float64, order int, y, x dense.Matrix[T]) float64 {
	n := t.n
	f := grown(t.cols.f, n)
	t.cols.f = f
	dense.Pow(f, t.d, q)
	if order == 1 {
		t.loewner(q, f, t.w1)
		x.Copy(y)
		scaleRows(y, f)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.w1, x, 1, y)
		return t.bound * t.bound / (1 - t.bound)
	}
	scaleRows(y, f)
	return t.bound / (1 - t.bound)
}

func scaleRows[T dense.Float](y dense.Matrix[T], f []float64) {
	for i, v := range f {
		row := y.Row(i)
		for c := range row {
			row[c] *= T(v)
		}
	}
}

// loewner sets dst = F o offdiag(m).
func (t *tracker[T]) loewner(q float64, f []float64, dst dense.Matrix[T]) {
	for i := range t.n {
		row, src := dst.Row(i), t.m.Row(i)
		di, fi := t.d[i], f[i]
		for j := i + 1; j < t.n; j++ {
			gap := di - t.d[j]
			var v float64
			if math.Abs(gap) > 1e-5*di {
				v = (fi - f[j]) / gap
			} else {
				v = q * math.Pow((di+t.d[j])/2, q-1)
			}
			row[j] = T(v) * src[j]
		}
		row[i] = 0
	}
	dense.Mirror(dst)
}
