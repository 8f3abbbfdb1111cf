package dense

import "unsafe"

// Blocking of a product. maxBlockK belongs to the contract on bits: a longer inner dimension is cut into equal blocks, and each block is one
// fused chain that is then added to C. The other limits only bound what stays in a cache while it is reused.
const (
	maxBlockK     = 512
	blockRows     = 144       // rows of A packed at a time: 144 x 512 float64 are 576 KiB of the second-level cache
	blockColBytes = 16 << 10  // width of the packed block of B
	unpackedBytes = 200 << 10 // an operand that is not larger may be read in place
)

// blockLength returns the length of the blocks that the inner dimension k is cut into. It depends on nothing else.
func blockLength(k int) int {
	if k <= maxBlockK {
		return k
	}
	blocks := (k + maxBlockK - 1) / maxBlockK
	return (k + blocks - 1) / blocks
}

// operand is a matrix as a product sees it: element (i, j) is row*i + col*j bytes after p.
type operand struct {
	p        unsafe.Pointer
	row, col uintptr
}

func operandOf[T Float](t Trans, m *Matrix[T]) operand {
	size := unsafe.Sizeof(*new(T))
	o := operand{unsafe.Pointer(unsafe.SliceData(m.Data)), uintptr(m.Stride) * size, size}
	if t {
		return o.transposed()
	}
	return o
}

func (o operand) transposed() operand { return operand{o.p, o.col, o.row} }

func (o operand) at(i, j int) operand {
	o.p = unsafe.Add(o.p, uintptr(i)*o.row+uintptr(j)*o.col)
	return o
}

// region says which elements (i, j) of a product are needed, relative to its diagonal j = i + diag. Whole tiles are computed.
type region uint8

const (
	everywhere    region = iota
	upperTriangle        // j >= i + diag
	lowerTriangle        // j <= i + diag
)

// product is one C = alpha A B + beta C with m, n, k > 0; C is not transposed.
type product struct {
	m, n, k     int
	a, b, c     operand
	alpha, beta float64 // as in panel
	first, next use     // of the sums of the first block of the inner dimension, and of the later ones
	region      region
	diag        int
	size        uintptr // of an element
	pairs       bool    // the elements of A and B are pairs of bfloat16 numbers, those of C float32; those of A are contiguous where tilesPairs
}

// part returns the product for m x n elements of C from (i, j).
func (q *product) part(i, j, m, n int) product {
	s := *q
	s.m, s.n = m, n
	s.a, s.b, s.c = q.a.at(i, 0), q.b.at(0, j), q.c.at(i, j)
	s.diag += i - j
	return s
}

// rows returns the range [from, to) of the m rows from row i that have an element to compute in the columns [j, end).
func (q *product) rows(i, m, j, end int) (from, to int) {
	switch q.region {
	case upperTriangle:
		return 0, max(0, min(m, end-q.diag-i))
	case lowerTriangle:
		return max(0, j-q.diag-i), m
	}
	return 0, m
}

// run computes the product on the calling goroutine.
func (q *product) run() {
	g := tileGeometry(q.size)
	p := panel{alpha: q.alpha, beta: q.beta, cRow: q.c.row, pairs: q.pairs, tiled: q.pairs && tilesPairs(q.k)}
	how := q.packing(g)
	if p.tiled {
		g, how.a = &pairTiles, false
	}
	cols := q.n
	var w *workspace
	if how.a || how.b {
		w = takeWorkspace()
		cols = blockColBytes / int(q.size) / g.cols * g.cols
		how.shared = how.a && how.b && q.a.transposed() == q.b && q.m <= q.n && q.n <= cols
	}
	kb := blockLength(q.k)
	for j := 0; j < q.n; j += cols {
		for l := 0; l < q.k; l += kb {
			q.block(&p, l, kb)
			q.runBlock(&p, g, w, how, j, min(cols, q.n-j), l)
		}
	}
	if w != nil {
		w.release()
	}
}

// packing says which operands are copied into the order in which the kernels read them, and whether the copy of B serves as that of A too.
type packing struct{ a, b, shared bool }

// packing decides by whether a copy costs more than it brings. B must be packed when its rows are not contiguous.
func (q *product) packing(g *geometry) packing {
	var how packing
	how.b = q.b.col != q.size || q.m > 16 && uintptr(q.k*q.n)*q.size > unpackedBytes
	if q.a.col == q.size {
		how.a = how.b && q.n > 2*g.cols && q.m > 32
	} else {
		how.a = uintptr(q.k*q.m)*q.size > unpackedBytes
	}
	return how
}

