package dense

import "gonum.org/v1/gonum/blas/blas64"

// Of views a gonum matrix without copying.
func Of(g blas64.General) Matrix[float64] {
	return Matrix[float64]{Rows: g.Rows, Cols: g.Cols, Stride: g.Stride, Data: g.Data}
}
