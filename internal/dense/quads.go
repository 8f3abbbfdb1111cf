package dense

import "unsafe"

// quadProduct is a product of matrices of bytes, whose sums are exact: element (i, j) is the sum of (a_il - 128) b_lj over l if start is minus 128 times the sums of the columns of b,
// which is what zero in a stands for: 128. The inner dimension is filled up with any bytes in a and zeros in b. Where sums do not fit into int32, they are wrong: up to quadsMost words they do.
type quadProduct struct {
	k                    int      // words of the inner dimension, of four bytes each
	n                    int      // columns of b
	a                    []uint32 // row after row, of unsigned bytes
	b                    []uint32 // panels of quadPanel columns, the last one of what is left: a column of k words of signed bytes each, row after row
	start                []int32  // of each column
	rowScales, colScales []float32
}

const (
	quadPanel = 48    // columns of a panel of b
	quadZero  = 128   // what is added to the numbers in a
	quadsMost = 33286 // words of the inner dimension for which sums of bytes from -127 to 127 fit into int32
)

// multiply computes the given rows and columns: storePlain and addPlain store and add int32 numbers, storeScaled and addScaled float32 numbers, each times the scales of its row and column.
// Rows of c are stride elements of 32 bits apart. There must be hasQuads.
func (q *quadProduct) multiply(rows, cols tile, how use, c unsafe.Pointer, stride int) {
	g := tileGeometry(4)
	row, scaled := uintptr(4*q.k), how == storeScaled || how == addScaled
	p := panel{aRow: row, aStep: 4, aTile: uintptr(g.rows) * row, cRow: uintptr(4 * stride), k: q.k, use: how, quads: true}
	for j := 0; j < cols.size; j += quadPanel - (cols.from+j)%quadPanel {
		at := cols.from + j
		from := at / quadPanel * quadPanel
		width := min(quadPanel, q.n-from)
		if scaled && tilesBytes(q.k) {
			q.multiplyTiles(rows, from, tile{at, min(from+width-at, cols.size-j)}, how, unsafe.Add(c, 4*j), stride)
			continue
		}
		p.bStep, p.rows = uintptr(4*width), rows.size
		p.a, p.b, p.c = words(q.a[rows.from*q.k:]), words(q.b[from*q.k+at-from:]), unsafe.Add(c, 4*j)
		p.start = unsafe.Pointer(&q.start[at])
		if scaled {
			p.rowScales, p.colScales = unsafe.Pointer(&q.rowScales[rows.from]), unsafe.Pointer(&q.colScales[at])
		}
		p.runColumns(min(from+width-at, cols.size-j), g, 4)
	}
}
