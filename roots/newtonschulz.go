package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

var newtonSchulzMethod = Method{
	Name:   "newton-schulz",
	device: true,
	Title:  "coupled Newton-Schulz iteration for A^(1/2) and A^(-1/2), repeated for 1/4 and 1/8; products only",
	Source: "Higham, Functions of Matrices, eq. (6.35)",
	Can:    canHalving,
	Work: func(q Query) float64 {
		w, k := 0.0, max(q.Cond, 1)
		for range halvings(q.Power) {
			w += 3 * (math.Log(2*k)/math.Log(2.25) + 5)
			k = math.Sqrt(k)
		}
		return w + applyWork(q, 1)
	},
	Bound: func(q Query) float64 { return halvingBound(q, 8) },
	rate:  rate{9.4, 6.0, 2.5, 1.6, 1.2, 1.2, 1.1, 1.1, 1.05, 1.0},
	run64: runNewtonSchulz[float64],
	run32: runNewtonSchulz[float32],
}

func runNewtonSchulz[T dense.Float](j *job[T]) error {
	s := halvings(j.Power)
	a, hi := j.a, j.hi
	for i := 1; ; i++ {
		y, z, err := newtonSchulz(j, a, hi)
		switch {
		case err != nil:
			return err
		case i < s:
			symmetrise(y)
			a, hi = y, 1.02*math.Sqrt(hi)
		case j.Power > 0:
			j.give(y)
			return nil
		default:
			j.give(z)
			return nil
		}
	}
}

// newtonSchulz returns a^(1/2) and a^(-1/2): Y <- Y T, Z <- T Z, T = (3 I - Z Y)/2 from Y = c a, Z = I with ||c a||_2 <= 2, which leaves the
// largest and the smallest eigenvalue at like distances from 1 in the end.
func newtonSchulz[T dense.Float](j *job[T], a dense.Matrix[T], hi float64) (y, z dense.Matrix[T], err error) {
	n := j.N
	y, z = j.new(n, n), j.new(n, n)
	t, w := j.new(n, n), j.new(n, n)
	c := 2 / hi
	j.poly(y, 0, T(c), a, 0, a)
	z.Identity()
	stop := progress{target: j.target()}
	limit := j.iterationLimit(120)
	for it := 0; ; it++ {
		j.gemm(dense.NoTrans, dense.NoTrans, 1, z, y, 0, t)
		d := j.distance(t)
		if broken(d) {
			return y, z, &MethodError{j.rep.Method, "the iteration diverged; use method eigen"}
		}
		if j.rep.Reason = stop.done(d); j.rep.Reason != "" {
			j.trunc += 0.75 * d
			break
		}
		if it == limit {
			return y, z, &MethodError{j.rep.Method, "no convergence within the iteration limit"}
		}
		j.rep.Iterations++
		j.poly(t, 1.5, -0.5, t, 0, t)
		j.gemm(dense.NoTrans, dense.NoTrans, 1, y, t, 0, w)
		y, w = w, y
		j.gemm(dense.NoTrans, dense.NoTrans, 1, t, z, 0, w)
		z, w = w, z
	}
	j.poly(y, 0, T(1/math.Sqrt(c)), y, 0, y)
	j.poly(z, 0, T(math.Sqrt(c)), z, 0, z)
	return y, z, nil
}
