package curvature

type blockDiagonal struct {
	blocks     []Operator
	rows, cols int
}

// BlockDiagonal returns the operator with the given blocks on its diagonal and zeros elsewhere.
func BlockDiagonal(blocks ...Operator) Operator {
	mustExist("a block diagonal", blocks...)
	d := &blockDiagonal{blocks: blocks}
	for _, b := range blocks {
		r, c := b.Dims()
		d.rows, d.cols = d.rows+r, d.cols+c
	}
	return d
}

// Dims implements Operator.
func (d *blockDiagonal) Dims() (rows, cols int) { return d.rows, d.cols }

// MulTo implements Operator.
func (d *blockDiagonal) MulTo(dst, x []float64) {
	mustFit(dst, x, d.rows, d.cols)
	for _, b := range d.blocks {
		r, c := b.Dims()
		b.MulTo(dst[:r], x[:c])
		dst, x = dst[r:], x[c:]
	}
}

// MulTransTo implements Operator.
func (d *blockDiagonal) MulTransTo(dst, x []float64) {
	mustFit(dst, x, d.cols, d.rows)
	for _, b := range d.blocks {
		r, c := b.Dims()
		b.MulTransTo(dst[:c], x[:r])
		dst, x = dst[c:], x[r:]
	}
}
