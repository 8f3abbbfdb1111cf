package problem

import "github.com/spdopt/spdopt/internal/dense"

// rowParts shares passes over rows among the threads. Parts do not depend on the number of threads.
type rowParts struct {
	shared     dense.Parallel
	rows, each int
	pass       func(part, from, to int)
}

// run calls pass for every part of the rows, each of which has as many as said but the last, on several threads where there are two parts' worth. A pass that is
// kept from run to run costs no memory.
func (p *rowParts) run(rows, each int, pass func(part, from, to int)) {
	p.rows, p.each, p.pass, p.shared.Task = rows, each, pass, p
	perform(&p.shared, dense.PartsOf(rows, each), rows < 2*each)
	p.pass = nil
}

// RunPart implements the task of dense.Parallel.
func (p *rowParts) RunPart(i int) { p.pass(i, i*p.each, min((i+1)*p.each, p.rows)) }

// partElements is the number of elements of a part of a pass with a few operations for each: some tens of microseconds.
const partElements = 1 << 15

// passRows is the number of rows of n elements of such a part.
func passRows(n int) int { return max(1, partElements/n) }

// productRows is the number of rows of equal parts of so many rows of n elements that are multiplied by a triangle: fewer would not pay for preparing that.
func productRows(rows, n int) int {
	parts := dense.PartsOf(rows, max(128, 1<<21/(n*n)))
	return dense.PartsOf(rows, parts)
}
