package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// choleskyModel is C = A A^T kept as A and its inverse, both updated in O(n^2); Suttorp, Hansen, Igel: "Efficient covariance matrix update for variable
// metric evolution strategies" (Machine Learning 2009), theorem 1.
type choleskyModel struct {
	matrixModel
	inverse dense.Matrix[float64]
	u, w    []float64
}

func newCholeskyModel(n int) *choleskyModel {
	c := &choleskyModel{matrixModel: matrixModel{dense.New[float64](n, n)}, inverse: dense.New[float64](n, n)}
	c.identity()
	c.u, c.w = make([]float64, n), make([]float64, n)
	return c
}

func (c *choleskyModel) identity() {
	c.a.Identity()
	c.inverse.Identity()
}

func (c *choleskyModel) copy(from *choleskyModel) {
	c.a.Copy(from.a)
	c.inverse.Copy(from.inverse)
}

func (c *choleskyModel) whitenOne(z, y []float64) { dense.Gemv(dense.NoTrans, 1, c.inverse, y, 0, z) }

// rankOne replaces C by alpha C + beta (A v)(A v)^T.
func (c *choleskyModel) rankOne(alpha, beta float64, v []float64) {
	v2 := dense.Dot(v, v)
	root := math.Sqrt(alpha)
	if v2 < 1e-24 {
		scaleMatrix(c.a, root)
		scaleMatrix(c.inverse, 1/root)
		return
	}
	stretch := math.Sqrt(max(1e-12, 1+beta/alpha*v2))
	copy(c.w, v)
	dense.Gemv(dense.NoTrans, 1, c.a, c.w, 0, c.u)
	scaleMatrix(c.a, root)
	dense.Ger(root/v2*(stretch-1), c.u, c.w, c.a)
	dense.Gemv(dense.Transposed, 1, c.inverse, c.w, 0, c.u)
	scaleMatrix(c.inverse, 1/root)
	dense.Ger(-(1-1/stretch)/(root*v2), c.w, c.u, c.inverse)
}

func scaleMatrix(m dense.Matrix[float64], s float64) {
	for i := range m.Rows {
		row := m.Row(i)
		for j := range row {
			row[j] *= s
		}
	}
}

func (c *choleskyModel) archive(a *archive) {
	a.matrix(c.a)
	a.matrix(c.inverse)
}
