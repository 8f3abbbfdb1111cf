package nnopt

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// TestOrthonormaliseBeyondAPanel: rows are made orthonormal in turn whatever they are, in several panels as row by row.
func TestOrthonormaliseBeyondAPanel(t *testing.T) {
	const n = 2*basisPanel + 30
	r := source(91)
	for name, spoil := range map[string]func(w dense.Matrix[float64]){
		"random": func(dense.Matrix[float64]) {},
		"rows that nearly lie in the span of earlier ones": func(w dense.Matrix[float64]) {
			for i := 1; i < n; i++ {
				dense.Scale(1e-7, w.Row(i), w.Row(i))
				dense.Axpy(1, w.Row(i/2), w.Row(i))
			}
		},
		"rows of a panel that nearly are one": func(w dense.Matrix[float64]) {
			for i := range n {
				if of := i - i%basisPanel; i > of {
					dense.Scale(1e-7, w.Row(i), w.Row(i))
					dense.Axpy(1, w.Row(of), w.Row(i))
				}
			}
		},
		"graded": func(w dense.Matrix[float64]) {
			for i := range n {
				dense.Scale(math.Pow(10, -float64(i)/10), w.Row(i), w.Row(i))
			}
		},
		"copies and zeros": func(w dense.Matrix[float64]) {
			for i := n / 2; i < n; i++ {
				copy(w.Row(i), w.Row(i%7))
			}
			clear(w.Row(3))
			clear(w.Row(n - 1))
		},
	} {
		f := newMomentFactor(0, n, make([]float64, n*n), make([]float64, n*n), nil)
		f.basis.Identity()
		fill(r, f.w.Data)
		spoil(f.w)
		given := f.w.Clone()
		f.orthonormalise()
		gram := dense.New[float64](n, n)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, f.basis, f.basis, 0, gram)
		for i := range n {
			gram.Set(i, i, gram.At(i, i)-1)
		}
		for i, v := range gram.Data {
			if !(math.Abs(v) < 1e-13) {
				t.Fatalf("%s: rows %d and %d have the product %g", name, i/n, i%n, v)
			}
		}
		coordinates := dense.New[float64](n, n) // row i of what was given lies in the span of the first i + 1
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, given, f.basis, 0, coordinates)
		for i := range n {
			size := norm(given.Row(i))
			for j, c := range coordinates.Row(i)[i:] {
				if j == 0 && c < -1e-12*size || j > 0 && math.Abs(c) > 1e-9*size {
					t.Fatalf("%s: row %d has the coordinate %g of %d, of a norm of %g", name, i, c, i+j, size)
				}
			}
		}
	}
}
