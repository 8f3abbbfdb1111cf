package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matfun"
)

var denmanBeaversMethod = Method{
	Name:   "denman-beavers",
	Title:  "scaled product-form Denman-Beavers iteration for A^(1/2) and A^(-1/2), repeated for 1/4 and 1/8; one Cholesky inverse a step",
	Source: "Cheng, Higham, Kenney and Laub, SIAM J. Matrix Anal. Appl. 22 (2001); Higham, Functions of Matrices, eq. (6.29)",
	Can:    canHalving,
	Work: func(q Query) float64 {
		w, k := 0.0, max(q.Cond, 1)
		for range halvings(q.Power) {
			w += 1.5 * (4 + math.Log2(1+math.Log2(k)))
			k = math.Sqrt(k)
		}
		return w + applyWork(q, 1)
	},
	Bound: func(q Query) float64 { return halvingBound(q, 16) },
	rate:  rate{43.5, 33.0, 11.2, 4.5, 2.3, 1.6, 1.4, 1.3, 1.2, 1.15},
	run64: runDenmanBeavers[float64],
	run32: runDenmanBeavers[float32],
}

func runDenmanBeavers[T dense.Float](j *job[T]) error {
	s := halvings(j.Power)
	a, lo, hi := j.a, j.lo/2, j.hi
	for i := 1; ; i++ {
		y, err := j.denmanBeavers(a, lo, hi, i == s && j.Power < 0)
		if err != nil {
			return err
		}
		symmetrise(y)
		if i == s {
			j.give(y)
			return nil
		}
		a, lo, hi = y, math.Sqrt(lo), math.Sqrt(hi)
	}
}

// denmanBeavers returns a^(1/2) or a^(-1/2) for a spectrum in about [lo, hi]: with M' = mu^2 M,
//
//	Y <- mu Y (I + M'^-1)/2,   M <- (I + (M' + M'^-1)/2)/2,
//
// from M = a and Y = a or I. mu^2 = (lo hi)^(-1/2) centres the interval that holds the spectrum of M, which the step maps to
// [1, (2 + u + 1/u)/4] with u = (hi/lo)^(1/2) (the suboptimal scaling of Byers and Xu, SIAM J. Matrix Anal. Appl. 30, 2008). Scaling stops
// near convergence, where it would only add rounding.
func (j *job[T]) denmanBeavers(a dense.Matrix[T], lo, hi float64, inverse bool) (dense.Matrix[T], error) {
	n := j.N
	m, l, y, w := a.Clone(), j.new(n, n), j.new(n, n), j.new(n, n)
	y.Copy(a)
	if inverse {
		y.Identity()
	}
	stop := matfun.Progress{Target: j.target()}
	limit := j.iterationLimit(40)
	scaling := true
	for it := 0; ; it++ {
		d := distanceToIdentity(m)
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return y, &MethodError{j.rep.Method, "the iteration diverged; use method eigen"}
		}
		if j.rep.Reason = stop.Done(d); j.rep.Reason != "" {
			j.trunc += 0.75 * d
			return y, nil
		}
		if it == limit {
			return y, &MethodError{j.rep.Method, "no convergence within the iteration limit"}
		}
		j.rep.Iterations++
		l.Copy(m)
		if dense.Cholesky(l) >= 0 {
			return y, j.refuse()
		}
		mu := 1.0
		if scaling = scaling && hi > 1.1*lo; scaling {
			mu = math.Pow(lo*hi, -0.25)
			u := math.Sqrt(hi / lo)
			lo, hi = 1, (2+u+1/u)/4
		}
		invertCholesky(l, w)
		j.count(cube(n) / 2)
		// w = M^-1, M'^-1 = w/mu^2.
		polyIdentity(l, T(mu/2), T(1/(2*mu)), w, 0, w)
		polyIdentity(m, 0.5, T(mu*mu/4), m, T(1/(4*mu*mu)), w)
		j.gemm(dense.NoTrans, dense.NoTrans, 1, y, l, 0, w)
		y, w = w, y
	}
}
