package influence

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/curvature"
)

// Ridge is ridge regression, the model whose leave-one-out solutions are known: the minimizer of 1/N sum_i (x_i^T theta - y_i)^2/2 + lambda/2 |theta|^2.
type Ridge struct {
	Theta []float64

	x      Matrix[float64]
	y      []float64
	factor Matrix[float64] // Cholesky factor of X^T X/N + lambda I
}

// NewRidge fits N examples, the rows of x. Singular equations are a *curvature.SingularError. It costs N d^2 + d^3/3 flops.
func NewRidge(x Matrix[float64], y []float64, lambda float64) (*Ridge, error) {
	if err := checkMatrix("inputs", x); err != nil {
		return nil, err
	}
	if x.Rows != len(y) || x.Rows < 2 || x.Cols < 1 {
		return nil, dataError("ridge regression", "%d x %d inputs with %d targets; two examples or more are needed", x.Rows, x.Cols, len(y))
	}
	if !(lambda >= 0) || lambda-lambda != 0 || notFinite(y) >= 0 {
		return nil, dataError("ridge regression", "lambda must not be negative, and all targets must be finite")
	}
	r := &Ridge{x: x, y: y, factor: dense.New[float64](x.Cols, x.Cols), Theta: make([]float64, x.Cols)}
	n := float64(x.Rows)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1/n, x, x, 0, r.factor)
	top := 0.0
	for j := range x.Cols {
		r.factor.Set(j, j, r.factor.At(j, j)+lambda)
		top = max(top, r.factor.At(j, j))
	}
	if singular(r.factor, top) {
		return nil, &curvature.SingularError{Block: "ridge regression", Damping: lambda}
	}
	for i := range x.Rows {
		dense.Axpy(y[i]/n, x.Row(i), r.Theta)
	}
	r.solve(r.Theta)
	return r, nil
}

func (r *Ridge) solve(v []float64) { solveRows(r.factor, dense.Wrap(1, len(v), v)) }

// Leverage returns h_i = x_i^T H^-1 x_i / N with H = X^T X/N + lambda I. Influence underestimates the change of theta by the factor 1 - h_i.
func (r *Ridge) Leverage(i int) float64 {
	v := append([]float64(nil), r.x.Row(i)...)
	r.solve(v)
	return dense.Dot(r.x.Row(i), v) / float64(r.x.Rows)
}

// Without returns the exact minimizer when example i leaves the sum, N staying as it is: theta + H^-1 x_i (x_i^T theta - y_i) / (N (1 - h_i)), by the formula
// of Sherman and Morrison.
func (r *Ridge) Without(i int) []float64 {
	x := r.x.Row(i)
	v := append([]float64(nil), x...)
	r.solve(v)
	n := float64(r.x.Rows)
	residual := dense.Dot(x, r.Theta) - r.y[i]
	step := residual / (n * (1 - dense.Dot(x, v)/n))
	out := append([]float64(nil), r.Theta...)
	dense.Axpy(step, v, out)
	return out
}
