package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

var choleskyPolarMethod = Method{
	Name:   "cholesky-polar",
	Title:  "A = L L^T, polar factor L = H U by minimax polynomials; A^(1/2) = H, A^(-1/2) = U L^-1, repeated for 1/4 and on; sees sqrt(cond) only",
	Source: "Higham, Functions of Matrices, Algorithm 6.21; polynomials as in polar-express",
	Can:    canHalving,
	Work: func(q Query) float64 {
		w, k := 0.0, max(q.Cond, 1)
		for range halvings(q.Power) {
			w += 2*polarSteps(0.5/math.Sqrt(k), q.target()) + 2./3
			k = math.Sqrt(k)
		}
		return w + applyWork(q, 1)
	},
	Bound: choleskyPolarBound,
	rate:  rate{45.4, 25.4, 7.1, 2.7, 1.7, 1.4, 1.2, 1.1, 1.1, 1.05},
	run64: runCholeskyPolar[float64],
	run32: runCholeskyPolar[float32],
}

// choleskyPolarBound has two parts: the factorization, made in float64 with the backward error of A, and the iteration, whose errors
// are amplified by cond(L) = sqrt(cond(A)) only. In float32 the second one dominates.
func choleskyPolarBound(q Query) float64 {
	growth := math.Sqrt(max(q.Cond, 1)) / 4
	if q.Power > 0 {
		growth = math.Pow(max(q.Cond, 1), 0.25)
	}
	b := math.Sqrt(float64(q.N)) * q.eps() * (4 + growth)
	q.Single = false
	return q.rounding(4) + b*float64(halvings(q.Power))
}

func runCholeskyPolar[T dense.Float](j *job[T]) error {
	s := halvings(j.Power)
	a, lo, hi := j.a, j.lo, j.hi
	for i := 1; ; i++ {
		target := j.Query.target()
		if i < s {
			target = min(target, passTarget)
		}
		r, err := j.halve(a, lo, hi, i == s && j.Power < 0, target)
		if err != nil {
			return err
		}
		if i == s {
			j.give(r)
			return nil
		}
		symmetrise(r)
		a, lo, hi = r, 0.98*math.Sqrt(lo), 1.02*math.Sqrt(hi)
	}
}

// passTarget bounds the error of all roots but the last, which keeps the spectrum of the next inside the interval that its polynomials are
// made for.
const passTarget = 1e-3

// halve returns a^(1/2) or, inverse, a^(-1/2), up to rounding symmetric, for a symmetric a with spectrum in about [lo, hi]. The factorization is
// made in float64 whatever T is: L then has the condition sqrt(cond(a)), so that rounding L to T costs eps sqrt(cond(a)) only.
func (j *job[T]) halve(a dense.Matrix[T], lo, hi float64, inverse bool, target float64) (dense.Matrix[T], error) {
	n := j.N
	l64, err := j.factorOf(a)
	if err != nil {
		return a, err
	}
	l, u := j.new(n, n), j.new(n, n)
	convert(l, l64)
	c := T(1 / math.Sqrt(hi))
	for i := range n {
		for k, v := range l.Row(i) {
			u.Set(i, k, v*c)
		}
	}
	u = j.polarIterate(u, 0.5*math.Sqrt(lo/hi), target)
	if inverse {
		dense.SolveLowerRight(dense.NoTrans, l, u)
		j.count(cube(n) / 2)
		return u, nil
	}
	ut, h := j.new(n, n), j.new(n, n)
	dense.Transpose(ut, u)
	dense.MulLower(dense.NoTrans, l, ut, h)
	j.count(cube(n) / 2)
	return h, nil
}

// polarIterate overwrites x, m x n with singular values in [lower, 1], with its orthogonal polar factor, by X <- X q(X^T X).
func (j *job[T]) polarIterate(x dense.Matrix[T], lower, target float64) dense.Matrix[T] {
	n := x.Cols
	s, w := j.new(n, n), j.new(n, n)
	y := j.new(x.Rows, n)
	plan := polarSchedule(lower, target, j.eps())
	for _, p := range plan.polys {
		j.symm(dense.Transposed, dense.NoTrans, 1, x, x, s)
		j.symm(dense.NoTrans, dense.NoTrans, 1, s, s, w)
		j.poly(s, T(p.a), T(p.b), s, T(p.c), w)
		j.gemm(dense.NoTrans, dense.NoTrans, 1, x, s, 0, y)
		x, y = y, x
	}
	j.rep.Iterations += len(plan.polys)
	j.rep.Reason = "converged"
	j.trunc += 1.2 * plan.error
	return x
}

// symmetrise replaces the square m by (m + m^T)/2.
func symmetrise[T dense.Float](m dense.Matrix[T]) {
	for i := range m.Rows {
		for c := i + 1; c < m.Cols; c++ {
			v := (m.At(i, c) + m.At(c, i)) / 2
			m.Set(i, c, v)
			m.Set(c, i, v)
		}
	}
}
