package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// certify measures m: d = diag(m), the off-diagonal part tau, and with x = D^(-1/2) offdiag(m) D^(-1/2) an estimate nu of ||x||_2, a
// certified bound of it, a certified theta with I + x >= theta I (0: none found) and a certified bound top of the spectrum. low, where
// not nil, are certified numbers with m >= diag(low), which spare the factorization that finds theta.
func (t *tracker[T]) certify(low []float64) {
	n := t.n
	t.theta, t.bound, t.nu, t.tau, t.top = 0, math.Inf(1), math.Inf(1), 1, math.Inf(1)
	var trace, diag float64
	for i := range n {
		v := float64(t.m.At(i, i))
		t.d[i] = v
		if !(v > 0) {
			return
		}
		t.s[i] = T(math.Sqrt(v))
		t.r[i] = 1 / t.s[i]
		trace += v
		diag += v * v
	}
	off, fro, rows := t.norms()
	t.tau = math.Sqrt(off / (diag + off))
	t.bound = math.Sqrt(fro)
	t.estimate()
	t.theta = 1 - t.bound
	if t.theta < 0.1 && low != nil {
		for i, l := range low {
			if i == 0 || l/t.d[i] < t.theta {
				t.theta = l / t.d[i]
			}
		}
	}
	if t.theta < 0.1 {
		t.theta = t.positive()
	}
	t.top = min(trace, rows)
	if t.theta <= 0 {
		t.top = rows
	}
}

// norms returns ||offdiag(m)||_F^2, ||x||_F^2 and the largest absolute row sum of m.
func (t *tracker[T]) norms() (off, fro, rows float64) {
	for i := range t.n {
		ri := t.r[i]
		var o, f, sum T
		for j, v := range t.m.Row(i) {
			if j == i {
				sum += v
				continue
			}
			if v < 0 {
				sum -= v
			} else {
				sum += v
			}
			o += v * v
			v *= ri * t.r[j]
			f += v * v
		}
		off += float64(o)
		fro += float64(f)
		rows = max(rows, float64(sum))
	}
	return off, fro, rows
}

// estimate sets nu by two power steps on x from the last call's vector.
func (t *tracker[T]) estimate() {
	n := t.n
	if len(t.cols.v) < 2*n {
		t.cols.v = make([]T, 2*n)
	}
	v, y := t.cols.v[:n], t.cols.v[n:2*n]
	if dense.Dot(t.probe, t.probe) == 0 {
		for i := range t.probe {
			t.probe[i] = math.Sin(float64(3*i*i + 1))
		}
	}
	t.nu = 0
	for range 2 {
		c := 1 / math.Sqrt(dense.Dot(t.probe, t.probe))
		for i, p := range t.probe {
			v[i] = T(p*c) * t.r[i]
		}
		dense.Gemv(dense.NoTrans, 1, t.m, v, 0, y)
		var s float64
		for i := range y {
			u := float64((y[i] - T(t.d[i])*v[i]) * t.r[i])
			t.probe2[i] = u
			s += u * u
		}
		if t.nu = math.Sqrt(s); t.nu < 1e-30 {
			t.nu = 0
			return
		}
		t.probe, t.probe2 = t.probe2, t.probe
	}
}

// positive returns theta in {1/2, 1/8, 0} such that a Cholesky factorization proves (1-theta) I + x positive definite. The diagonal is 1,
// so that rounding in the factorization (below n eps) is far smaller than theta.
func (t *tracker[T]) positive() float64 {
	for _, theta := range [...]float64{0.5, 0.125} {
		for i := range t.n {
			dst, src := t.w1.Row(i)[:i+1], t.m.Row(i)
			ri := t.r[i]
			for j := range i {
				dst[j] = src[j] * ri * t.r[j]
			}
			dst[i] = T(1 - theta)
		}
		if dense.Cholesky(t.w1) < 0 {
			return theta
		}
	}
	return 0
}

// tighten replaces the Frobenius bound of ||x||_2 by ||x x||_F^(1/2), which is at most (2 n)^(1/4) too large for random x, for half a product.
func (t *tracker[T]) tighten() {
	n := t.n
	for i := range n {
		dst, src := t.w1.Row(i), t.m.Row(i)
		ri := t.r[i]
		for j := range n {
			dst[j] = src[j] * ri * t.r[j]
		}
		dst[i] = 0
	}
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, t.w1, t.w1, 0, t.w2)
	var s float64
	for i := range n {
		row := t.w2.Row(i)[i:]
		s += float64(row[0]) * float64(row[0])
		for _, v := range row[1:] {
			s += 2 * float64(v) * float64(v)
		}
	}
	// Rounding of the product is below n eps relative to ||x||_F^2.
	s = math.Sqrt(s) + float64(n)*t.eps()*t.bound*t.bound
	t.bound = min(t.bound, math.Sqrt(s))
	t.theta = max(t.theta, 1-t.bound)
}
