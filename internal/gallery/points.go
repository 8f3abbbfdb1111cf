package gallery

import (
	"math"
	"math/rand/v2"

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

// Clusters returns samples of k normal distributions in n dimensions, in turns, about means with entries of the given deviation.
func Clusters(seed uint64, count, n, k int, deviation float64) dense.Matrix[float64] {
	rng := rand.New(rand.NewPCG(seed, 40))
	x, means := NewStream(seed).Normals(count, n), make([]float64, k*n)
	for i := range means {
		means[i] = deviation * rng.NormFloat64()
	}
	for i := range count {
		for j := range n {
			x.Set(i, j, x.At(i, j)+means[i%k*n+j])
		}
	}
	return x
}
