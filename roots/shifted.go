package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// applyShifted overwrites y with f(M) y, f = x^p, -1 <= p < 1, for M = D + E not near enough to diagonal for an expansion, as
//
//	f(M) y ~ f(D) y + sum_j w_j [ (M + s_j)^-1 y - (D + s_j)^-1 y ],
//
// where c0 + sum_j w_j/(x + s_j) approximates f on an interval that holds the spectra of M and D: the part that D alone explains is exact, and
// the approximation only has to carry the difference. All systems, for all columns, are solved together by Chebyshev iteration
// preconditioned by D + s_j, one thin product with M a step. The result is the relative error bound and the iterations made.
//
// Why the gaps do not matter: with G_s = (D/(D+s))^(1/2) <= I, (D+s)^(-1/2) (M+s) (D+s)^(-1/2) = I + G_s x G_s, whose spectrum lies in
// [theta, 1 + ||x||] for every s >= 0 if that of I + x does. So the preconditioned systems are well conditioned for all shifts, the
// error of an approximate solution z with preconditioned residual e = (D+s)^-1 (y - (M+s) z) satisfies
//
//	||(D+s)^(1/2) (z* - z)|| <= ||(D+s)^(1/2) e|| / theta,    ||z* - z|| <= (min D + s)^(-1/2) ||(D+s)^(1/2) e|| / theta,
//
// and one Jacobi step more, z + e, has an error smaller by another factor ||x||. The Taylor bound in the comment of Tracker follows in the same
// way from the integral x^(-a) = sin(pi a)/pi int_0^inf s^(-a) (x+s)^-1 ds: the remainder of order k of the resolvent is
// D^(-1/2) G^2 x (-(I + G^2 x))^-1 ... x G^2 D^(-1/2), in norm at most max_d d/(d+s)^2 nu^(k+1)/(1-nu), and the integral of
// the rest is at most max D^(-a) (for 0 < p = 1-a < 1 likewise with x^p = sin(pi p)/pi int s^(p-1) (1 - s/(x+s)) ds and max D^p).
func (t *tracker[T]) applyShifted(p float64, y dense.Matrix[T], tol float64) (bound float64, steps int) {
	c := &t.cols
	q := c.systems(t.diag, &t.fit, y.Cols)
	q.Start(y)
	a, b := t.interval()
	center := (a + b) / 2
	rho := (b - a) / (b + a)
	omega, first := 1.0, 0.0
	top := math.Max(math.Pow(t.dmin, p), math.Pow(t.dmax, p))
	norms := c.columnNorms(y)
	shrink := min(t.bound, 1)
	fitted := 2 * t.fit.err * t.fitScale(p, top)
	limit := t.room(p, tol-fitted)
	for steps = 1; ; steps++ {
		switch steps {
		case 1:
		case 2:
			omega = 1 / (1 - rho*rho/2)
		default:
			omega = 1 / (1 - rho*rho*omega/4)
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.m, q.Z, 0, q.MZ)
		q.Step(T(omega), T(omega/center), c.res)
		bound = t.shiftedError(norms, top) * shrink
		if bound <= limit || steps == maxChebyshev {
			break
		}
		if steps == 1 {
			first = bound
		}
		if !(bound <= divergent*first) && estimateMargin*t.nu < t.bound {
			// The spectrum is not where the estimate had it; it is where the bound has it.
			t.nu = t.bound
			return t.applyShifted(p, y, tol)
		}
		q.Z, q.Prev = q.Prev, q.Z
	}
	if bound != bound {
		bound = math.Inf(1)
	}
	dense.Pow(c.f, t.d, p)
	t.collect(y, shrink < 1)
	return bound + fitted, steps
}

const (
	// maxChebyshev bounds the iterations; what is reached by then is reported by the bound.
	maxChebyshev = 200
	// divergent is how much the error bound may grow in an iteration whose interval holds the spectrum.
	divergent = 16
)

// fitScale converts the fit's error, relative to the largest value on its interval, to one relative to the largest value on diag(D).
func (t *tracker[T]) fitScale(q, top float64) float64 {
	return math.Max(math.Pow(t.fit.lo, q), math.Pow(t.fit.hi, q)) / top
}

// systems returns the iteration for k right-hand sides and makes the workspace large enough.
func (c *columns[T]) systems(diag []T, fit *rational, k int) *dense.Shifted[T] {
	n, poles := len(diag), len(fit.s)
	c.g, c.z, c.prev, c.mz = grown(c.g, n*k*poles), grown(c.z, n*k*poles), grown(c.prev, n*k*poles), grown(c.mz, n*k*poles)
	c.inv, c.res, c.f, c.sum = grown(c.inv, n*poles), grown(c.res, k*poles), grown(c.f, n), grown(c.sum, n)
	c.poles, c.weights = grown(c.poles, poles), grown(c.weights, poles)
	for j, s := range fit.s {
		c.poles[j], c.weights[j] = T(s), T(fit.w[j])
	}
	wide := func(s []T) dense.Matrix[T] { return dense.Wrap(n, k*poles, s) }
	c.shifted = dense.Shifted[T]{
		D: diag, S: c.poles, W: dense.Wrap(n, poles, c.inv), G: wide(c.g), Z: wide(c.z), MZ: wide(c.mz), Prev: wide(c.prev),
	}
	return &c.shifted
}

// columnNorms returns the norms of the columns of y.
func (c *columns[T]) columnNorms(y dense.Matrix[T]) []float64 {
	c.norm = grown(c.norm, y.Cols)
	clear(c.norm)
	for i := range y.Rows {
		for l, v := range y.Row(i) {
			c.norm[l] += float64(v) * float64(v)
		}
	}
	for l, v := range c.norm {
		c.norm[l] = math.Sqrt(v)
	}
	return c.norm
}

// shiftedError bounds the error of sum_j w_j z_j relative to top ||y||_F from the residuals.
func (t *tracker[T]) shiftedError(norms []float64, top float64) float64 {
	poles := len(t.fit.s)
	lost := float64(t.n) * t.tiny() // what underflow may have taken from a sum of squares
	var total, size float64
	for l, nrm := range norms {
		var e float64
		for j, s := range t.fit.s {
			e += math.Abs(t.fit.w[j]) * math.Sqrt((float64(t.cols.res[l*poles+j])+lost)/(t.dmin+s))
		}
		total += e * e
		size += nrm * nrm
	}
	if size == 0 {
		return 0
	}
	return math.Sqrt(total/size) / (t.theta * top)
}

// collect sets y = f(D) y + sum_j w_j (z_j - g_j), with one more Jacobi step z + e where that has a smaller error.
func (t *tracker[T]) collect(y dense.Matrix[T], jacobi bool) {
	c, poles := &t.cols, len(t.fit.s)
	q := &c.shifted
	dense.Axpy(-1, q.G.Data, q.Z.Data)
	if jacobi {
		dense.Axpy(1, q.MZ.Data, q.Z.Data)
	}
	for l := range y.Cols {
		dense.Gemv(dense.NoTrans, 1, q.Z.View(0, l*poles, t.n, poles), c.weights, 0, c.sum)
		for i, s := range c.sum {
			y.Set(i, l, T(c.f[i])*y.At(i, l)+s)
		}
	}
}
