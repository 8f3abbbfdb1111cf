package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

var rationalMethod = Method{
	Name:   "rational",
	Title:  "sums of shifted inverses: Hale-Higham-Trefethen contour for -1/2, fitted poles or the exponential trapezoid rule for any power; independent Cholesky solves",
	Source: "Hale, Higham and Trefethen, SIAM J. Numer. Anal. 46 (2008), method 3",
	Can: func(q Query) bool {
		return q.Kind <= KindInv && q.Power != math.Trunc(q.Power) && math.Abs(q.Power) <= 16 && !q.Cutoff
	},
	Work: func(q Query) float64 {
		whole, frac := splitPower(q.Power)
		poles, fitted := predictPoles(-frac, max(q.Cond, 1), q.target()/amplification(whole, frac, q.Cond), q.formed())
		w := float64(poles) * rationalUnit(q)
		if fitted {
			w += fitWork(poles, q.N)
		}
		if whole < 0 {
			w += rationalUnit(q)
		}
		return w + float64(max(whole, -whole))*applyWork(q, 1)
	},
	Bound: rationalBound,
	rate:  rationalRate,
	run64: runRational[float64],
	run32: runRational[float32],
}

var rationalRate = rate{88, 65, 21, 8.8, 4.5, 3.1, 2.8, 2.2, 1.8, 1.6}

// fitWork is what fitting the given number of poles takes, in the unit of Work at size n; from n = 200 on it hardly counts.
func fitWork(poles, n int) float64 {
	return 3e5 * float64(poles*poles) / cube(max(n, 1)) / rationalRate.at(n)
}

// splitPower writes p = whole - frac with 0 <= frac < 1 and an integer whole.
func splitPower(p float64) (whole int, frac float64) {
	c := math.Ceil(p)
	return int(c), c - p
}

// amplification is what a product with A^whole does to the relative error of A^-frac: the result is relative to the largest eigenvalue, the
// error to the smallest.
func amplification(whole int, frac, cond float64) float64 {
	if whole <= 0 {
		return 1
	}
	return math.Pow(2*max(cond, 1), frac)
}

// rationalUnit is the work of one shifted inverse, formed or applied.
func rationalUnit(q Query) float64 {
	if q.Columns == 0 {
		return 0.5
	}
	return 1./6 + float64(q.Columns)/float64(q.N)
}

// rationalBound is the rounding of shifted Cholesky solves; the truncation is added after the run. A positive power is a product with an
// integer power of A, whose error is relative to the factors.
func rationalBound(q Query) float64 {
	whole, frac := splitPower(q.Power)
	cond := max(q.Cond, 1)
	q.Power = -frac
	if whole < 0 {
		q.Power += float64(whole)
	}
	b := q.rounding(8)
	if whole > 0 {
		b *= math.Pow(cond, frac)
	}
	return b
}

// poles is a rational function constant + sum_j w_j/(x + s_j), with its error relative to the largest value on the interval.
type poles struct {
	s, w            []float64
	constant, error float64
}

// formed is the dimension of the matrix to be formed, or 1 where the power is only applied.
func (q Query) formed() int {
	if q.Columns > 0 {
		return 1
	}
	return q.N
}

// predictPoles is the number of poles that polesFor will take, and whether they are fitted.
func predictPoles(p, cond, target float64, n int) (poles int, fitted bool) {
	if p == -0.5 {
		return contourNodes(cond, target), false
	}
	if t := target / math.Sqrt(float64(n)); t >= fitFloor {
		return fitPoles(cond, t), true
	}
	return len(trapezoidPoles(-p, 1, cond, target).s), false
}

// fitFloor is the smallest target that fitted poles are trusted to reach.
const fitFloor = 1e-10

// polesFor approximates x^p, -1 < p < 0, on [lo, hi] for a matrix of dimension n that is formed, or for an application (n = 1). Fitted poles have
// an error that is relative to the largest value everywhere, so that the norm of the error of a matrix whose other eigenvalues weigh
// little is up to sqrt(n) times as large; the errors of the others are relative to each value.
func polesFor(p, lo, hi, target float64, n int) poles {
	if p == -0.5 {
		return contourPoles(lo, hi, contourNodes(hi/lo, target))
	}
	if spread := math.Sqrt(float64(n)); target/spread >= fitFloor {
		var r rational
		if r.require(p, lo, hi, target/spread) {
			return poles{r.s, r.w, r.constant, r.err * spread}
		}
	}
	return trapezoidPoles(-p, lo, hi, target)
}

// contourNodes is the number of nodes for an error of target: the measured error is 2.8 exp(-2 pi^2 N/(ln cond + 4 ln 2)).
func contourNodes(cond, target float64) int {
	return int(math.Ceil((math.Log(cond) + 4*math.Ln2) * math.Log(2.8/target) / (2 * math.Pi * math.Pi)))
}

// contourPoles is the midpoint rule in the elliptic variable: with k'^2 = lo/hi, K' = K(1 - lo/hi) and t_j = (j - 1/2) K'/N,
// s_j = lo (sn/cn)^2 and w_j = 2 K' sqrt(lo)/(pi N) dn/cn^2 at t_j of parameter 1 - lo/hi.
func contourPoles(lo, hi float64, n int) poles {
	m1 := lo / hi
	if m1 >= 1 {
		m1 = 1 - 1e-12
	}
	kp := ellipticK(m1)
	p := poles{error: 2.8 * math.Exp(-2*math.Pi*math.Pi*float64(n)/(math.Log(1/m1)+4*math.Ln2))}
	for j := range n {
		sn, cn, dn := jacobi((float64(j)+0.5)*kp/float64(n), m1)
		p.s = append(p.s, lo*(sn/cn)*(sn/cn))
		p.w = append(p.w, 2*kp*math.Sqrt(lo)/(math.Pi*float64(n))*dn/(cn*cn))
	}
	return p
}

