package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

var padeMethod = Method{
	Name:   "pade",
	Title:  "Pade approximants with (inverse) scaling and squaring: log, exp and powers between -1 and 1",
	Source: "Higham, Functions of Matrices, 10.3 and 11.5; Higham and Lin, SIAM J. Matrix Anal. Appl. 32 (2011); partial fractions as Gauss quadrature, Dieci, Morini and Papini (1996)",
	Can: func(q Query) bool {
		if q.Cutoff {
			return false
		}
		return q.Kind == KindLog || q.Kind == KindExp || q.Kind <= KindInv && math.Abs(q.Power) < 1 && q.Power != 0
	},
	Work: func(q Query) float64 {
		if q.Kind == KindExp {
			return 7 + max(0, math.Log2(max(q.Top, 1)))/2
		}
		steps := halvingsToUnit(max(q.Cond, 1))
		return float64(steps)*22 + padeNodes*0.5 + float64(steps)/2 + applyWork(q, 1)
	},
	Bound: func(q Query) float64 {
		if q.Kind == KindExp {
			return q.rounding(32)
		}
		p := q
		if q.Kind == KindPow && q.Power > 0 {
			p.Power = -(1 - q.Power)
			return p.rounding(32) * math.Pow(max(q.Cond, 1), 1-q.Power)
		}
		return p.rounding(32)
	},
	rate:  rate{22, 13.4, 5.0, 2.1, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0},
	run64: runPade[float64],
	run32: runPade[float32],
}

// padeNodes is the degree of the approximants of log and of powers; with the spectrum within a factor padeSpread of 1 it is exact to double
// rounding: the error of the Gauss rule decays like ((sqrt(1+z)-1)/(sqrt(1+z)+1))^(2m).
const (
	padeNodes  = 8
	padeSpread = 1.4
)

// halvingsToUnit counts the square roots that bring the spectrum [cond^(-1/2), cond^(1/2)] within padeSpread of 1. An infinite cond
// counts as the largest number.
func halvingsToUnit(cond float64) int {
	s := 0
	for h := math.Log(min(cond, math.MaxFloat64)) / 2; h > math.Log(padeSpread); h /= 2 {
		s++
	}
	return s
}

func runPade[T dense.Float](j *job[T]) error {
	if j.Kind == KindExp {
		return j.padeExp()
	}
	n := j.N
	// Centre the spectrum around 1, take square roots until it is close to 1, and write a = I + z.
	c := 1 / math.Sqrt(j.lo*j.hi)
	z := j.new(n, n)
	polyIdentity(z, 0, T(c), j.a, 0, j.a)
	lo, hi := c*j.lo, c*j.hi
	s := halvingsToUnit(1.05 * j.hi / j.lo)
	// Squaring amplifies the errors of the roots 2^s times: they are taken to full accuracy whatever the tolerance.
	j.Query.Tol = 0
	for range s {
		r, err := j.halve(z, lo, hi, false, j.Query.target())
		if err != nil {
			return err
		}
		symmetrise(r)
		z, lo, hi = r, 0.98*math.Sqrt(lo), 1.02*math.Sqrt(hi)
	}
	j.trunc *= math.Ldexp(1, s)
	j.rep.Reason = "direct"
	if j.Kind == KindLog {
		return j.padeLog(z, s, math.Log(c))
	}
	return j.padePower(z, s, c)
}

// inverseSum returns sum_i w_i (I + t_i (a - I))^-1.
func (j *job[T]) inverseSum(a dense.Matrix[T], t, w []float64) (dense.Matrix[T], error) {
	n := j.N
	sum, l, x := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	for i, ti := range t {
		convert(l, a)
		polyIdentity(l, 1-ti, ti, l, 0, l)
		if !j.factor(l) {
			return a, j.refuse()
		}
		invertCholesky(l, x)
		j.count(cube(n) / 3)
		for r := range n {
			dense.Axpy(w[i], x.Row(r), sum.Row(r))
		}
	}
	y := j.new(n, n)
	convert(y, sum)
	return y, nil
}

// padeLog delivers log A = 2^s log(a) - log(c) I with log(I + z) = sum w_i z (I + t_i z)^-1 = sum (w_i/t_i) (I - (I + t_i z)^-1) over
// Gauss-Legendre nodes.
func (j *job[T]) padeLog(a dense.Matrix[T], s int, logc float64) error {
	t, w := gaussJacobi(padeNodes, 0, 0)
	var total float64
	for i := range w {
		w[i] /= -t[i]
		total -= w[i]
	}
	x, err := j.inverseSum(a, t, w)
	if err != nil {
		return err
	}
	f := T(math.Ldexp(1, s))
	polyIdentity(x, f*T(total)-T(logc), f, x, 0, x)
	j.give(x)
	return nil
}

