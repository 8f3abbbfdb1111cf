package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	// kronRounding is the root mean square of the errors of numbers that are rounded to bfloat16.
	kronRounding = 1.1e-3
	// kronRoundedSize is the number of rows and of columns from which on it is faster.
	kronRoundedSize = 64
	// kronRough is how much larger the errors of a rounded pass may be than what it leaves anyway.
	kronRough = 2
)

// flipRounded is the first flip with samples and L^-1 rounded to bfloat16, where that is faster and good enough for a first step. If it is not, the samples are
// as they were.
//
// Rounding leaves errors of kronRounding (2k p/Nq)^1/2 in A where products with the inverse factors amplify mean squares by k. A step of the flip-flop multiplies
// errors by squared correlations of rows and columns, which samples of a Kronecker covariance have by chance: about c = (p+q)^2/4Npq in the mean. So it leaves
// errors of 2^1/2 c times the gradient.
func (t *kronSingle) flipRounded(p dense.Matrix[float64]) bool {
	count, rows, cols := float64(t.count), float64(t.p), float64(t.q)
	loss := kronRounding * math.Sqrt(rows/(count*cols))
	allowed := kronRough * kronChance(count, rows, cols)
	if !dense.HasBFloat16() || min(t.p, t.q) < kronRoundedSize || loss > allowed {
		return false
	}
	samples := t.roundedColumns()
	if !t.invertColumns(false) {
		return false
	}
	if loss *= math.Sqrt(amplification(t.b, t.sizes)); loss > allowed {
		return false
	}
	t.roundedRows(samples, p)
	inverse := t.step
	dense.Scale(1/cols, p.Data, inverse.Data)
	diagonal(inverse, t.sizes)
	var gradient float64
	for i := range t.p {
		for j, x := range inverse.Row(i) {
			if i == j {
				x--
			}
			gradient += x * x
		}
	}
	if dense.Cholesky(inverse) >= 0 {
		return false
	}
	dense.InvertLower(inverse)
	return loss*math.Sqrt(amplification(inverse, t.sizes)) <= allowed*math.Sqrt(gradient/rows)
}

// kronChance is the mean square of the correlations of rows or columns that Kronecker samples have by chance.
func kronChance(count, rows, cols float64) float64 {
	return (rows + cols) * (rows + cols) / (4 * count * rows * cols)
}

// roundedColumns returns the rounded samples, and sets b to (1/Np) sum V'V for them.
func (t *kronSingle) roundedColumns() []dense.RoundedRows {
	v, rounded := t.v, make([]dense.RoundedRows, len(t.v.blocks))
	v.run(func(at *kronPlace[float32], from, to int, total dense.Matrix[float64]) {
		for i := from; i < to; i++ {
			tall := v.tall(v.block(at, i))
			dense.GemmRoundedLower(dense.Transposed, dense.NoTrans, 1, tall, tall, 0, at.sum)
			addLower(total, 1, at.sum)
			rounded[i] = dense.RoundRows(tall, t.spare[i])
		}
	}, t.b, 1/float64(t.count*t.p))
	return rounded
}

// roundedRows sets p to the mean of the V L^-T (V L^-T)' for rounded samples.
func (t *kronSingle) roundedRows(samples []dense.RoundedRows, p dense.Matrix[float64]) {
	v, left := t.v, dense.NewRoundedLower(t.left)
	v.run(func(at *kronPlace[float32], from, to int, total dense.Matrix[float64]) {
		for i := from; i < to; i++ {
			at.touch(t.spare[i][:len(v.blocks[i].Data)/2])
			z := at.like(v.blocks[i])
			left.MulTransposed(samples[i], v.tall(z))
			at.gram.AddRounded(z)
		}
		at.gram.AddTo(total)
	}, p, 1/float64(t.count))
}
