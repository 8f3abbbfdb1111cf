package curvature

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Jacobian is the derivative of all outputs of a risk in the parameters: Outputs x Dim, the rows in the order of the data, then of the positions, then of the
// columns of the outputs. A product is one forward pass with tangents, a transposed product one forward and one backward pass over the data.
type Jacobian[T nnopt.Float] struct {
	r      *Risk[T]
	v      []T
	pulled []T
}

// NewJacobian returns the Jacobian of a risk.
func NewJacobian[T nnopt.Float](r *Risk[T]) *Jacobian[T] {
	r.mustExist()
	return &Jacobian[T]{r: r, v: make([]T, r.Dim())}
}

// Dims implements Operator.
func (j *Jacobian[T]) Dims() (rows, cols int) { return j.r.Outputs(), j.r.Dim() }

// MulTo implements Operator.
func (j *Jacobian[T]) MulTo(dst, x []float64) {
	rows, cols := j.Dims()
	mustFit(dst, x, rows, cols)
	defer j.r.enter()()
	narrow(j.v, x)
	for b := range j.r.Data {
		d := j.r.Net.JVP(b, j.v)
		for i := range d.Rows {
			for k, v := range d.Row(i) {
				dst[k] = float64(v)
			}
			dst = dst[d.Cols:]
		}
	}
}

// MulTransTo implements Operator.
func (j *Jacobian[T]) MulTransTo(dst, x []float64) {
	rows, cols := j.Dims()
	mustFit(dst, x, cols, rows)
	defer j.r.enter()()
	clear(dst)
	for b := range j.r.Data {
		out := j.r.Net.Linearize(b)
		u := j.vector(out)
		narrow(u.Data, x[:len(u.Data)])
		x = x[len(u.Data):]
		j.r.Net.PullBack(u)
		j.r.addGradients(dst, 1)
	}
}

func (j *Jacobian[T]) vector(out net.Matrix[T]) net.Matrix[T] {
	j.pulled = grown(j.pulled, out.Rows*out.Cols)
	return dense.Wrap(out.Rows, out.Cols, j.pulled)
}
