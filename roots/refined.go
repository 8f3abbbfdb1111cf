package roots

import (
	"math"
	"math/bits"

	"github.com/spdopt/spdopt/internal/dense"
)

var refinedMethod = Method{
	Name: "refined",
	Title: "eigendecomposition (Cholesky for the inverse) corrected to first order by a residual in twice the precision: a few units of rounding up to " +
		"condition numbers of 1e8",
	Source: "first-order correction by divided differences (Daleckii and Krein), residual and orthogonality as in Ogita and Aishima, Japan J. Indust. Appl. " +
		"Math. 35 (2018); exact split products, Ozaki, Ogita, Oishi and Rump, Numer. Algorithms 59 (2012)",
	Can: func(q Query) bool {
		return !q.Single && !q.Cutoff && (q.Kind == KindLog || q.Kind <= KindInv && math.Abs(q.Power) <= 8 && q.Power != 0 && q.needsPositive())
	},
	Work: func(q Query) float64 {
		if q.Power == -1 {
			// Passes over the elements weigh more than with a decomposition.
			return 8 + 100/float64(max(q.N, 1)) + applyWork(q, 1)
		}
		return 11.5 + applyWork(q, 3)
	},
	exact: true,
	Bound: func(q Query) float64 {
		coupling := 4 * math.Sqrt(float64(q.N)) * q.eps() * max(q.Cond, 1)
		if coupling > maxCoupling {
			return eigenBound(q)
		}
		return refinedBound(q, coupling)
	},
	rate:  rate{18.6, 12.3, 6.8, 3.2, 1.7, 1.15, 1.1, 0.95, 0.85, 0.8},
	run64: runRefined,
	run32: func(*job[float32]) error { return &MethodError{"refined", "works in float64 only"} },
}

// maxCoupling is the relative coupling between eigenvectors, or the residual of the inverse, up to which a first-order correction is trusted.
const maxCoupling = 0.1

// refinedBound has three parts: the rounding of the last products, that of the residual, which sees 2^-splitBits of the condition number, and the
// remainder of the expansion, second order in the coupling ||D^(-1/2) E D^(-1/2)||.
func refinedBound(q Query, coupling float64) float64 {
	root := math.Sqrt(float64(q.N)) * q.eps()
	second := max(1, 2*q.Power*q.Power) * coupling * coupling / (1 - coupling)
	if q.Kind == KindLog {
		// Relative to ||log A||, which may be small.
		second *= q.sensitivity() / max(q.Cond, 1)
	}
	first := 8 * root
	if q.Kind == KindLog {
		first *= 1 + q.sensitivity()/max(q.Cond, 1)
	}
	return first + 8*root*math.Ldexp(q.sensitivity(), -splitBits(q.N)) + second
}

// splitBits is the length of leading parts of which n products are summed without rounding.
func splitBits(n int) int { return (53 - bits.Len(uint(n))) / 2 }

func runRefined(j *job[float64]) error {
	if j.Power == -1 {
		return j.invert(true)
	}
	n := j.N
	q, w := j.a.Clone(), make([]float64, n)
	if !decompose(q, w) {
		return &MethodError{"refined", "the decomposition did not converge"}
	}
	j.count(6 * cube(n))
	return j.correct(q, w)
}

// correct delivers the function from the decomposition a = q diag(w) q^T, corrected to first order.
func (j *job[T]) correct(q dense.Matrix[float64], w []float64) error {
	n := j.N
	if w[0] <= 4*float64(n)*0x1p-53*w[n-1] {
		return j.unrefined(q, w)
	}
	j.rep.LambdaMin, j.rep.LambdaMax = w[0], w[n-1]
	if err := j.fits(j.dominant(w, 0)); err != nil {
		return err
	}
	e, r := j.coupling(q, w)
	nu := relativeCoupling(e, w)
	if !(nu <= maxCoupling) {
		return j.unrefined(q, w)
	}
	s := j.expand(w, e, r)
	for i := range n {
		w[i] += e.At(i, i)
	}
	j.spectrum = w
	j.rep.LambdaMin, j.rep.LambdaMax = w[0], w[n-1]
	known := j.Query
	known.Cond, known.Top = j.rep.Cond()*(1+nu), math.Ldexp(w[n-1], j.shift)
	j.bound = refinedBound(known, nu)
	j.conjugate(q, s)
	return nil
}

// relativeCoupling returns ||D^(-1/2) e D^(-1/2)||_F for D = diag(w) and the upper triangle of the symmetric e.
func relativeCoupling(e dense.Matrix[float64], w []float64) float64 {
	inverse := make([]float64, len(w))
	for i, l := range w {
		inverse[i] = 1 / l
	}
	var s float64
	for i := range w {
		row := e.Row(i)
		var off float64
		for k := i + 1; k < len(w); k++ {
			off += row[k] * row[k] * inverse[k]
		}
		s += (row[i]*row[i]*inverse[i] + 2*off) * inverse[i]
	}
	return math.Sqrt(s)
}

// unrefined delivers what the decomposition gives, where the correction is not small.
func (j *job[T]) unrefined(q dense.Matrix[float64], w []float64) error {
	if err := j.fromSpectrum(q, w); err != nil {
		return err
	}
	known := j.Query
	known.Cond, known.Top = j.rep.Cond(), math.Ldexp(j.rep.LambdaMax, j.shift)
	j.bound = eigenBound(known)
	return nil
}

