package dense

import (
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// TestRowParts: every row is in one part, parts are as long as said, and a pass that is kept allocates nothing.
func TestRowParts(t *testing.T) {
	for _, c := range [][2]int{{0, 4}, {1, 4}, {7, 4}, {8, 4}, {103, 10}} {
		rows, each := c[0], c[1]
		var p RowParts
		seen := make([]int, rows)
		pass := func(part, from, to int) {
			if from != part*each || to != min(from+each, rows) {
				panic(Error("part of other rows"))
			}
			for i := from; i < to; i++ {
				seen[i]++
			}
		}
		p.Run(rows, each, pass)
		for i, n := range seen {
			if n != 1 {
				t.Errorf("%d rows by %d: row %d is in %d parts", rows, each, i, n)
			}
		}
		if n := allocs.PerRun(5, func() { p.Run(rows, each, pass) }); n > 0 {
			t.Errorf("%d rows by %d: %v allocations", rows, each, n)
		}
	}
}
