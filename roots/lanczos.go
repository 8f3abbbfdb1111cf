package roots

import (
	"errors"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

var lanczosMethod = Method{
	Name:   "lanczos",
	Title:  "Krylov approximation of A^p x and log(A) x with an a-posteriori bound; needs products with A only",
	Source: "Golub and Meurant, Matrices, Moments and Quadrature (2010); bound by the residuals of the shifted systems",
	Can: func(q Query) bool {
		return q.Columns > 0 && !q.Cutoff && (q.Kind == KindLog || q.Kind <= KindInv && q.Power != 0 && math.Abs(q.Power) <= 16)
	},
	Work: func(q Query) float64 {
		rate := (math.Sqrt(max(q.Cond, 1)) + 1) / math.Max(math.Sqrt(max(q.Cond, 1))-1, 1e-3)
		steps := min(float64(q.N), math.Log(4/max(q.Tol, q.eps()))/math.Log(rate)+1)
		n := float64(q.N)
		// Each step costs a product with A and re-orthogonalisation against all earlier vectors.
		return float64(q.Columns) * steps * (n + 2*steps) / (n * n) * math.Ceil(max(1, math.Abs(q.Power)))
	},
	Bound: func(q Query) float64 {
		if q.Kind == KindLog {
			return q.rounding(8)
		}
		return rationalBound(q)
	},
	rate:  rate{300, 100, 40, 15, 9, 7, 7, 9, 10, 10},
	run64: runLanczos[float64],
	run32: runLanczos[float32],
}

func runLanczos[T dense.Float](j *job[T]) error {
	n := j.N
	a := dense.New[float64](n, n)
	convert(a, j.a)
	mul := func(dst, src []float64) { dense.Gemv(dense.NoTrans, 1, a, src, 0, dst) }
	k := krylov{n: n, mul: mul, q: j.Query, lower: j.lower, limit: j.limit}
	if k.lower == 0 {
		// The estimate is from above; half of it stands below the spectrum with overwhelming probability.
		k.lower = j.lo / 2
	}
	x, y := make([]float64, n), make([]float64, n)
	var worst float64
	for c := range j.Columns {
		for i := range n {
			x[i] = float64(j.rhs.At(i, c))
		}
		bound, err := k.apply(y, x)
		if err != nil {
			return err
		}
		worst = max(worst, bound)
		for i, v := range y {
			j.x.Set(i, c, T(v))
		}
	}
	j.trunc += worst
	j.rep.Iterations, j.rep.Reason = k.products, k.reason
	j.count(float64(k.products) * float64(n) * float64(n+2*k.products/max(j.Columns, 1)))
	return nil
}

// krylov applies the function of the query to vectors.
type krylov struct {
	n        int
	mul      func(dst, src []float64)
	q        Query
	lower    float64 // bound below the spectrum
	limit    int
	products int
	reason   string
	min, max float64 // extreme Ritz values seen
}

// apply sets y = f(A) x and returns the bound of the error relative to max |f| over the spectrum times ||x||. Powers beyond -1 are applied
// in equal pieces, and positive ones as integer powers after a negative one.
func (k *krylov) apply(y, x []float64) (float64, error) {
	if k.q.Kind == KindLog {
		return k.piece(y, x, 0)
	}
	whole, frac := splitPower(k.q.Power)
	pieces := 1
	p := -frac
	if whole < 0 {
		pieces = int(math.Ceil(-k.q.Power))
		p = k.q.Power / float64(pieces)
		whole = 0
	}
	copy(y, x)
	var bound float64
	for range pieces {
		if p == 0 {
			break
		}
		b, err := k.piece(y, append([]float64(nil), y...), p)
		if err != nil {
			return b, err
		}
		bound += b
	}
	for range whole {
		t := append([]float64(nil), y...)
		k.mul(y, t)
		k.products++
	}
	if whole > 0 {
		// ||A^whole e|| against max f = M^p: the first factor of the product is relative to m^-frac.
		bound *= math.Pow(k.max/k.lower, frac)
	}
	return bound, nil
}

// krylovFunction is the function of one piece: x^p with -1 <= p < 0, or -log x for p = 0. Both are integrals of resolvents with positive weight.
type krylovFunction float64

func (p krylovFunction) at(l float64) float64 {
	if p == 0 {
		return -math.Log(l)
	}
	return math.Pow(l, float64(p))
}

// difference returns (f(low) - f(t))/(t - low) for low <= t.
func (p krylovFunction) difference(low, t float64) float64 {
	switch {
	case t-low > 1e-8*t:
		return (p.at(low) - p.at(t)) / (t - low)
	case p == 0:
		return 1 / t
	}
	return -float64(p) * math.Pow(t, float64(p)-1)
}

// krylovSpace is a Lanczos basis with full re-orthogonalisation: A V = V T + beta v e_k^T.
type krylovSpace struct {
	v           [][]float64 // k+1 vectors, the last one still outside of V
	alpha, beta []float64
	closed      bool // beta is zero: the space is invariant
}

// grow adds one vector.
func (s *krylovSpace) grow(mul func(dst, src []float64)) error {
	k := len(s.alpha)
	w := make([]float64, len(s.v[k]))
	mul(w, s.v[k])
	a := dense.Dot(w, s.v[k])
	for range 2 {
		for _, u := range s.v {
			dense.Axpy(-dense.Dot(u, w), u, w)
		}
	}
	b := normalise(w)
	if math.IsNaN(a) || math.IsNaN(b) {
		return &MethodError{"lanczos", "the product with A returned NaN"}
	}
	s.v, s.alpha, s.beta = append(s.v, w), append(s.alpha, a), append(s.beta, b)
	s.closed = b <= 1e-15*math.Abs(a) || k+1 == len(w)
	return nil
}

// piece applies x^p, -1 <= p < 0, or the logarithm (p = 0), in one Krylov space.
//
// The error of ||x|| V f(T) e_1 is the integral of the residuals of the shifted systems, which all point along v and have one sign, so that it
// is at most ||x|| beta |e_k^T g(T) e_1| with g(t) = (f(l) - f(t))/(t - l) for any l at or below the spectrum of A:
// f(x) = int w(s) (x + s)^-1 ds with w >= 0, the error of a shifted solution is at most its residual over l + s, and 1/((t+s)(l+s))
// integrates to g.
func (k *krylov) piece(y, x []float64, p float64) (float64, error) {
	norm := math.Sqrt(dense.Dot(x, x))
	clear(y)
	if norm == 0 {
		k.reason = "converged"
		return 0, nil
	}
	first := make([]float64, k.n)
	dense.Scale(1/norm, x, first)
	space := krylovSpace{v: [][]float64{first}}
	f := krylovFunction(p)
	limit := min(k.n, 1000)
	if k.limit > 0 {
		limit = min(limit, k.limit)
	}
	target := max(k.q.Tol/4, 4*0x1p-53)
	best := math.Inf(1)
	for s := 1; ; s++ {
		if err := space.grow(k.mul); err != nil {
			return 0, err
		}
		k.products++
		done := s == limit || space.closed
		if !done && s%4 != 0 {
			continue
		}
		q, theta, err := tridiagonal(space.alpha, space.beta)
		if err != nil {
			return 0, err
		}
		k.min, k.max = theta[0], theta[s-1]
		if theta[0] <= 0 {
			return 0, &NotPositiveDefiniteError{Kind: k.q.Kind, Power: k.q.Power, Smallest: theta[0], Largest: k.max, Negligible: 1}
		}
		bound := k.bound(&space, q, theta, f)
		best = min(best, bound)
		if bound <= target || done || bound > 10*best && best < 1e-10 {
			k.reason = "converged"
			if bound > target {
				k.reason = "stagnated"
			}
			space.combine(y, q, theta, norm, f)
			return bound, nil
		}
	}
}

// bound returns the bound of the error relative to max |f| ||x||.
func (k *krylov) bound(s *krylovSpace, q dense.Matrix[float64], theta []float64, f krylovFunction) float64 {
	if s.closed {
		return 0
	}
	last := len(theta) - 1
	low := min(k.lower, theta[0])
	var e float64
	for i, t := range theta {
		e += q.At(last, i) * q.At(0, i) * f.difference(low, t)
	}
	size := math.Abs(f.at(k.lower))
	if f == 0 {
		size = max(size, 1)
	}
	return s.beta[last] * math.Abs(e) / size
}

// combine sets y = norm V f(T) e_1, with the sign of the logarithm restored.
func (s *krylovSpace) combine(y []float64, q dense.Matrix[float64], theta []float64, norm float64, f krylovFunction) {
	if f == 0 {
		norm = -norm
	}
	for r := range theta {
		var c float64
		for i, t := range theta {
			c += q.At(r, i) * q.At(0, i) * f.at(t)
		}
		dense.Axpy(norm*c, s.v[r], y)
	}
}

// tridiagonal decomposes the symmetric tridiagonal matrix with diagonal alpha and off-diagonal beta[:len(alpha)-1].
func tridiagonal(alpha, beta []float64) (dense.Matrix[float64], []float64, error) {
	k := len(alpha)
	t, w := dense.New[float64](k, k), make([]float64, k)
	for i, a := range alpha {
		t.Set(i, i, a)
		if i+1 < k {
			t.Set(i, i+1, beta[i])
			t.Set(i+1, i, beta[i])
		}
	}
	if !decompose(t, w) {
		return t, w, &MethodError{"lanczos", "the projected eigenproblem did not converge"}
	}
	return t, w, nil
}

// ApplyProduct sets dst = f(A) x for an SPD A of which only the product mul(dst, src) = A src is known, by the Krylov method; q is as in Compute
// (powers and log). o.Lower > 0 must be a lower bound on the spectrum and makes Report.Bound rigorous up to rounding, for
// ||dst - f(A) x|| / (max |f| ||x||) with the maximum over [Lower, LambdaMax]; without it the smallest Ritz value of a first run stands in
// for it and the bound is an estimate. A vector of n takes some ln(2/Tol) sqrt(cond)/2 products; memory is one vector a product.
func ApplyProduct(dst, x []float64, mul func(dst, src []float64), q Query, o *Options) (Report, error) {
	if len(dst) != len(x) {
		mistake("ApplyProduct: dst has %d elements, x %d", len(dst), len(x))
	}
	if mul == nil {
		return Report{}, errors.New("roots: the product with the matrix is nil")
	}
	if o == nil {
		o = &Options{}
	}
	rep := Report{Kind: q.Kind, N: len(x), Rank: len(x), Method: "lanczos", Residual: -1, Reason: "direct"}
	if err := o.Validate(); err != nil {
		return rep, err
	}
	if err := q.normalise(); err != nil {
		return rep, err
	}
	rep.Power = q.Power
	q.N, q.Tol, q.Columns, q.Cutoff = len(x), o.Tol, 1, o.Cutoff > 0
	if q.N == 0 {
		return rep, nil
	}
	if !lanczosMethod.Can(q) {
		return rep, &MethodError{"lanczos", "applies powers other than 0 and the logarithm, without a cut-off"}
	}
	in := append([]float64(nil), x...)
	if err := finite(dense.Wrap(1, q.N, in)); err != nil {
		return rep, err
	}
	shifted := mul
	if o.Ridge > 0 {
		rep.Ridge = o.Ridge
		shifted = func(d, s []float64) { mul(d, s); dense.Axpy(o.Ridge, s, d) }
	}
	return applyProduct(dst, in, shifted, q, o, rep)
}

func applyProduct(dst, x []float64, mul func(dst, src []float64), q Query, o *Options, rep Report) (Report, error) {
	n := q.N
	k := krylov{n: n, mul: mul, q: q, lower: o.Lower, limit: o.MaxIterations}
	if o.Lower == 0 {
		k.lower = math.Inf(1)
		probe := k
		probe.q.Kind, probe.q.Power, probe.q.Tol, probe.lower = KindPow, -0.5, 1e-2, 1e-300
		probe.limit = min(n, 60)
		if _, err := probe.piece(dst, x, -0.5); err != nil {
			return rep, err
		}
		k.lower, k.products = probe.min/4, probe.products
	}
	bound, err := k.apply(dst, x)
	rep.Iterations, rep.Reason = k.products, k.reason
	rep.LambdaMin, rep.LambdaMax = k.min, k.max
	if err != nil {
		return rep, err
	}
	q.Cond, q.Top = k.max/k.lower, k.max
	rep.Bound = bound + lanczosMethod.Bound(q)
	if err := finite(dense.Wrap(1, n, dst)); err != nil {
		return rep, fmt.Errorf("roots: lanczos: result: %w", err)
	}
	if o.Tol > 0 && rep.Bound > o.Tol {
		return rep, &AccuracyError{"lanczos", rep.Bound, o.Tol, q.Cond}
	}
	return rep, nil
}
