package design

import "github.com/spdopt/spdopt/internal/dense"

// partElements is the number of elements of a part of a pass with a few operations for each: some tens of microseconds.
const partElements = 1 << 15

// passRows is the number of rows of n elements of such a part.
func passRows(n int) int { return max(1, partElements/n) }

// productRows is the number of rows of equal parts of so many rows of n elements that are multiplied by a triangle: fewer would not pay for preparing that.
func productRows(rows, n int) int {
	parts := dense.PartsOf(rows, max(128, 1<<21/(n*n)))
	return dense.PartsOf(rows, parts)
}
