package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// rational is an approximation x^p ~ constant + sum w_j/(x + s_j) with s_j > 0 (s = 0 for p = -1) on [lo, hi], |error| <= err max x^p there.
type rational struct {
	p, lo, hi, target float64
	s, w              []float64
	err, constant     float64
	search            poleSearch
}

const (
	// maxPoles bounds the size of a fit; more poles than that do not help in double precision.
	maxPoles = 32
	// fitMargin is by how much the interval of a fit is longer than the one asked for, as a ratio of the ratios hi/lo, and fitSlack by how
	// much it may be longer before a shorter fit pays.
	fitMargin, fitSlack = 2, 16
)

// require makes r approximate x^p on at least [lo, hi] to target relative to the largest value, and reports whether that succeeded. A fit whose
// interval is long enough is kept and moved by scaling. A fit costs some 10^6 to 10^7 flops.
func (r *rational) require(p, lo, hi, target float64) bool {
	ratio := hi / lo
	if !(lo > 0) || math.IsInf(ratio, 0) {
		return false
	}
	if r.p == p && r.target == target && len(r.s) > 0 && ratio <= r.hi/r.lo && r.hi/r.lo <= fitSlack*ratio {
		if lo < r.lo || hi > r.hi {
			r.move(math.Sqrt(lo / r.hi * hi / r.lo))
		}
		return r.err <= target
	}
	margin := math.Sqrt(fitMargin)
	r.p, r.lo, r.hi, r.target = p, lo/margin, hi*margin, target
	if p == -1 {
		r.s, r.w, r.err, r.constant = append(r.s[:0], 0), append(r.w[:0], 1), 0, 0
		return true
	}
	r.search.start(p, r.hi/r.lo)
	r.err = math.Inf(1)
	predicted := fitPoles(r.hi/r.lo, target)
	for n := firstPoles; n <= maxPoles && r.err > target; n++ {
		if n < predicted-2 && n%2 != 0 {
			continue
		}
		r.search.resize(n)
		r.search.refine()
		r.keep()
	}
	return r.err <= target
}

// keep takes the poles of the search where they are better than what r has.
func (r *rational) keep() {
	f := &r.search
	e := f.worst()
	if !(e < r.err) {
		return
	}
	n := len(f.theta)
	top := math.Max(math.Pow(r.lo, r.p), math.Pow(r.hi, r.p))
	r.err, r.constant = e, f.c[n]*top
	r.s, r.w = r.s[:0], r.w[:0]
	for j, t := range f.theta {
		s := math.Exp(t)
		r.s, r.w = append(r.s, r.lo*s), append(r.w, f.c[j]*(1+s)*r.lo*top)
	}
}

// move scales the interval by c: (c x)^p = c^p x^p.
func (r *rational) move(c float64) {
	f := math.Pow(c, r.p)
	r.lo, r.hi, r.constant = r.lo*c, r.hi*c, r.constant*f
	for j := range r.s {
		r.s[j] *= c
		r.w[j] *= c * f
	}
}

// fitPoles predicts the number of poles for an interval of ratio cond: the measured error of the best n is at most
// 0.3 exp(-2 pi^2 n/(ln cond + 4 ln 2)), the rate of Zolotarev's problem.
func fitPoles(cond, target float64) int {
	return max(firstPoles, int(math.Ceil((math.Log(cond)+4*math.Ln2)*math.Log(0.3/target)/(2*math.Pi*math.Pi))))
}

// firstPoles is the number of poles from which a search starts; so few are found from evenly spread ones.
const firstPoles = 4

// poleSearch finds the poles and weights that approximate x^p on [1, ratio] best in the sense of least squares, on points that are as dense at
// the ends as the extrema of the best approximation are, by Gauss-Newton steps in the logarithms of the poles with the weights eliminated
// (variable projection; Golub and Pereyra, SIAM J. Numer. Anal. 10, 1973) and damped as by Levenberg and Marquardt. The weights multiply
// (1+s)/(x+s), which is 1 at x = 1, and the last one is the constant. The largest error is within some 15% of the best possible one.
type poleSearch struct {
	p, ratio, top float64
	x, f          []float64 // points and x^p/top there
	theta, next   []float64 // logarithms of the poles, ascending
	c             []float64 // weights of theta
	res           float64   // norm of the residual at theta
	basis, slope  []float64 // columns: the basis and the right-hand side; the derivatives by theta and the right-hand side
	diag, tau     []float64
	step, sol     []float64
}

