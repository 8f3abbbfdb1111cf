package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// applyShifted overwrites y with f(M) y, f = x^q, -1 <= q < 1, for M = D + E not near enough to diagonal for an expansion, as
//
//	f(M) y ~ f(D) y + sum_j w_j [ (M + s_j)^-1 y - (D + s_j)^-1 y ],
//
// where c0 + sum_j w_j/(x + s_j) approximates f on an interval that holds the spectra of M and D: the part that D alone explains is exact, and
// the approximation only has to carry the difference. All systems, for all columns, are solved together by Chebyshev iteration
// preconditioned by D + s_j, one thin product with M a step. x is workspace; the result is the relative error bound and the iterations made.
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
// the rest is at most max D^(-a) (for 0 < q = 1-a < 1 likewise with x^q = sin(pi q)/pi int s^(q-1) (1 - s/(x+s)) ds and max D^q).
func (t *tracker[T]) applyShifted(q float64, y, x dense.Matrix[T], tol float64) (bound float64, steps int) {
	n, k, poles := t.n, y.Cols, len(t.fit.s)
	c := &t.cols
	size := n * k * poles
	for _, s := range []*[]T{&c.g, &c.z, &c.prev, &c.mz} {
		*s = grown(*s, size)
	}
	c.inv, c.res, c.f = grown(c.inv, n*poles), grown(c.res, k*poles), grown(c.f, n)
	t.startShifted(y)
	wide := func(s []T) dense.Matrix[T] { return dense.Wrap(n, k*poles, s) }
	a, b := t.interval()
	center := (a + b) / 2
	rho := (b - a) / (b + a)
	omega := 1.0
	top := math.Max(math.Pow(t.smallestDiag(), q), math.Pow(t.largestDiag(), q))
	norms := c.columnNorms(y)
	shrink := min(t.bound, 1)
	for steps = 1; ; steps++ {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.m, wide(c.z), 0, wide(c.mz))
		t.correction(y)
		bound = t.shiftedError(norms, top) * shrink
		if bound <= tol/3 || steps == maxChebyshev {
			break
		}
		switch steps {
		case 1:
			omega = 1
		case 2:
			omega = 1 / (1 - rho*rho/2)
		default:
			omega = 1 / (1 - rho*rho*omega/4)
		}
		c.advance(T(omega), T(omega/center))
	}
	dense.Pow(c.f, t.d, q)
	t.collect(y, shrink < 1)
	return bound + 2*t.fit.err*t.fitScale(q, top), steps
}

// maxChebyshev bounds the iterations; what is reached by then is reported by the bound.
const maxChebyshev = 200

// fitScale converts the fit's error, relative to the largest value on its interval, to one relative to the largest value on diag(D).
func (t *tracker[T]) fitScale(q, top float64) float64 {
	return math.Max(math.Pow(t.fit.lo, q), math.Pow(t.fit.hi, q)) / top
}

func (t *tracker[T]) largestDiag() float64 {
	var v float64
	for _, d := range t.d {
		v = max(v, d)
	}
	return v
}

// startShifted fills inv = 1/(d_i + s_j) and starts z = g = (D + s)^-1 y; column c pole j is at c poles + j.
func (t *tracker[T]) startShifted(y dense.Matrix[T]) {
	c, poles := &t.cols, len(t.fit.s)
	for i, d := range t.d {
		inv := c.inv[i*poles : (i+1)*poles]
		for j, s := range t.fit.s {
			inv[j] = T(1 / (d + s))
		}
		row := y.Row(i)
		g := c.g[i*len(row)*poles : (i+1)*len(row)*poles]
		for l, v := range row {
			for j, w := range inv {
				g[l*poles+j] = v * w
			}
		}
	}
	copy(c.z, c.g)
	copy(c.prev, c.g)
}

// correction overwrites mz = M z with the preconditioned residual e = g - (D+s)^-1 (M + s) z and sums the squares of (D+s)^(1/2) e by column.
func (t *tracker[T]) correction(y dense.Matrix[T]) {
	c, poles, k := &t.cols, len(t.fit.s), y.Cols
	clear(c.res)
	for i, d := range t.d {
		inv := c.inv[i*poles : (i+1)*poles]
		di := T(d)
		for l := range k {
			at := (i*k + l) * poles
			g, z, e := c.g[at:at+poles], c.z[at:at+poles], c.mz[at:at+poles]
			res := c.res[l*poles : (l+1)*poles]
			for j, w := range inv {
				// (M + s) z = (M z - d z) + (d + s) z.
				v := g[j] - z[j] - w*(e[j]-di*z[j])
				e[j] = v
				res[j] += float64(v*v) / float64(w)
			}
		}
	}
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
	low := t.smallestDiag()
	var total, size float64
	for l, nrm := range norms {
		var e float64
		for j, s := range t.fit.s {
			e += math.Abs(t.fit.w[j]) * math.Sqrt(t.cols.res[l*poles+j]/(low+s))
		}
		total += e * e
		size += nrm * nrm
	}
	if size == 0 {
		return 0
	}
	return math.Sqrt(total/size) / (t.theta * top)
}

// advance makes the Chebyshev step z <- prev + omega (z - prev) + step e, prev <- z.
func (c *columns[T]) advance(omega, step T) {
	z, prev, e := c.z, c.prev[:len(c.z)], c.mz[:len(c.z)]
	for i, v := range z {
		prev[i] += omega*(v-prev[i]) + step*e[i]
	}
	c.z, c.prev = c.prev, c.z
}

// collect sets y = f(D) y + sum_j w_j (z_j - g_j), with one more Jacobi step z + e where that has a smaller error.
func (t *tracker[T]) collect(y dense.Matrix[T], jacobi bool) {
	c, poles, k := &t.cols, len(t.fit.s), y.Cols
	for i := range t.n {
		row := y.Row(i)
		for l := range row {
			at := (i*k + l) * poles
			var s float64
			for j, w := range t.fit.w {
				v := c.z[at+j] - c.g[at+j]
				if jacobi {
					v += c.mz[at+j]
				}
				s += w * float64(v)
			}
			row[l] = T(c.f[i])*row[l] + T(s)
		}
	}
}
