package curvature

// chain is A_1 A_2 ... A_k.
type chain struct {
	factors []Operator
	between [][]float64 // results of A_k, ..., A_2
}

// Chain returns the product A_1 A_2 ... of operators whose sizes fit.
func Chain(factors ...Operator) Operator {
	if len(factors) == 0 {
		fail("a product of no operators has no size")
	}
	mustExist("a product", factors...)
	c := &chain{factors: factors}
	for k := 1; k < len(factors); k++ {
		_, cols := factors[k-1].Dims()
		rows, _ := factors[k].Dims()
		if rows != cols {
			fail("product of an operator with %d columns and one with %d rows", cols, rows)
		}
		c.between = append(c.between, make([]float64, rows))
	}
	return c
}

// Dims implements Operator.
func (c *chain) Dims() (rows, cols int) {
	rows, _ = c.factors[0].Dims()
	_, cols = c.factors[len(c.factors)-1].Dims()
	return rows, cols
}

// MulTo implements Operator.
func (c *chain) MulTo(dst, x []float64) {
	for k := len(c.factors) - 1; k > 0; k-- {
		c.factors[k].MulTo(c.between[k-1], x)
		x = c.between[k-1]
	}
	c.factors[0].MulTo(dst, x)
}

// MulTransTo implements Operator.
func (c *chain) MulTransTo(dst, x []float64) {
	last := len(c.factors) - 1
	for k := range last {
		c.factors[k].MulTransTo(c.between[k], x)
		x = c.between[k]
	}
	c.factors[last].MulTransTo(dst, x)
}
