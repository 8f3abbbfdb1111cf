package engine

import "github.com/spdopt/spdopt/internal/dense"

// Sparse is a matrix of which row i has the elements Weight[k] in the columns Index[k], Start[i] <= k < Start[i+1].
type Sparse[T dense.Float] struct {
	Start, Index []int32
	Weight       []T
}

// Must panics with Error unless WeighRows can work on the shapes.
func (a *Sparse[T]) Must(x, y dense.Matrix[T]) {
	MustHave("WeighRows", len(a.Start)-1, y.Rows)
	MustHave("WeighRows", x.Cols, y.Cols)
	MustHave("WeighRows", len(a.Index), len(a.Weight), int(a.Start[y.Rows]))
}

// WeighRows implements Movement.
func (*cpu[T]) WeighRows(a Sparse[T], x dense.Matrix[T], keep T, y dense.Matrix[T]) {
	a.Must(x, y)
	for i := range y.Rows {
		out := y.Row(i)
		if keep == 0 {
			clear(out)
		} else if keep != 1 {
			dense.Scale(keep, out, out)
		}
		for k := a.Start[i]; k < a.Start[i+1]; k++ {
			weight := a.Weight[k]
			for j, v := range x.Row(int(a.Index[k])) {
				out[j] += weight * v
			}
		}
	}
}
