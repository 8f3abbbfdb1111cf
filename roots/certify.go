package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// certify measures m: d = diag(m), the off-diagonal part tau, ||m||_F, and with x = D^(-1/2) offdiag(m) D^(-1/2) an estimate nu of ||x||_2, a
// certified bound of it, a certified theta with I + x >= theta I (0: none found) and a certified bound top of the spectrum. low, where
// not nil, are certified numbers with m >= diag(low), which often spare the factorization that finds theta.
func (t *tracker[T]) certify(low []float64) {
	n := t.n
	t.theta, t.bound, t.nu, t.tau, t.top = 0, math.Inf(1), math.Inf(1), 1, math.Inf(1)
	t.dmin, t.dmax = math.Inf(1), 0
	var diag, off, coupling float64
	for i := range n {
		t.diag[i] = t.m.At(i, i)
		v := float64(t.diag[i])
		t.d[i] = v
		if !(v > 0) {
			return
		}
		diag += v * v
		t.dmin, t.dmax = min(t.dmin, v), max(t.dmax, v)
	}
	dense.Sqrt(t.s, t.diag)
	for i, s := range t.s {
		t.r[i] = 1 / s
	}
	for i := range n {
		plain, weighted := dense.WeightedSquares(t.m.Row(i)[i+1:], t.r[i+1:])
		off += 2 * float64(plain)
		coupling += 2 * float64(weighted) / t.d[i]
	}
	t.fro = math.Sqrt(diag + off)
	t.tau = math.Sqrt(off) / t.fro
	t.top = t.fro
	t.bound = math.Sqrt(coupling)
	t.theta = max(0, 1-t.bound)
	t.estimate()
	if low != nil {
		theta := math.Inf(1)
		for i, l := range low {
			theta = min(theta, l/t.d[i])
		}
		t.theta = max(t.theta, theta)
	}
	if t.theta < poorTheta {
		t.theta = max(t.theta, t.positive())
	}
}

// poorTheta is the theta below which a factorization for a better one pays: the error bounds are in proportion to 1/theta, and an iteration more
// makes up for a factor of 10 or so at less than half of what a factorization costs.
const poorTheta = 0.2

// estimate sets nu by a power step on x from the last call's vector, or some from a fixed one.
func (t *tracker[T]) estimate() {
	n := t.n
	if len(t.cols.v) < 2*n {
		t.cols.v = make([]T, 2*n)
	}
	v, y := t.cols.v[:n], t.cols.v[n:2*n]
	steps := 1
	if dense.Dot(t.probe, t.probe) == 0 {
		steps = 4
		for i := range t.probe {
			t.probe[i] = math.Sin(float64(3*i*i + 1))
		}
	}
	t.nu = 0
	for range steps {
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
			clear(t.probe)
			t.nu = 0
			return
		}
		t.probe, t.probe2 = t.probe2, t.probe
	}
}

// positive returns a theta for which a Cholesky factorization proves (1-theta) I + x positive definite: what the estimate nu suggests, or 1/2
// or 1/8, or 0. The diagonal is 1, so that rounding in the factorization (below n eps) is far smaller than theta.
func (t *tracker[T]) positive() float64 {
	for _, theta := range [...]float64{1 - 1.5*t.nu, 0.5, 0.125} {
		if theta < 0.125 || theta <= t.theta {
			continue
		}
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
		for j, v := range src {
			dst[j] = v * ri * t.r[j]
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