// pointsPerPole is the number of points for a pole; the error has about two extrema for each.
const pointsPerPole = 8

// start prepares a search on [1, ratio].
func (f *poleSearch) start(p, ratio float64) {
	f.p, f.ratio, f.top = p, ratio, math.Max(1, math.Pow(ratio, p))
	f.theta = f.theta[:0]
}

// sample returns the point at t in [0, 1] of the logarithmic scale condensed at both ends.
func (f *poleSearch) sample(t float64) float64 {
	return math.Exp((1 - math.Cos(math.Pi*t)) / 2 * math.Log(f.ratio))
}

// resize takes n poles: evenly spread ones at first, then what the last ones show when they are stretched.
func (f *poleSearch) resize(n int) {
	old := append(f.next[:0], f.theta...)
	f.next = grown(f.next, n)
	f.theta = grown(f.theta, n)
	if len(old) == 0 {
		above := 1.5
		if f.p > 0 {
			above = 10
		}
		for j := range f.theta {
			f.theta[j] = math.Log(0.2) + (math.Log(f.ratio*above)-math.Log(0.2))*float64(j)/float64(n-1)
		}
	} else {
		m := len(old)
		kept := append([]float64(nil), old...)
		for j := range f.theta {
			u := (float64(j)+0.5)*float64(m)/float64(n) - 0.5
			i := min(max(int(u), 0), m-2)
			f.theta[j] = kept[i] + (u-float64(i))*(kept[i+1]-kept[i])
		}
	}
	points := pointsPerPole * n
	f.x, f.f = grown(f.x, points), grown(f.f, points)
	for i := range f.x {
		f.x[i] = f.sample((float64(i) + 0.5) / float64(points))
		f.f[i] = math.Pow(f.x[i], f.p) / f.top
	}
	f.basis, f.slope = grown(f.basis, points*(n+2)), grown(f.slope, (points+n)*(n+1))
	f.c, f.step, f.sol = grown(f.c, n+1), grown(f.step, n), grown(f.sol, n+1)
	f.diag, f.tau = grown(f.diag, n+1), grown(f.tau, n+1)
}

// weigh finds the weights for the poles theta and returns the norm of the residual. The basis is left factored, the right-hand side
// reflected with it.
func (f *poleSearch) weigh(theta, sol []float64) float64 {
	n, points := len(theta), len(f.x)
	column := func(j int) []float64 { return f.basis[j*points : (j+1)*points] }
	for j, t := range theta {
		s, b := math.Exp(t), column(j)
		for i, x := range f.x {
			b[i] = (1 + s) / (x + s)
		}
	}
	for i := range f.x {
		column(n)[i] = 1
	}
	copy(column(n+1), f.f)
	reflect(f.basis, points, n+1, n+2, f.diag)
	substitute(f.basis, points, f.diag, column(n+1), sol)
	low := column(n + 1)[n+1:]
	return math.Sqrt(dense.Dot(low, low))
}

// refine makes Gauss-Newton steps until they gain little.
func (f *poleSearch) refine() {
	n := len(f.theta)
	f.res = f.weigh(f.theta, f.c)
	damping := 1e-3
	longest := math.Log(f.ratio) / float64(n)
	for range 40 {
		f.slopes()
		before, moved := f.res, false
		for range 6 {
			f.propose(damping, longest)
			if res := f.weigh(f.next, f.sol); res < f.res && ascending(f.next) {
				f.theta, f.next = f.next, f.theta
				f.c, f.sol = f.sol, f.c
				f.res, moved = res, true
				damping /= 10
				break
			}
			damping *= 10
		}
		if !moved || f.res > 0.98*before {
			return
		}
	}
}

