package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// shiftedLog approximates the logarithm on [e^-L, e^L] by an odd rational function of l = log x,
//
//	log x ~ constant - sum_j weight_j/(x + shift_j) = sum_c b_c (tanh((l-c)/2) + tanh((l+c)/2)).
//
// In y = tanh(l/2), z = y^2 it is y times a Stieltjes function of z with poles beyond 1. The poles are those of its multipoint Pade approximant at
// points equidistributed for the pair [e^-L, e^L] and (-infinity, 0]: nodes of a Gauss quadrature with varying weight (Gonchar and Lopez, Math. USSR
// Sb. 34 (1978) 449-459). The weights are least squares on [-L, L]. The error falls at the best possible rate, by 13 for each shift at L = 2.3 and by
// 2.8 at L = 6.9.
type shiftedLog struct {
	width    float64 // L
	constant float64
	shift    []float64
	weight   []float64
	err      float64 // largest error on [-L, L]
	centres  []float64
}

// mostShifts is how many a shiftedLog has at most.
const mostShifts = 14

// newShiftedLog returns the approximation with the given number of shifts.
func newShiftedLog(width float64, shifts int) *shiftedLog {
	centres := make([]float64, 0, mostShifts)
	if shifts%2 == 1 {
		centres = append(centres, 0)
	}
	return solveShiftedLog(width, append(centres, poleCentres(width, shifts, false)...))
}

// shiftedLogWithin returns the approximation with the fewest shifts whose error is at most err, or nil if mostShifts are too few.
func shiftedLogWithin(width, err float64) *shiftedLog {
	// The error is near 4 L rho^shifts with rho = exp(-pi^2/log(4 e^L)), at least 0.28 of that for L from 1 to 7 and much less for smaller ones.
	rate := math.Pi * math.Pi / (math.Ln2*2 + width)
	from := int(math.Log(width/err)/rate) - 1
	if width >= 1 && width <= 7 {
		from = int(math.Ceil(math.Log(1.1*width/err) / rate))
	}
	for shifts := max(1, from); shifts <= mostShifts; shifts++ {
		if r := newShiftedLog(width, shifts); r.err <= err {
			return r
		}
	}
	return nil
}

const (
	polePoints = 64 // of [0, poleReach] for c
	poleReach  = 20.0
)

// poleSquares are beta = tanh(c/2)^2 and cosh(c/2)^2 at the middles of equal parts.
var poleSquares = func() (s struct{ beta, cosh [polePoints]float64 }) {
	for i := range polePoints {
		c := (float64(i) + 0.5) * poleReach / polePoints
		t, h := math.Tanh(c/2), math.Cosh(c/2)
		s.beta[i], s.cosh[i] = t*t, h*h
	}
	return s
}()

// poleCentres returns the positive c of the poles -e^(+-c): shifts/2 of them, ascending. If sinh is set, the function has a multiple of sinh l besides.
func poleCentres(width float64, shifts int, sinh bool) []float64 {
	count := shifts / 2
	if count == 0 {
		return nil
	}
	beta := &poleSquares.beta
	var root, prev, next [polePoints]float64 // root of the weight
	conditions := shifts
	if sinh {
		conditions++
	}
	nodes := interpolationPoints(width, conditions)
	var sum float64
	for i, b := range beta {
		w := 1 / poleSquares.cosh[i]
		for _, y := range nodes {
			w *= (1 - y*y) / (1 - b*y*y)
		}
		if shifts%2 == 1 {
			w *= b // the pole at infinity of z is given
		}
		if sinh {
			w /= poleSquares.cosh[i] // the one at 1
		}
		root[i] = math.Sqrt(w)
		sum += w
	}
	for i := range root {
		root[i] /= math.Sqrt(sum)
	}
	jacobi := dense.New[float64](count, count)
	q := &root
	for j, off := 0, 0.0; j < count; j++ {
		var diag, square float64
		for i, v := range q {
			next[i] = beta[i] * v
			diag += next[i] * v
		}
		jacobi.Set(j, j, diag)
		for i, v := range q {
			next[i] -= diag*v + off*prev[i]
			square += next[i] * next[i]
		}
		off = math.Sqrt(square)
		if j+1 < count {
			jacobi.Set(j, j+1, off)
		}
		prev = *q
		for i, v := range next {
			q[i] = v / off
		}
	}
	centres := make([]float64, count)
	eigen.SymValues(jacobi, centres)
	for i, b := range centres {
		centres[i] = 2 * math.Atanh(math.Sqrt(b))
	}
	return centres
}