// padePower delivers A^p for 0 < |p| < 1 by (I + z)^-q = sum w_i (I + t_i z)^-1 over the Gauss-Jacobi nodes of t^(q-1) (1-t)^-q, squared
// s times, with q = -p, or q = 1 - p and a product with A.
func (j *job[T]) padePower(a dense.Matrix[T], s int, c float64) error {
	q := -j.Power
	if j.Power > 0 {
		q = 1 - j.Power
	}
	t, w := gaussJacobi(padeNodes, -q, q-1)
	x, err := j.inverseSum(a, t, w)
	if err != nil {
		return err
	}
	y := j.new(j.N, j.N)
	for range s {
		j.symm(dense.NoTrans, dense.NoTrans, 1, x, x, y)
		x, y = y, x
	}
	// x = (c A)^-q.
	polyIdentity(x, 0, T(math.Pow(c, q)), x, 0, x)
	if j.Power > 0 {
		j.gemm(dense.NoTrans, dense.NoTrans, 1, j.a, x, 0, y)
		x = y
	}
	j.give(x)
	return nil
}

// pade13 holds the coefficients of the numerator of the [13/13] approximant of exp (Higham, Functions of Matrices, Table 10.4).
var pade13 = [...]float64{64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600, 670442572800,
	33522128640, 1323241920, 40840800, 960960, 16380, 182, 1}

// padeExp delivers exp A = e^mu r(B)^(2^s), B = (A - mu I)/2^s with ||B|| <= 5.37, r = (V + U)/(V - U) the [13/13] approximant.
func (j *job[T]) padeExp() error {
	n := j.N
	b := dense.New[float64](n, n)
	convert(b, j.a)
	var mu float64
	for i := range n {
		mu += b.At(i, i) / float64(n)
	}
	for i := range n {
		b.Set(i, i, b.At(i, i)-mu)
	}
	s := 0
	if nb := normBound(b); nb > 5.37 {
		s = int(math.Ceil(math.Log2(nb / 5.37)))
		scale(b, -s)
	}
	u, v := expPolynomials(b)
	j.count(3 * cube(n))
	l, x := dense.New[float64](n, n), dense.New[float64](n, n)
	for i := range l.Data {
		l.Data[i] = v.Data[i] - u.Data[i]
		x.Data[i] = v.Data[i] + u.Data[i]
	}
	if !j.factor(l) {
		return &MethodError{"pade", "the denominator of the approximant is not positive definite"}
	}
	dense.SolveLower(dense.NoTrans, l, x)
	dense.SolveLower(dense.Transposed, l, x)
	j.count(cube(n))
	symmetrise(x)
	// e^mu is spread over the squarings, so that neither factor leaves the range before the other.
	f := math.Exp(math.Ldexp(mu, -s))
	polyIdentity(x, 0, f, x, 0, x)
	for range s {
		dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, x, x, 0, l)
		dense.Mirror(l)
		x, l = l, x
		j.count(cube(n) / 2)
	}
	y := j.new(n, n)
	convert(y, x)
	j.give(y)
	top := largest(j.a)
	j.rep.LambdaMax, j.rep.LambdaMin = top, -largest(negated(j.a))
	return nil
}

func negated[T dense.Float](a dense.Matrix[T]) dense.Matrix[T] {
	m := a.Clone()
	polyIdentity(m, 0, -1, m, 0, m)
	return m
}

// expPolynomials returns the odd part u and the even part v of the numerator of the approximant at the symmetric b.
func expPolynomials(b dense.Matrix[float64]) (u, v dense.Matrix[float64]) {
	n := b.Rows
	c := &pade13
	mul := func(x, y dense.Matrix[float64]) dense.Matrix[float64] {
		z := dense.New[float64](n, n)
		dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, x, y, 0, z)
		dense.Mirror(z)
		return z
	}
	b2 := mul(b, b)
	b4 := mul(b2, b2)
	b6 := mul(b4, b2)
	combine := func(c6, c4, c2, c0 float64) dense.Matrix[float64] {
		m := dense.New[float64](n, n)
		for i := range m.Data {
			m.Data[i] = c6*b6.Data[i] + c4*b4.Data[i] + c2*b2.Data[i]
		}
		for i := range n {
			m.Set(i, i, m.At(i, i)+c0)
		}
		return m
	}
	add := func(x, y dense.Matrix[float64]) dense.Matrix[float64] {
		for i := range x.Data {
			x.Data[i] += y.Data[i]
		}
		return x
	}
	u = mul(b, add(mul(b6, combine(c[13], c[11], c[9], 0)), combine(c[7], c[5], c[3], c[1])))
	v = add(mul(b6, combine(c[12], c[10], c[8], 0)), combine(c[6], c[4], c[2], c[0]))
	return u, v
}
