package itml

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// sweeps is the number of sweeps over all pairs in an iteration.
const sweeps = 20

// Projections is the method of Davis et al.: Bregman projections on one constraint after the other, each a rank-one change of X; an iteration is
// sweeps sweeps over all pairs. X^-1 = I + sum +-lambda z z' holds throughout. It always starts at the identity. The step to the constraint with slack s is
// alpha = gamma/(gamma + 1) (1/q - 1/s), with the sign of the pair, but at most lambda.
func (q *Objective) Projections(o *solve.Options) (*solve.Result, error) {
	P, n := q.z.Rows, q.z.Cols
	mon := iteration.NewMonitor(o, n*n)
	x, w := dense.New[float64](n, n), make([]float64, n)
	x.Identity()
	lambda, slack := make([]float64, P), slices.Clone(q.bound)
	grad, memo := make([]float64, n*n), q.NewMemo()
	for {
		p, err := manifold.NewFrame(mat.NewSymDense(n, x.Clone().Data))
		if err != nil {
			return nil, fmt.Errorf("iteration %d: %w", mon.Status.Iteration, err)
		}
		cost, err := q.Evaluate(p, grad, memo)
		if err != nil {
			return nil, err
		}
		norm := math.Sqrt(q.Manifold.Inner(p, grad, grad))
		if mon.Done(p, cost, norm, q.GradientScale(cost)) {
			r := mon.Result(p, 0)
			r.Certificate = q.Certify(p, norm, memo)
			return r, nil
		}
		var moved float64
		for i := range sweeps * P {
			k := i % P
			z, sign := q.z.Row(k), -1.0
			if q.near[k] {
				sign = 1
			}
			dense.Gemv(dense.NoTrans, 1, x, z, 0, w)
			value := dense.Dot(z, w)
			alpha := min(lambda[k], sign*q.gamma/(q.gamma+1)*(1/value-1/slack[k]))
			if alpha == 0 || !(value > 0) {
				continue
			}
			lambda[k] -= alpha
			slack[k] = q.gamma * slack[k] / (q.gamma + sign*alpha*slack[k])
			dense.Ger(sign*alpha/(1-sign*alpha*value), w, w, x)
			moved += math.Abs(alpha) * value
		}
		mon.Step(moved)
		mon.Status.Evaluations++
	}
}
