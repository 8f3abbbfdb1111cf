package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// form returns A^p in a matrix that is valid until the next call; its upper triangle is filled.
func (t *tracker[T]) form(p float64) (dense.Matrix[T], TrackReport, error) {
	if !t.valid {
		return t.w1, TrackReport{}, errNoMatrix
	}
	if math.IsNaN(p) || math.IsInf(p, 0) {
		return t.w1, TrackReport{}, &MethodError{"tracker", "the exponent must be finite"}
	}
	if err := t.inRange(p); err != nil {
		return t.w1, TrackReport{}, err
	}
	n := t.n
	if n == 0 {
		return t.w1, TrackReport{}, nil
	}
	pieces, q := split(p)
	tol := t.tol / float64(pieces)
	sweeps, order := t.planForm(q, tol)
	rep := t.report()
	rep.Sweeps, rep.Order, rep.Work = sweeps, order, 3.5*float64(sweeps)+1.5
	f := grown(t.cols.f, n)
	t.cols.f = f
	dense.Pow(f, t.d, q)
	s := t.w1
	switch {
	case order == 0 || q == 1 || p == 0:
		s.Zero()
	default:
		t.loewner(q, f, s)
	}
	if q == 1 {
		s.Copy(t.m)
	}
	if order == 2 && q != 1 && p != 0 {
		t.addSecond(q, f, s)
		rep.Work += 1
	}
	if q != 1 {
		for i, v := range f {
			s.Set(i, i, s.At(i, i)+T(v))
		}
	}
	x := t.raise(s, pieces)
	rep.Work += 1.5 * float64(powerProducts(pieces))
	e := t.bound
	for range order {
		e *= t.bound
	}
	if q == 1 || p == 0 {
		e = 0
	} else {
		e /= 1 - t.bound
	}
	rep.Bound = float64(pieces)*math.Pow(1+e, float64(pieces-1))*e + float64(pieces)*t.rounding(q, t.theta*t.dmin)
	return x, rep, nil
}

// planForm rotates until the expansion of order 0, 1 or 2 meets tol.
func (t *tracker[T]) planForm(q, tol float64) (sweeps, order int) {
	for ; ; sweeps++ {
		if order = t.expansion(t.room(q, tol), 2); order >= 0 {
			return sweeps, order
		}
		if t.nu < 0.3 && 20*t.nu*t.nu*t.nu <= tol {
			t.tighten()
			if order = t.expansion(t.room(q, tol), 2); order >= 0 {
				return sweeps, order
			}
		}
		if sweeps == maxSweeps && t.refresh() == nil {
			continue
		}
		if sweeps > 2*maxSweeps {
			return sweeps, 2
		}
		t.rotate()
	}
}

// addSecond adds the second-order term of f(D + E) to s, which holds F o E on entry and keeps its role as scratch: the sum over k of
// f[d_i, d_k, d_j] e_ik e_kj equals [(F o E) E - E (F o E)]_ij / (d_i - d_j), one product; where d_i and d_j are too close for the
// quotient, and on the diagonal, it is summed directly.
func (t *tracker[T]) addSecond(q float64, f []float64, s dense.Matrix[T]) {
	n := t.n
	e, p := dense.Wrap(n, n, t.cayley), dense.Wrap(n, n, t.cayley[n*n:])
	e.Copy(t.m)
	for i := range n {
		e.Set(i, i, 0)
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s, e, 0, p)
	for i := range n {
		for j := i; j < n; j++ {
			gap := t.d[i] - t.d[j]
			if math.Abs(gap) > 1e-6*t.d[i] {
				s.Set(i, j, s.At(i, j)+T(float64(p.At(i, j)-p.At(j, i))/gap))
				continue
			}
			m, fm := t.d[i], f[i]
			if i != j {
				m = (m + t.d[j]) / 2
				fm = math.Pow(m, q)
			}
			var v float64
			ei, ej := e.Row(i), e.Row(j)
			for k, dk := range t.d {
				v += secondDifference(q, m, fm, dk, f[k]) * float64(ei[k]) * float64(ej[k])
			}
			s.Set(i, j, s.At(i, j)+T(v))
		}
	}
	dense.Mirror(s)
}

// secondDifference returns f[m, k, m] of f = x^q from the values fm and fk: (f[m, k] - f'(m))/(k - m), and half the second derivative where k is close to m.
func secondDifference(q, m, fm, k, fk float64) float64 {
	gap := k - m
	if math.Abs(gap) < 1e-4*m {
		return q * (q - 1) / 2 * fm / (m * m)
	}
	return ((fk-fm)/gap - q*fm/m) / gap
}

// raise returns B s^k B^T (upper triangle) for the symmetric s, which is overwritten.
func (t *tracker[T]) raise(s dense.Matrix[T], k int) dense.Matrix[T] {
	n := t.n
	w := t.w2
	if k > 1 {
		acc, tmp := dense.Wrap(n, n, t.cayley), dense.Wrap(n, n, t.cayley[n*n:])
		acc.Copy(s)
		for range k - 1 {
			dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, acc, s, 0, tmp)
			dense.Mirror(tmp)
			acc.Copy(tmp)
		}
		s.Copy(acc)
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.b, s, 0, w)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w, t.b, 0, s)
	return s
}