// block prepares p for the block of the inner dimension that starts at l: the first one applies beta, the others add.
func (q *product) block(p *panel, l, length int) {
	p.k = min(length, q.k-l)
	p.use, p.beta = q.first, q.beta
	if l > 0 {
		p.use, p.beta = q.next, one(q.size)
	}
}

// runBlock multiplies with the block of B of p.k rows from l and n columns from j.
func (q *product) runBlock(p *panel, g *geometry, w *workspace, how packing, j, n, l int) {
	b, panelBytes := q.b.at(l, j).p, uintptr(g.cols)*q.size
	p.bStep = q.b.row
	if how.b {
		p.bStep = panelBytes
		panelBytes *= uintptr(p.k)
		b = w.b.need((n + g.cols - 1) / g.cols * int(panelBytes))
		packColumns(q.b.at(l, j), b, p.k, n, g.cols, q.size)
	}
	rows := q.m
	p.aRow, p.aStep, p.aTile = q.a.row, q.a.col, uintptr(g.rows)*q.a.row
	p.packed = how.a
	switch {
	case how.shared:
		p.aRow, p.aStep, p.aTile = q.size, p.bStep, uintptr(g.rows)*q.size
		p.aPanel = panelBytes
	case how.a:
		rows = blockRows
		p.aRow, p.aStep = q.size, uintptr(g.rows)*q.size
		p.aTile = uintptr(p.k) * p.aStep
	}
	for i := 0; i < q.m; i += rows {
		from, to := q.rows(i, min(rows, q.m-i), j, j+n)
		if from >= to {
			continue
		}
		from = from / g.rows * g.rows
		i, m := i+from, to-from
		a := q.a.at(i, l).p
		switch {
		case how.shared:
			a = b
		case how.a:
			a = w.a.need((m + g.rows - 1) / g.rows * int(p.aTile))
			packColumns(q.a.at(i, l).transposed(), a, p.k, m, g.rows, q.size)
		}
		for jj, width := 0, q.firstPanel(n, g, how); jj < n; jj, width = jj+width, min(g.cols, n-jj-width) {
			at := uintptr(jj) * q.size
			if how.b {
				at = uintptr(jj/g.cols) * panelBytes
			}
			q.runPanel(p, g, a, unsafe.Add(b, at), i, j+jj, m, width)
		}
	}
}

// firstPanel returns the width of the first of the panels of n columns. That of an upper triangle has the fewest rows, so it is the one that is not full, where
// panels may begin anywhere.
func (q *product) firstPanel(n int, g *geometry, how packing) int {
	if q.region == upperTriangle && !how.a && !how.b {
		return (n-1)%g.cols + 1
	}
	return min(g.cols, n)
}

// runPanel computes m rows from row i of the panel of the given width at column j, from the operands at a and b. Near the diagonal of
// a triangle each row tile covers only the vectors that it needs.
func (q *product) runPanel(p *panel, g *geometry, a, b unsafe.Pointer, i, j, m, width int) {
	from, to := q.rows(i, m, j, j+width)
	from = from / g.rows * g.rows
	for skip, r := 0, from; r < to; {
		end, left, right := to, 0, width
		switch q.region {
		case upperTriangle:
			left = skip
			if skip+g.lanes < width {
				end = max(0, j+skip+g.lanes-q.diag-i)
				if p.packed {
					end = roundUp(end, g.rows)
				}
				end = min(to, end)
			}
			skip += g.lanes
		case lowerTriangle:
			if right = roundUp(i+r+g.rows+q.diag-j, g.lanes); right < width {
				end = min(to, r+g.rows)
			} else {
				right = width
			}
		}
		if end <= r {
			continue
		}
		for r < end {
			stop := end
			if p.aPanel > 0 {
				stop = min(end, (i+r)/g.cols*g.cols+g.cols-i)
				p.a = unsafe.Add(a, uintptr((i+r)/g.cols)*p.aPanel+uintptr((i+r)%g.cols)*q.size)
			} else {
				p.a = unsafe.Add(a, uintptr(r/g.rows)*p.aTile+uintptr(r%g.rows)*p.aRow)
			}
			p.b = unsafe.Add(b, uintptr(left)*q.size)
			p.c = q.c.at(i+r, j+left).p
			p.rows = stop - r
			p.runColumns(right-left, g, q.size)
			r = stop
		}
	}
}