// coupling returns the upper triangles of r = I - Q^T Q and of the symmetric e with P^T A P = diag(w) + e to first order, P = Q (I + r/2) being
// orthogonal to second order: e = Q^T W + (D r - r D)/2 with the residual W = A Q - Q D. The second term is skew and cancels the skew part of the
// first, so that e is the symmetric part of Q^T W.
func (j *job[T]) coupling(q dense.Matrix[float64], w []float64) (e, r dense.Matrix[float64]) {
	n := j.N
	a := dense.New[float64](n, n)
	convert(a, j.a)
	p, rest := exactProduct(a, q)
	for i := range n {
		pr, er, qr := p.Row(i), rest.Row(i), q.Row(i)
		for k, d := range w {
			hi := qr[k] * d
			pr[k] = difference(pr[k], hi, er[k]-math.FMA(qr[k], d, -hi))
		}
	}
	r, e = a, rest
	dense.GemmUpper(dense.Transposed, dense.NoTrans, -1, q, q, 0, r)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, q, p, 0, e)
	dense.Transpose(p, e)
	for i := range n {
		er, tr := e.Row(i), p.Row(i)
		r.Row(i)[i]++
		for k := i; k < n; k++ {
			er[k] = (er[k] + tr[k]) / 2
		}
	}
	j.count(4.5 * cube(n))
	return e, r
}

// difference returns (x - y) + z, rounded about once.
func difference(x, y, z float64) float64 {
	s := x - y
	b := s - x
	return s + ((x - (s - b)) - (y + b) + z)
}

// exactProduct returns a q = p + rest: p is the product of the leading splitBits bits of the rows of a and the columns of q, without any rounding
// error, and rest the other three parts, rounded.
func exactProduct(a, q dense.Matrix[float64]) (p, rest dense.Matrix[float64]) {
	n := a.Rows
	keep := splitBits(n)
	a1, ar, q1, qr := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	column := make([]float64, n)
	for i := range n {
		var top float64
		row := a.Row(i)
		for _, v := range row {
			top = max(top, math.Abs(v))
		}
		c := rounder(top, keep)
		lead, rest := a1.Row(i), ar.Row(i)
		for k, v := range row {
			lead[k] = (v + c) - c
			rest[k] = v - lead[k]
		}
		for k, v := range q.Row(i) {
			column[k] = max(column[k], math.Abs(v))
		}
	}
	for k, top := range column {
		column[k] = rounder(top, keep)
	}
	for i := range n {
		lead, rest := q1.Row(i), qr.Row(i)
		for k, v := range q.Row(i) {
			lead[k] = (v + column[k]) - column[k]
			rest[k] = v - lead[k]
		}
	}
	p, rest = dense.New[float64](n, n), dense.New[float64](n, n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a1, q1, 0, p)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a1, qr, 0, rest)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, ar, q, 1, rest)
	return p, rest
}

// rounder returns c for which (v + c) - c rounds |v| <= top to keep bits below the leading one of top.
func rounder(top float64, keep int) float64 {
	_, e := math.Frexp(top)
	return math.Ldexp(1.5, e-keep+52)
}

// expand returns diag(f(w)) + F o e + (r f + f r)/2 with the divided differences F of f.
func (j *job[T]) expand(w []float64, e, r dense.Matrix[float64]) dense.Matrix[float64] {
	n := j.N
	f := make([]float64, n)
	for i, l := range w {
		f[i] = j.fn(l)
	}
	s := dense.New[float64](n, n)
	for i := range n {
		sr, er, rr := s.Row(i), e.Row(i), r.Row(i)
		sr[i] = f[i]*(1+rr[i]) + j.slope(w[i])*er[i]
		for k := i + 1; k < n; k++ {
			gap := w[k] - w[i]
			var quotient float64
			if gap > 1e-5*w[i] {
				quotient = (f[k] - f[i]) / gap
			} else {
				quotient = j.slope((w[i] + w[k]) / 2)
			}
			sr[k] = quotient*er[k] + rr[k]*(f[i]+f[k])/2
		}
	}
	dense.Mirror(s)
	return s
}

// slope returns the derivative of the function at l.
func (q *Query) slope(l float64) float64 {
	if q.Kind == KindLog {
		return 1 / l
	}
	return q.Power * q.fn(l) / l
}

// conjugate delivers q s q^T, or its product with the right-hand sides.
func (j *job[T]) conjugate(q, s dense.Matrix[float64]) {
	n := j.N
	if j.Columns == 0 {
		t, x := dense.New[float64](n, n), dense.New[float64](n, n)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q, s, 0, t)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t, q, 0, x)
		dense.Mirror(x)
		j.count(1.5 * cube(n))
		convert(j.x, x)
		return
	}
	rhs, y := dense.New[float64](n, j.Columns), dense.New[float64](n, j.Columns)
	convert(rhs, j.rhs)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, q, rhs, 0, y)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s, y, 0, rhs)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q, rhs, 0, y)
	j.count(3 * float64(n) * float64(n) * float64(j.Columns))
	convert(j.x, y)
}
