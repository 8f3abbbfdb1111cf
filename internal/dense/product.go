package dense

import "unsafe"

// Blocking of a product. maxBlockK belongs to the contract on bits: a longer inner dimension is cut into equal blocks, and each block is one
// fused chain that is then added to C. The other limits only bound what stays in a cache while it is reused.
const (
	maxBlockK     = 384
	blockRows     = 192       // rows of A packed at a time: 192 x 384 float64 are 576 KiB of the second-level cache
	blockColBytes = 16 << 10  // width of the packed block of B
	unpackedBytes = 200 << 10 // a B that is not larger is read in place
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

func operandOf[T Float](t Trans, m Matrix[T]) operand {
	size := unsafe.Sizeof(*new(T))
	o := operand{unsafe.Pointer(unsafe.SliceData(m.Data)), uintptr(m.Stride) * size, size}
	if t {
		o.row, o.col = o.col, o.row
	}
	return o
}

func (o operand) at(i, j int) operand {
	o.p = unsafe.Add(o.p, uintptr(i)*o.row+uintptr(j)*o.col)
	return o
}

// product is one C = alpha A B + beta C with m, n, k > 0; C is not transposed. When upper is set, only elements with j >= i + diag need to be
// computed; whole tiles are.
type product struct {
	m, n, k     int
	a, b, c     operand
	alpha, beta float64 // as in panel
	overwrite   bool    // beta is zero
	upper       bool
	diag        int
	size        uintptr // of an element
}

func (q *product) part(i, j, m, n int) product {
	s := *q
	s.m, s.n = m, n
	s.a, s.b, s.c = q.a.at(i, 0), q.b.at(0, j), q.c.at(i, j)
	s.diag += i - j
	return s
}

// rowsAbove returns how many of the first m rows of a block that starts at row i have an element to compute left of column end.
func (q *product) rowsAbove(i, m, end int) int {
	if !q.upper {
		return m
	}
	return max(0, min(m, end-q.diag-i))
}

// run computes the product on the calling goroutine.
func (q *product) run() {
	g := tileGeometry(q.size)
	kb := blockLength(q.k)
	p := panel{alpha: q.alpha, beta: q.beta, cRow: q.c.row, accumulate: 1}
	if q.overwrite {
		p.accumulate = 0
	}
	if q.b.col == q.size && q.inPlace() {
		for l := 0; l < q.k; l += kb {
			p.k = min(kb, q.k-l)
			q.runInPlace(&p, g, l)
			q.accumulateNext(&p)
		}
		return
	}
	w := takeWorkspace()
	cols := blockColBytes / int(q.size) / g.cols * g.cols
	for j := 0; j < q.n; j += cols {
		p.beta, p.accumulate = q.beta, 1
		if q.overwrite {
			p.accumulate = 0
		}
		for l := 0; l < q.k; l += kb {
			p.k = min(kb, q.k-l)
			q.runPacked(&p, g, w, j, min(cols, q.n-j), l)
			q.accumulateNext(&p)
		}
	}
	w.release()
}

// accumulateNext makes the blocks after the first add to C.
func (q *product) accumulateNext(p *panel) {
	p.accumulate = 1
	if q.size == 8 {
		p.beta = 1
	} else {
		p.beta = float32Bits(1)
	}
}

// inPlace reports whether packing would cost more than it brings.
func (q *product) inPlace() bool {
	return q.m <= 16 || uintptr(q.k*q.n)*q.size <= unpackedBytes
}

func (q *product) runInPlace(p *panel, g geometry, l int) {
	p.aRow, p.aStep, p.aTile = q.a.row, q.a.col, uintptr(g.rows)*q.a.row
	p.a = q.a.at(0, l).p
	p.bStep = q.b.row
	for j := 0; j < q.n; j += g.cols {
		width := min(g.cols, q.n-j)
		if p.rows = q.rowsAbove(0, q.m, j+width); p.rows == 0 {
			continue
		}
		p.b, p.c = q.b.at(l, j).p, q.c.at(0, j).p
		p.setColumns(width, g, q.size)
		p.run(q.size)
	}
}

// runPacked multiplies with the block of B of p.k rows from l and n columns from j.
func (q *product) runPacked(p *panel, g geometry, w *workspace, j, n, l int) {
	panelBytes := uintptr(p.k*g.cols) * q.size
	b := w.b.need((n + g.cols - 1) / g.cols * int(panelBytes))
	packColumns(q.b.at(l, j), b, p.k, n, g.cols, q.size)
	p.bStep = uintptr(g.cols) * q.size
	for i := 0; i < q.m; i += blockRows {
		m := q.rowsAbove(i, min(blockRows, q.m-i), j+n)
		if m == 0 {
			break
		}
		p.aRow, p.aStep = q.size, uintptr(g.rows)*q.size
		p.aTile = uintptr(p.k) * p.aStep
		p.a = w.a.need((m + g.rows - 1) / g.rows * int(p.aTile))
		a := q.a.at(i, l)
		packColumns(operand{a.p, a.col, a.row}, p.a, p.k, m, g.rows, q.size)
		for jj := 0; jj < n; jj += g.cols {
			width := min(g.cols, n-jj)
			if p.rows = q.rowsAbove(i, m, j+jj+width); p.rows == 0 {
				continue
			}
			p.b = unsafe.Add(b, uintptr(jj/g.cols)*panelBytes)
			p.c = q.c.at(i, j+jj).p
			p.setColumns(width, g, q.size)
			p.run(q.size)
		}
	}
}
