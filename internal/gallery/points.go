package gallery

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// NearSphere returns n(n+1) points as rows, twice as many as a quadric has unknowns, within a hundredth of the unit sphere in n dimensions.
func NearSphere(seed uint64, n int) dense.Matrix[float64] {
	x := NewStream(seed).Normals(n*(n+1), n)
	for i := range x.Rows {
		row := x.Row(i)
		dense.Scale((1+1e-2*math.Sin(float64(i)))/math.Sqrt(dense.Dot(row, row)), row, row)
	}
	return x
}

// NearCone returns n(n+1) points as rows in an even number n of dimensions, the halves of which have lengths that differ by at most the given part: with zero they lie on a cone.
func NearCone(seed uint64, n int, off float64) dense.Matrix[float64] {
	x := NearSphere(seed, n)
	for i := range x.Rows {
		first, second := x.Row(i)[:n/2], x.Row(i)[n/2:]
		dense.Scale(math.Sqrt(dense.Dot(second, second)/dense.Dot(first, first))*(1+off*math.Cos(float64(i))), first, first)
	}
	return x
}
