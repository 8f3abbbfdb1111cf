package solve

import (
	"errors"
	"fmt"
	"math"
)

// curvature multiplies by the Hessian at x, exactly or by differences of gradients.
type curvature struct {
	r    *run
	back []float64 // the gradient at the other end of a difference, carried to x
}

func newCurvature(r *run) curvature {
	c := curvature{r: r}
	if r.hess == nil {
		c.back = r.vector(len(r.x.grad))
	}
	return c
}

// errEdge says that the gradient cannot be evaluated on either side of a point.
var errEdge = errors.New("solve: gradient differences leave the domain on both sides")

// product sets dst to the Hessian times v: exactly, or by a difference of gradients along the retraction, forward or, where that
// leaves the domain, backward; it uses y. Where both do, the error is errEdge.
func (c *curvature) product(dst, v []float64) error {
	r := c.r
	if r.hess != nil {
		return r.hessian(dst, v)
	}
	norm := math.Sqrt(r.m.Inner(r.x.point, v, v))
	h := 0x1p-14 / norm
	r.status.HessianProducts++
	if _, err := r.try(h, v); err != nil {
		return err
	}
	if math.IsInf(r.y.cost, 1) {
		h = -h
		if _, err := r.try(h, v); err != nil {
			return err
		}
	}
	if math.IsInf(r.y.cost, 1) {
		return errEdge
	}
	copy(c.back, r.y.grad)
	if !r.free {
		r.m.Transport(r.y.point, r.x.point, c.back)
	}
	for i, g := range c.back {
		dst[i] = (g - r.x.grad[i]) / h
	}
	return nil
}

// ratioRounding, in units of eps |cost|, is the decrease below which the difference of two costs says nothing.
const ratioRounding = 1e3

// ratio compares the decrease of the cost at y, reached by the step s with the given slope there, with the decrease that a model promises.
// Where that is below the rounding of the cost, the trapezoidal rule on the slopes along the step takes the place of the difference.
func (r *run) ratio(model, slope float64, s []float64) float64 {
	if math.IsInf(r.y.cost, 1) {
		return math.Inf(-1)
	}
	actual := r.x.cost - r.y.cost
	if rounding := ratioRounding * 0x1p-52 * math.Max(1, math.Abs(r.x.cost)); model < rounding {
		actual = -(r.m.Inner(r.x.point, r.x.grad, s) + slope) / 2
	}
	return actual / model
}

// finiteStep refuses a step of a model that is not finite: the Hessian product made it so.
func (r *run) finiteStep(length, model float64) error {
	if finite(length) && finite(model) {
		return nil
	}
	return fmt.Errorf("solve: iteration %d: the step of the model is not finite (length %v, decrease %v) where the gradient norm is %.3g; check the Hessian product (spdopt check gradient)",
		r.status.Iteration+1, length, model, r.status.GradientNorm)
}
