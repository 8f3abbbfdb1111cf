package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
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

// newtonSchulz returns a^(1/2) and a^(-1/2) by the iteration of internal/matfun, hi being at least ||a||_2.
func newtonSchulz[T dense.Float](j *job[T], a dense.Matrix[T], hi float64) (y, z dense.Matrix[T], err error) {
	n := j.N
	y, z = j.new(n, n), j.new(n, n)
	w := matfun.New(j.e, j.arena, 1, n)
	end, err := w.Roots(engine.One(a), engine.One(y), engine.One(z), []float64{2 / hi}, j.target(), j.iterationLimit(120))
	j.rep.Iterations += end.Steps
	j.rep.Reason = end.Reason
	j.count(cube(n) * float64(3*end.Steps+1))
	j.trunc += 0.75 * end.Residual
	switch {
	case err == nil:
		return y, z, nil
	case matfun.Broken(end.Residual):
		return y, z, &MethodError{j.rep.Method, "the iteration diverged; use method eigen"}
	}
	return y, z, &MethodError{j.rep.Method, "no convergence within the iteration limit"}
}
