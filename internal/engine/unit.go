package engine

import "math"

// Measure implements Rows.
func (c *cpu[T]) Measure(all [][]T, sums, largest []float64) {
	MustHave("Measure", len(all), len(sums), len(largest))
	for k, g := range all {
		sums[k], largest[k] = c.SumSquares(g)
	}
}

// Unit implements Rows.
func (c *cpu[T]) Unit(x []T, count int, low float64) {
	n := MustPart("Unit", len(x), count)
	for k := range count {
		c.unit(x[k*n:(k+1)*n], low)
	}
}

func (c *cpu[T]) unit(x []T, low float64) {
	square, top := c.SumSquares(x)
	if top == 0 {
		return
	}
	if square < 1e-280 || math.IsInf(square, 1) {
		c.Blend(T(1/top), x, 0, nil, x)
		square, _ = c.SumSquares(x)
	}
	c.Blend(T(1/max(math.Sqrt(square), low)), x, 0, nil, x)
}
