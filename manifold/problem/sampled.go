package problem

import (
	"math"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// sampled minimizes by costs alone; the gradient and the certificate at the end are those of the problem.
var sampled = Method{Name: "cma", What: "an evolution strategy on whitened coordinates, for comparison: costs only", resumes: true,
	run: func(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
		first, err := firstPoint(in, o)
		if err != nil {
			return nil, err
		}
		r, err := solve.BlackBox(m, &costOnly{instance: in, scratch: make([]float64, m.VectorLen())}, first, &o.Solver)
		if err != nil {
			return nil, err
		}
		here, err := solve.Trust(m, in, r.Point, &solve.Options{AbsoluteTolerance: math.MaxFloat64})
		if err != nil {
			return nil, err
		}
		r.GradientNorm, r.Certificate, r.HessianProducts = here.GradientNorm, here.Certificate, here.HessianProducts
		scale := max(here.GradientNorm, math.SmallestNonzeroFloat64)
		if s, ok := in.(solve.Scaler); ok {
			scale = s.GradientScale(here.Objective)
		}
		r.RelativeGradient = r.GradientNorm / scale
		return r, nil
	}}

// costOnly hides the gradient of an instance, which writes one all the same.
type costOnly struct {
	instance
	scratch []float64
}

// Evaluate implements solve.Objective.
func (c *costOnly) Evaluate(p manifold.Point, _ []float64, memo solve.Memo) (float64, error) {
	return c.instance.Evaluate(p, c.scratch, memo)
}

// NewMemo implements solve.Memoizer.
func (c *costOnly) NewMemo() solve.Memo {
	if m, ok := c.instance.(solve.Memoizer); ok {
		return m.NewMemo()
	}
	return nil
}
