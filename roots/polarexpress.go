package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

var polarExpressMethod = Method{
	Name:   "polar-express",
	device: true,
	Title:  "coupled iteration with minimax polynomials for A^(1/2) and A^(-1/2), repeated for 1/4 and 1/8; products only",
	Source: "Amsel, Persson, Musco and Gower, The Polar Express (2025); Chen and Chow (2014)",
	Can:    canHalving,
	Work: func(q Query) float64 {
		w, k := 0.0, max(q.Cond, 1)
		for range halvings(q.Power) {
			w += 4 * polarSteps(0.5/math.Sqrt(k), q.target())
			k = math.Sqrt(k)
		}
		return w + applyWork(q, 1)
	},
	Bound: func(q Query) float64 { return halvingBound(q, 8) },
	rate:  rate{21.9, 12.8, 3.8, 1.7, 1.2, 1.05, 1.0, 1.0, 1.0, 1.0},
	run64: runPolarExpress[float64],
	run32: runPolarExpress[float32],
}

// halvings returns s for p = +-2^-s, or 0.
func halvings(p float64) int {
	f, e := math.Frexp(math.Abs(p))
	if f != 0.5 || e > 0 || e < -3 {
		return 0
	}
	return 1 - e
}

// canHalving accepts the powers +-1/2, +-1/4, +-1/8 and +-1/16.
func canHalving(q Query) bool {
	return (q.Kind == KindPow || q.Kind == KindSqrt) && halvings(q.Power) > 0 && !q.Cutoff
}

// halvingBound is the promise of s square roots one after the other: the errors of each are amplified by the sensitivity of the rest.
func halvingBound(q Query, c float64) float64 {
	s := halvings(q.Power)
	p := q
	p.Power = -math.Abs(q.Power)
	if q.Power > 0 {
		// The square root and its inverse come from one coupled pair; the error of the root itself is that of its own sensitivity and of the
		// pair, whose condition is that of the square root of A.
		p.Power = q.Power
		p.Cond = max(q.Cond, 1)
		return p.rounding(c)*float64(s) + c*math.Sqrt(float64(q.N))*q.eps()*math.Sqrt(p.Cond)
	}
	return p.rounding(c) * float64(s)
}

func (q *Query) target() float64 {
	floor := 4 * q.eps()
	if q.Tol > 0 {
		return max(floor, q.Tol/8)
	}
	return floor
}

func runPolarExpress[T dense.Float](j *job[T]) error {
	s := halvings(j.Power)
	a, lo, hi := j.a, j.lo, j.hi
	for i := 1; ; i++ {
		target := j.Query.target()
		if i < s {
			target = min(target, passTarget)
		}
		y, z := coupledMinimax(j, a, lo, hi, target)
		switch {
		case i < s:
			symmetrise(y)
			a, lo, hi = y, 0.98*math.Sqrt(lo), 1.02*math.Sqrt(hi)
		case j.Power > 0:
			j.give(y)
			return nil
		default:
			j.give(z)
			return nil
		}
	}
}

// coupledMinimax returns a^(1/2) and a^(-1/2) for a symmetric a with spectrum in about [lo, hi]: Y <- Y q(ZY), Z <- q(ZY) Z from Y = a/hi,
// Z = I, where x q(x^2) are the minimax polynomials on the interval of the square roots of the eigenvalues of ZY.
func coupledMinimax[T dense.Float](j *job[T], a dense.Matrix[T], lo, hi, target float64) (y, z dense.Matrix[T]) {
	n := j.N
	y, z = j.new(n, n), j.new(n, n)
	p, q, w := j.new(n, n), j.new(n, n), j.new(n, n)
	j.poly(y, 0, T(1/hi), a, 0, a)
	z.Identity()
	lower := 0.5 * math.Sqrt(lo/hi)
	plan := polarSchedule(lower, target, j.eps())
	for k, poly := range plan.polys {
		if k == 0 {
			p.Copy(y)
		} else {
			j.gemm(dense.NoTrans, dense.NoTrans, 1, z, y, 0, p)
		}
		j.gemm(dense.NoTrans, dense.NoTrans, 1, p, p, 0, w)
		j.poly(q, T(poly.a), T(poly.b), p, T(poly.c), w)
		j.gemm(dense.NoTrans, dense.NoTrans, 1, y, q, 0, w)
		y, w = w, y
		if k == 0 {
			z.Copy(q)
			continue
		}
		j.gemm(dense.NoTrans, dense.NoTrans, 1, q, z, 0, w)
		z, w = w, z
	}
	j.rep.Iterations += len(plan.polys)
	j.rep.Reason = "converged"
	j.trunc += 1.2 * plan.error
	j.poly(y, 0, T(math.Sqrt(hi)), y, 0, y)
	j.poly(z, 0, T(1/math.Sqrt(hi)), z, 0, z)
	return y, z
}
