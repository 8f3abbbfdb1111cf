package curvature

import (
	"github.com/spdopt/spdopt/nnopt"
)

// GGN is the Gauss-Newton matrix R sum_n J_n^T H_n J_n of a risk, H_n the Hessian of c in the outputs (the generalised Gauss-Newton matrix, Schraudolph
// 2002). It is symmetric positive semidefinite. A product costs a forward pass with tangents and a backward pass: below two gradients.
type GGN[T nnopt.Float] struct {
	symmetric
	r *Risk[T]
	v []T
	u []T
}

// NewGGN returns the exact Gauss-Newton matrix of a risk.
func NewGGN[T nnopt.Float](r *Risk[T]) *GGN[T] {
	r.mustExist()
	g := &GGN[T]{r: r, v: make([]T, r.Dim()), u: make([]T, r.Dim())}
	g.symmetric = symmetric{r.Dim(), g.product}
	return g
}

func (g *GGN[T]) product(dst, x []float64) {
	defer g.r.enter()()
	narrow(g.v, x)
	clear(dst)
	for b := range g.r.Data {
		w := g.r.weight(g.r.shape(b), b)
		g.r.Net.GGNVP(b, g.v, g.u)
		for i, v := range g.u {
			dst[i] += w * float64(v)
		}
	}
}