// slopes fills the first columns of slope with the derivatives of the residual by theta outside of the span of the basis, which weigh has left
// factored, and the last with the residual itself.
func (f *poleSearch) slopes() {
	n, points := len(f.theta), len(f.x)
	f.weigh(f.theta, f.c)
	rows := points - n - 1
	col := grown(f.tau, points)
	f.tau = col
	for j, t := range f.theta {
		s := math.Exp(t)
		for i, x := range f.x {
			col[i] = f.c[j] * s * (x - 1) / ((x + s) * (x + s))
		}
		for k := range n + 1 {
			v := f.basis[k*points+k : (k+1)*points]
			dense.Axpy(-dense.Dot(v, col[k:]), v, col[k:])
		}
		copy(f.slope[j*(rows+n):], col[n+1:])
	}
	copy(f.slope[n*(rows+n):], f.basis[(n+1)*points+n+1:(n+2)*points])
}

// propose sets next to theta plus the damped Gauss-Newton step, no component of which is longer than longest.
func (f *poleSearch) propose(damping, longest float64) {
	n, rows := len(f.theta), len(f.x)-len(f.theta)-1
	height := rows + n
	work := grown(f.basis, height*(n+1))
	f.basis = work
	copy(work, f.slope[:height*(n+1)])
	for j := range n + 1 {
		c := work[j*height : (j+1)*height]
		size := math.Sqrt(dense.Dot(c[:rows], c[:rows]))
		clear(c[rows:])
		if j < n {
			c[rows+j] = math.Sqrt(damping) * size
		}
	}
	reflect(work, height, n, n+1, f.diag)
	substitute(work, height, f.diag[:n], work[n*height:], f.step)
	for j, t := range f.theta {
		f.next[j] = t + max(-longest, min(longest, f.step[j]))
	}
}

// worst returns a bound of the largest error on [1, ratio] relative to the largest value: the largest on points so dense that between them it
// is at most a hundredth higher, raised by a tenth, and what rounding adds. It is infinite where the weights cancel too much.
func (f *poleSearch) worst() float64 {
	n := len(f.theta)
	var size, worst float64
	for j, t := range f.theta {
		f.next[j] = math.Exp(t)
		size += math.Abs(f.c[j])
	}
	if size > 1e3 {
		return math.Inf(1)
	}
	points := 24 * n
	for i := range points + 1 {
		x := f.sample(float64(i) / float64(points))
		v := f.c[n] - math.Pow(x, f.p)/f.top
		for j, s := range f.next {
			v += f.c[j] * (1 + s) / (x + s)
		}
		worst = max(worst, math.Abs(v))
	}
	return 1.1*worst + 8*size*0x1p-53
}

func ascending(x []float64) bool {
	for i := 1; i < len(x); i++ {
		if !(x[i] > x[i-1]) {
			return false
		}
	}
	return true
}

// reflect factors the first k of the columns, each of the given height and one after the other in a, by Householder reflections and applies
// them to the rest. Column j holds the vector of reflection j from row j on, scaled so that the reflection is I - v v^T, and its part
// of R above; diag holds the diagonal of R.
func reflect(a []float64, height, k, columns int, diag []float64) {
	for j := range k {
		v := a[j*height+j : (j+1)*height]
		norm := math.Sqrt(dense.Dot(v, v))
		diag[j] = -math.Copysign(norm, v[0])
		if norm == 0 {
			continue
		}
		v[0] -= diag[j]
		dense.Scale(1/math.Sqrt(norm*math.Abs(v[0])), v, v)
		for l := j + 1; l < columns; l++ {
			c := a[l*height+j : (l+1)*height]
			dense.Axpy(-dense.Dot(v, c), v, c)
		}
	}
}

// substitute solves R sol = the first rows of b for the R that reflect has left. Columns that depend on the earlier ones to rounding get the
// coefficient 0.
func substitute(a []float64, height int, diag, b, sol []float64) {
	for k := len(diag) - 1; k >= 0; k-- {
		v := b[k]
		for j := k + 1; j < len(diag); j++ {
			v -= a[j*height+k] * sol[j]
		}
		sol[k] = 0
		if math.Abs(diag[k]) > 1e-14 {
			sol[k] = v / diag[k]
		}
	}
}
