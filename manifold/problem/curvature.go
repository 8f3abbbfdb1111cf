package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// curvature is the Hessian of one term w/2 dist^2(X, A) at a point, in the precision T: eta -> w B (K o (B' eta B)) B' with the table
// K_ij = (d/2) coth(d/2), d = l_i - l_j, over the logarithms l of the eigenvalues. For a term w dist(X, A) with w divided by the distance what lies along
// L = log C is taken away: w <L, eta> L/||L||^2. float32 is enough for the inner iteration of Newton's method and twice as fast.
type curvature[T dense.Float] struct {
	basis  dense.Matrix[T]
	table  dense.Matrix[T] // w K, upper triangle
	radial []T             // sqrt(w) l/||l||, or empty
	ready  bool            // the table belongs to the present spectrum
}

func newCurvature[T dense.Float](n int) *curvature[T] {
	return &curvature[T]{basis: dense.New[T](n, n), table: dense.New[T](n, n), radial: make([]T, 0, n)}
}

// set takes over the spectrum s, for the Hessian of the distance if across is set, else of half its square.
func (c *curvature[T]) set(s *spectrum, weight float64, across bool) {
	c.radial = c.radial[:0]
	if across {
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
		row[i] = T(weight)
		ri, qi := s.roots[i], s.inverse[i]
		for j := i + 1; j < len(row); j++ {
			a, b := ri*s.inverse[j], s.roots[j]*qi
			row[j] = T(weight * 0.5 * (a + b) * sinhQuotient(l-s.logs[j], a-b))
		}
	}
	c.ready = true
}

// add adds the product with eta to the upper triangle of acc. t and y are scratch.
func (c *curvature[T]) add(eta, t, y, acc dense.Matrix[T]) {
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, c.basis, eta, 0, t)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, t, c.basis, 0, y)
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
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c.basis, y, 0, t)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t, c.basis, 1, acc)
}
