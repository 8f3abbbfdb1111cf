package curvature

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
)

// EmpiricalFisher is R sum_n g_n g_n^T with g_n the gradient of the loss of example n, all its positions together, before R: the uncentered second moment
// of the gradients. It is symmetric positive semidefinite. No per-example gradient is formed: the inner products g_n^T x come out of a pass
// forward with tangents, and one pass backward adds up the rest.
type EmpiricalFisher[T nnopt.Float] struct {
	symmetric
	r      *Risk[T]
	v      []T
	memory []T
}

// NewEmpiricalFisher returns the empirical Fisher matrix of a risk.
func NewEmpiricalFisher[T nnopt.Float](r *Risk[T]) *EmpiricalFisher[T] {
	r.mustExist()
	f := &EmpiricalFisher[T]{r: r, v: make([]T, r.Dim())}
	f.symmetric = symmetric{r.Dim(), f.product}
	return f
}

func (f *EmpiricalFisher[T]) product(dst, x []float64) {
	defer f.r.enter()()
	narrow(f.v, x)
	clear(dst)
	for b := range f.r.Data {
		d := f.r.Net.JVP(b, f.v)
		u := f.r.termGradients(f.r.Net.Outputs(), b, &f.memory)
		for n := range b.N {
			var inner float64
			rows := f.r.positions
			for i := n * rows; i < (n+1)*rows; i++ {
				inner += float64(dense.Dot(u.Row(i), d.Row(i)))
			}
			part := u.View(n*rows, 0, rows, u.Cols)
			dense.Scale(T(inner), part.Data, part.Data)
		}
		f.r.Net.PullBack(u)
		f.r.addGradients(dst, f.r.factor)
	}
}