// interpolationPoints returns y = tanh(l/2) at the positive ones of 2 count + 1 points e^l = e^L dn(u) with u in the middle of equal parts of a quarter
// period, the complementary modulus of dn being e^-2L.
func interpolationPoints(width float64, count int) []float64 {
	q := newQuarterPeriod(math.Exp(-2 * width))
	out := make([]float64, count)
	for i := range out {
		out[i] = math.Tanh((width + q.logDelta((float64(i)+0.5)/float64(2*count+1))) / 2)
	}
	return out
}

// quarterPeriod evaluates the elliptic function dn of one modulus, by the arithmetic-geometric mean and Landen's transformation.
type quarterPeriod struct {
	m     float64 // 1 less the square of the complementary modulus
	a, c  [16]float64
	steps int
}

func newQuarterPeriod(complement float64) *quarterPeriod {
	q := &quarterPeriod{m: 1 - complement*complement}
	q.a[0], q.c[0] = 1, math.Sqrt(q.m)
	for b := complement; q.steps < len(q.a)-1 && q.c[q.steps] > 1e-15; q.steps++ {
		a := q.a[q.steps]
		q.a[q.steps+1], q.c[q.steps+1] = (a+b)/2, (a-b)/2
		b = math.Sqrt(a * b)
	}
	return q
}

// logDelta returns log dn at the given share of a quarter period.
func (q *quarterPeriod) logDelta(share float64) float64 {
	phi := math.Ldexp(math.Pi/2*share, q.steps)
	for j := q.steps; j > 0; j-- {
		phi = (phi + math.Asin(q.c[j]/q.a[j]*math.Sin(phi))) / 2
	}
	s := math.Sin(phi)
	return math.Log1p(-q.m*s*s) / 2
}

const chebyshevPoints = 64

// chebyshev are the positive points of (-1, 1).
var chebyshev = func() (x [chebyshevPoints]float64) {
	for i := range x {
		x[i] = math.Cos((float64(i) + 0.5) / chebyshevPoints * math.Pi / 2)
	}
	return x
}()

// solveShiftedLog fits the weights of the given poles by least squares at Chebyshev points (modified Gram-Schmidt).
func solveShiftedLog(width float64, centres []float64) *shiftedLog {
	const points = chebyshevPoints
	k, squares := len(centres), tanhSquares(centres)
	var l, rest [points]float64
	var columns [(mostShifts + 1) / 2][points]float64
	var upper [(mostShifts + 1) / 2][(mostShifts + 1) / 2]float64
	var b [(mostShifts + 1) / 2]float64
	for i := range l {
		l[i] = width * chebyshev[i]
		y := math.Tanh(l[i] / 2)
		for j, s := range squares {
			columns[j][i] = 2 * y * (1 - s) / (1 - s*y*y)
		}
	}
	rest = l
	for j := range k {
		q := columns[j][:]
		norm := math.Sqrt(dense.Dot(q, q))
		upper[j][j] = norm
		dense.Scale(1/norm, q, q)
		for i := j + 1; i < k; i++ {
			upper[j][i] = dense.Dot(q, columns[i][:])
			dense.Axpy(-upper[j][i], q, columns[i][:])
		}
		b[j] = dense.Dot(q, rest[:])
		dense.Axpy(-b[j], q, rest[:])
	}
	for j := k - 1; j >= 0; j-- {
		for i := j + 1; i < k; i++ {
			b[j] -= upper[j][i] * b[i]
		}
		b[j] /= upper[j][j]
	}
	r := newShiftedSum(width, centres, b[:k])
	for _, v := range rest { // the residual at Chebyshev points is the error but for its last ten percent
		r.err = max(r.err, 1.1*math.Abs(v))
	}
	return r
}

// newShiftedSum returns the function with the given coefficients b_c.
func newShiftedSum(width float64, centres, b []float64) *shiftedLog {
	r := &shiftedLog{width: width, centres: centres}
	for j, c := range centres {
		r.constant += 2 * b[j]
		if c == 0 {
			r.shift, r.weight = append(r.shift, 1), append(r.weight, 4*b[j])
			continue
		}
		s := math.Exp(c)
		r.shift, r.weight = append(r.shift, s, 1/s), append(r.weight, 2*b[j]*s, 2*b[j]/s)
	}
	return r
}
