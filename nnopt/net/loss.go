package net

import (
	"fmt"
	"math/rand/v2"
)

// Target is what the outputs of a batch should be. Which fields count is up to the loss.
type Target[T Float] struct {
	Classes []int32   // class of each row; negative: the row does not count
	Values  Matrix[T] // a row for each row of the outputs
}

// Loss is a function R sum_i c(out_i, target_i) of the outputs, over rows i. R is 1 for a sum, and 1 over the number of what is averaged for a mean; see
// each loss.
type Loss[T Float] interface {
	// Evaluate returns the loss of the outputs. Unless g is empty it sets g to the gradient; if out and g carry tangents, g.D becomes the
	// Hessian times out.D.
	Evaluate(out Dual[T], t *Target[T], g Dual[T]) float64
	// Factor returns R.
	Factor(out Matrix[T], t *Target[T]) float64
	// Sample draws targets from the distribution whose negative log-likelihood is c at the outputs, into t.
	Sample(out Matrix[T], r *rand.Rand, t *Target[T])
	// Check reports targets that do not fit rows x cols outputs.
	Check(rows, cols int, t *Target[T]) error
}

// lateLoss is implemented by losses whose value can be fetched when the gradient has gone back: start is Evaluate without it.
type lateLoss[T Float] interface {
	start(out Dual[T], t *Target[T], g Dual[T])
	value() float64
}

func checkClasses[T Float](rows, cols int, t *Target[T]) error {
	if len(t.Classes) != rows {
		return fmt.Errorf("%d labels for %d outputs", len(t.Classes), rows)
	}
	counted := false
	for i, c := range t.Classes {
		if int(c) >= cols {
			return fmt.Errorf("label %d at row %d; the model has classes 0 to %d", c, i, cols-1)
		}
		counted = counted || c >= 0
	}
	if !counted {
		return fmt.Errorf("no row has a label")
	}
	return nil
}

// Hits counts the rows whose largest output is that of their class, and the rows that have one (not negative).
func Hits[T Float](out Matrix[T], classes []int32) (right, counted int) {
	for i, c := range classes {
		if c < 0 {
			continue
		}
		row, best := out.Row(i), 0
		for j, v := range row {
			if v > row[best] {
				best = j
			}
		}
		counted++
		if int32(best) == c {
			right++
		}
	}
	return right, counted
}

func checkValues[T Float](rows, cols int, t *Target[T]) error {
	if t.Values.Rows != rows || t.Values.Cols != cols {
		return fmt.Errorf("targets are %d x %d, outputs %d x %d", t.Values.Rows, t.Values.Cols, rows, cols)
	}
	return nil
}

// sized makes the values of t a rows x cols matrix, keeping its memory if it fits.
func (t *Target[T]) sized(rows, cols int) {
	t.Values = Matrix[T]{Rows: rows, Cols: cols, Stride: cols, Data: grown(t.Values.Data, rows*cols)}
}
