package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

var order3Method = Method{
	Name:   "order3",
	device: true,
	Title:  "coupled iteration of order 3 for A^(-1/r) and integer powers of it",
	Source: "Lakic, BIT 38 (1998); Guo and Higham, SIAM J. Matrix Anal. Appl. 28 (2006)",
	Can:    canCoupled,
	Work: func(q Query) float64 {
		_, r, _ := rootOf(q.Power, coupledLimit)
		f := float64(r)
		growth := f * math.Log(1+1/f+(f+1)/(2*f*f))
		steps := math.Log(2*max(q.Cond, 1))/growth + 4
		return steps*(2+float64(powerProducts(r))/2) + coupledFinish(q)
	},
	Bound: func(q Query) float64 { return coupledBound(q, 8) },
	rate:  rate{18.6, 12.1, 4.9, 2.2, 1.5, 1.4, 1.2, 1.15, 1.1, 1.05},
	run64: runOrder3[float64],
	run32: runOrder3[float32],
}

// runOrder3 takes T = I + R/r + (r+1)/(2 r^2) R^2 with R = I - M, the truncated binomial series of M^(-1/r).
func runOrder3[T dense.Float](j *job[T]) error {
	c, k, r := coupledSplit(j.Power)
	f := float64(r)
	e := (f + 1) / (2 * f * f)
	x, err := coupled(j, r, 2, func(m, t, w dense.Matrix[T]) {
		j.symm(dense.NoTrans, dense.NoTrans, 1, m, m, w)
		j.poly(t, T(1+1/f+e), T(-1/f-2*e), m, T(e), w)
	})
	if err != nil {
		return err
	}
	return j.finishCoupled(x, c, k)
}
