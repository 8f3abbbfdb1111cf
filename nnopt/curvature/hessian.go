package curvature

import "github.com/spdopt/spdopt/nnopt"

// Hessian is the matrix of second derivatives of a risk: symmetric, of any sign. A product is one forward and one backward pass that carry
// tangents (Pearlmutter 1994), about two gradients.
type Hessian[T nnopt.Float] struct {
	symmetric
	r *Risk[T]
	v []T
	u []T
}

// NewHessian returns the Hessian of a risk.
func NewHessian[T nnopt.Float](r *Risk[T]) *Hessian[T] {
	r.mustExist()
	h := &Hessian[T]{r: r, v: make([]T, r.Dim()), u: make([]T, r.Dim())}
	h.symmetric = symmetric{r.Dim(), h.product}
	return h
}

func (h *Hessian[T]) product(dst, x []float64) {
	defer h.r.enter()()
	narrow(h.v, x)
	clear(dst)
	for b := range h.r.Data {
		w := h.r.weight(h.r.shape(b), b)
		h.r.Net.HVP(b, h.v, h.u)
		for i, v := range h.u {
			dst[i] += w * float64(v)
		}
	}
}
