// Package quadric finds the quadric x'Xx = 1 that fits points best: the least squares solution of one linear equation in n(n+1)/2 unknowns for each point.
package quadric

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// directUnknowns is the number of unknowns up to which normal equations are solved directly where conjugate gradients in low precision fail: d unknowns take as long as
// d/4 products in double precision, and memory for d^2 numbers.
const directUnknowns = 2500

// Directly solves the normal equations with one unknown for each of the d = n(n+1)/2 pairs i <= j, in memory for d^2 numbers. Columns are scaled to unit norm
// first. Only the upper triangle of the result counts.
func Directly(x dense.Matrix[float64]) (dense.Matrix[float64], Outcome) {
	n := x.Cols
	out := dense.New[float64](n, n)
	d := n * (n + 1) / 2
	gram, right, scale := dense.New[float64](d, d), dense.New[float64](d, 1), make([]float64, d)
	features := dense.New[float64](min(blockRows, x.Rows), d)
	for first := 0; first < x.Rows; first += blockRows {
		block := features.View(0, 0, min(blockRows, x.Rows-first), d)
		for r := range block.Rows {
			pairProducts(x.Row(first+r), block.Row(r))
			dense.Axpy(1, block.Row(r), right.Data)
		}
		dense.GemmLower(dense.Transposed, dense.NoTrans, 1, block, block, 1, gram)
	}
	for k := range d {
		scale[k] = 1 / math.Sqrt(gram.At(k, k))
		if math.IsInf(scale[k], 1) {
			return out, Singular
		}
	}
	for k := range d {
		for j := range k + 1 {
			gram.Set(k, j, gram.At(k, j)*scale[k]*scale[j])
		}
		right.Data[k] *= scale[k]
	}
	if dense.Cholesky(gram) >= 0 {
		return out, Singular
	}
	for k := range d {
		if l := gram.At(k, k); l*l <= float64(d)*0x1p-50 {
			return out, Singular
		}
	}
	dense.SolveLower(dense.NoTrans, gram, right)
	dense.SolveLower(dense.Transposed, gram, right)
	k := 0
	for i := range n {
		for j := i; j < n; j++ {
			out.Set(i, j, right.Data[k]*scale[k])
			k++
		}
	}
	return out, Solved
}

// pairProducts sets f to the p_i p_j for i <= j, twice those of i < j.
func pairProducts(p, f []float64) {
	k := 0
	for i, v := range p {
		f[k] = v * v
		for j, w := range p[i+1:] {
			f[k+1+j] = 2 * v * w
		}
		k += len(p) - i
	}
}