// ellipticK returns K(m) for the complementary parameter m1 = 1 - m, by the arithmetic-geometric mean.
func ellipticK(m1 float64) float64 {
	a, b := 1.0, math.Sqrt(m1)
	for math.Abs(a-b) > 1e-15*a {
		a, b = (a+b)/2, math.Sqrt(a*b)
	}
	return math.Pi / (2 * a)
}

// jacobi returns sn, cn and dn at u of the complementary parameter m1 by descending Landen transformations (Abramowitz and Stegun 16.4).
func jacobi(u, m1 float64) (sn, cn, dn float64) {
	var a, c [32]float64
	a[0], c[0] = 1, math.Sqrt(1-m1)
	b := math.Sqrt(m1)
	n := 0
	for ; n < 30 && math.Abs(c[n]) > 1e-16*a[n]; n++ {
		a[n+1], c[n+1], b = (a[n]+b)/2, (a[n]-b)/2, math.Sqrt(a[n]*b)
	}
	phi := math.Ldexp(a[n]*u, n)
	prev := phi
	for i := n; i > 0; i-- {
		prev = phi
		phi = (phi + math.Asin(c[i]*math.Sin(phi)/a[i])) / 2
	}
	sn, cn = math.Sincos(phi)
	if n == 0 {
		return sn, cn, math.Sqrt(1 - (1-m1)*sn*sn)
	}
	return sn, cn, cn / math.Cos(prev-phi)
}

// trapezoidPoles discretises x^-a = sin(pi a)/pi int e^((1-a)u) (e^u + x)^-1 du, 0 < a < 1, by the trapezoidal rule, whose discretisation
// error is exp(-2 pi^2/h); the ends are cut where the tails are below target relative to lo^-a.
func trapezoidPoles(a, lo, hi, target float64) poles {
	l := math.Log(1 / target)
	h := 0.95 * 2 * math.Pi * math.Pi / l
	top := math.Log(lo) + (l+1)/a
	bottom := math.Log(lo) - (l+1)/(1-a)
	n := int(math.Ceil((top - bottom) / h))
	p := poles{error: 8 * target}
	c := math.Sin(math.Pi*a) / math.Pi * h
	for j := 0; j <= n; j++ {
		u := bottom + float64(j)*h
		p.s = append(p.s, math.Exp(u))
		p.w = append(p.w, c*math.Exp((1-a)*u))
	}
	return p
}

func runRational[T dense.Float](j *job[T]) error {
	whole, frac := splitPower(j.Power)
	lo, hi := 0.5*j.lo, 1.01*j.hi
	p := polesFor(-frac, lo, hi, j.Query.target()/amplification(whole, frac, j.Cond), j.formed())
	j.rep.Iterations = len(p.s)
	// The error is relative to the largest value on an interval that may begin at a quarter of the lowest eigenvalue.
	j.trunc += 1.5 * p.error * math.Pow(4, frac) * amplification(whole, frac, j.Cond)
	x := j.new(j.N, max(j.Columns, 0))
	if j.Columns > 0 {
		x.Copy(j.rhs)
	}
	x, err := j.shiftedSum(p, x)
	if err != nil {
		return err
	}
	return j.finishRational(x, whole)
}

// shiftedSum returns constant X + sum_j w_j (A + s_j)^-1 X, or without right-hand sides the sum itself. The solves are made in float64.
func (j *job[T]) shiftedSum(p poles, x dense.Matrix[T]) (dense.Matrix[T], error) {
	n := j.N
	cols := n
	if j.Columns > 0 {
		cols = j.Columns
	}
	sum, l, w := dense.New[float64](n, cols), dense.New[float64](n, n), dense.New[float64](n, cols)
	for i, s := range p.s {
		convert(l, j.a)
		for r := range n {
			l.Set(r, r, l.At(r, r)+s)
		}
		if !j.factor(l) {
			return x, j.refuse()
		}
		if j.Columns > 0 {
			convert(w, x)
			dense.SolveLower(dense.NoTrans, l, w)
			dense.SolveLower(dense.Transposed, l, w)
			j.count(float64(n) * float64(n) * float64(cols))
		} else {
			invertCholesky(l, w)
			j.count(cube(n) / 3)
		}
		for r := range n {
			dense.Axpy(p.w[i], w.Row(r), sum.Row(r))
		}
	}
	for r := range n {
		if j.Columns == 0 {
			sum.Set(r, r, sum.At(r, r)+p.constant)
			continue
		}
		for c := range cols {
			sum.Set(r, c, sum.At(r, c)+p.constant*float64(x.At(r, c)))
		}
	}
	y := j.new(n, cols)
	convert(y, sum)
	return y, nil
}

// finishRational multiplies by A^whole and delivers.
func (j *job[T]) finishRational(x dense.Matrix[T], whole int) error {
	n := j.N
	base := j.a
	if whole < 0 {
		l, err := j.factorOf(j.a)
		if err != nil {
			return err
		}
		base = j.new(n, n)
		convert(base, inverseOf(j, l))
	}
	k := max(whole, -whole)
	if j.Columns == 0 {
		if k > 0 {
			y := j.new(n, n)
			j.gemm(dense.NoTrans, dense.NoTrans, 1, j.powerOf(base, k), x, 0, y)
			x = y
		}
		j.give(x)
		return nil
	}
	for range k {
		y := j.new(n, j.Columns)
		j.gemm(dense.NoTrans, dense.NoTrans, 1, base, x, 0, y)
		x = y
	}
	j.x.Copy(x)
	return nil
}
