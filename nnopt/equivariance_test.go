package nnopt

import (
	"math"
	"testing"
)

// relabeling says in which place element (i, j) of an m x n matrix lies after a change of what its rows and columns are called, and with which sign.
type relabeling struct {
	rows, cols int
	place      func(i, j int) (at int, sign float64)
}

// TestRelabeling: no optimizer of single parameters cares for the order of rows and columns, for which dimension is called rows, or for the sign of a row or a column.
func TestRelabeling(t *testing.T) {
	const m, n, steps = 7, 5, 20
	r := source(3)
	rows, cols := r.Perm(m), r.Perm(n)
	for what, change := range map[string]relabeling{
		"permuted":   {m, n, func(i, j int) (int, float64) { return rows[i]*n + cols[j], 1 }},
		"transposed": {n, m, func(i, j int) (int, float64) { return j*m + i, 1 }},
		"signs": {m, n, func(i, j int) (int, float64) {
			return i*n + j, float64((1 - 2*(i%2)) * (1 - 2*(j%3/2)))
		}},
	} {
		for _, e := range Optimizers() {
			switch {
			case e.Name == "kfac" || e.Name == "singd" || e.Name == "ikfac": // of layers
				continue
			case e.Name == "soap" && what == "permuted": // its orthogonal iterations begin with the first rows and columns
				continue
			}
			a := []Block[float64]{{Name: "w", Rows: m, Cols: n, Value: make([]float64, m*n), Grad: make([]float64, m*n)}}
			b := []Block[float64]{{Name: "w", Rows: change.rows, Cols: change.cols, Value: make([]float64, m*n), Grad: make([]float64, m*n)}}
			relabel := func(to, from []float64) {
				for k, v := range from {
					at, sign := change.place(k/n, k%n)
					to[at] = sign * v
				}
			}
			fill(r, a[0].Value)
			relabel(b[0].Value, a[0].Value)
			one, other := must(New[float64](e.Name, nil)), must(New[float64](e.Name, nil))
			must(0, one.Init(a))
			must(0, other.Init(b))
			start := append([]float64(nil), a[0].Value...)
			for range steps {
				fill(r, a[0].Grad)
				relabel(b[0].Grad, a[0].Grad)
				must(one.Step(a, StepInfo{LRScale: 1, BatchSize: 8}))
				must(other.Step(b, StepInfo{LRScale: 1, BatchSize: 8}))
			}
			want := make([]float64, m*n)
			relabel(want, a[0].Value)
			var moved, apart float64
			for k := range want {
				moved, apart = max(moved, math.Abs(a[0].Value[k]-start[k])), max(apart, math.Abs(b[0].Value[k]-want[k]))
			}
			if !(apart <= 1e-6*moved) || moved == 0 {
				t.Errorf("%s, %s: %g apart after a way of %g", e.Name, what, apart, moved)
			}
		}
	}
}
