package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// term says what a cost is the sum of.
type term int

const (
	squaredDistance term = iota // dist^2(X, A)/2
	distance                    // dist(X, A) dist(X0, A) at X0
	root                        // -2 tr (F' A F)^1/2, C = F' A F, but for (eta S + S eta)/2, S = C^1/2: what the others and F' F leave of that is small
)

// curvature is the Hessian of a term at a point in the precision T: eta -> w B (K o (B' eta B)) B' with a table K over the eigenvalues of C. For squared
// distances K_ij = (d/2) coth(d/2), d = l_i - l_j, over their logarithms l; for distances what lies along L = log C is taken away, w <L, eta> L/||L||^2; for
// roots K_ij = s_i s_j/(s_i + s_j) over the roots s. float32 is enough for the inner iteration of Newton's method and twice as fast.
type curvature[T dense.Float] struct {
	basis  dense.Matrix[T]
	table  dense.Matrix[T] // w K, upper triangle
	radial []T             // sqrt(w) l/||l||, or empty
	ready  bool            // the table belongs to the present spectrum
}

func newCurvature[T dense.Float](n int) *curvature[T] {
	return &curvature[T]{basis: dense.New[T](n, n), table: dense.New[T](n, n), radial: make([]T, 0, n)}
}

// set takes over the spectrum s.
func (c *curvature[T]) set(s *spectrum, weight float64, of term) {
	c.radial = c.radial[:0]
	if of == distance {
		scale := math.Sqrt(weight / s.squares())
		for _, l := range s.logs {
			c.radial = append(c.radial, T(scale*l))
		}
	}
	for i, l := range s.logs {
		to := c.basis.Row(i)
		for j, b := range s.basis.Row(i) {
			to[j] = T(b)
		}
		row := c.table.Row(i)
		ri, qi := s.roots[i], s.inverse[i]
		if of == root {
			for j := i; j < len(row); j++ {
				row[j] = T(weight * ri * s.roots[j] / (ri + s.roots[j]))
			}
			continue
		}
		row[i] = T(weight)
		for j := i + 1; j < len(row); j++ {
			a, b := ri*s.inverse[j], s.roots[j]*qi
			row[j] = T(weight * 0.5 * (a + b) * sinhQuotient(l-s.logs[j], a-b))
		}
	}
	c.ready = true
}

// add adds the product with eta, of operands rounded to bfloat16 if so told, to the upper triangle of acc. t and y are scratch.
func (c *curvature[T]) add(eta, t, y, acc dense.Matrix[T], rounded bool) {
	full, upper := dense.Gemm[T], dense.GemmUpper[T]
	if rounded {
		full, upper = dense.GemmRounded[T], dense.GemmRoundedUpper[T]
	}
	full(dense.Transposed, dense.NoTrans, 1, c.basis, eta, 0, t)
	upper(dense.NoTrans, dense.NoTrans, 1, t, c.basis, 0, y)
	var along T
	for i, l := range c.radial {
		along += l * y.At(i, i)
	}
	for i := range y.Rows {
		row, k := y.Row(i)[i:], c.table.Row(i)[i:]
		for j, v := range k {
			row[j] *= v
		}
	}
	for i, l := range c.radial {
		y.Set(i, i, y.At(i, i)-along*l)
	}
	dense.Mirror(y)
	full(dense.NoTrans, dense.NoTrans, 1, c.basis, y, 0, t)
	upper(dense.NoTrans, dense.Transposed, 1, t, c.basis, 1, acc)
}
