package dense

import (
	"fmt"
	"math"
	"unsafe"
)

// ByteSandwiches is to RoundedSandwiches what bytes are to bfloat16: sums of commutators in half the time, three to four times as wrong. The diagonals of the G and H, whose commutators take no products, are
// kept in float32, and what is off them is rounded to 255 equal steps up to the largest number of a row or column, as are U and the W when they are computed. Rows and columns are
// scaled beforehand along the inner dimension so that the columns of the G and H off the diagonal are of like size. Products of bytes are added exactly. For matrices of random
// numbers the error is about 0.01 of the sum of the squares' root of what is off the diagonals. The bits depend on the matrices alone.
type ByteSandwiches struct {
	n, count, quads  int
	cuts             sandwichCuts
	left             quadProduct // the G below each other times U
	right            quadProduct // the W side by side times the H below each other
	inner, outer     []float32   // the scales of the inner dimensions, of U, and of each W
	g, h             []float32   // the diagonals
	images           []float32   // the lower triangle of the W, in tiles
	sums             []float32   // that of the sum, alike: first what the diagonals of the H have in it
	most             []float32   // of the rows of the W in each tile, scaled
	steps            []float32   // how many steps make one, of the columns of U, then of the rows of the W
	off              Matrix[float32]
	weight           float32
	u, out           Matrix[float32]
	pack, commute    Parallel
	quantize, gather Parallel
}

// byteSteps is the number of steps from zero to the largest number.
const byteSteps = 127

// NewByteSandwiches returns ByteSandwiches for count pairs of n x n matrices, all of them zero, or nil where the processor has no VPDPBUSD, other kernels than
// AVX-512 are in use, or sums would not fit into 32 bits.
func NewByteSandwiches(n, count int) *ByteSandwiches {
	if n < 1 || count < 1 {
		panic(Error(fmt.Sprintf("ByteSandwiches: %d pairs of matrices of %d rows", count, n)))
	}
	quads := (n + 3) / 4
	if !hasQuads() || count > quadsMost/quads {
		return nil
	}
	s := &ByteSandwiches{n: n, count: count, quads: quads, cuts: cutsOf(n)}
	product := func(rows, k int) quadProduct {
		return quadProduct{k: k, n: n, a: alignedWords(n * count * quads), b: alignedWords(k * n), start: make([]int32, n), rowScales: make([]float32, rows), colScales: make([]float32, n)}
	}
	s.left, s.right = product(count*n, quads), product(n, count*quads)
	s.inner, s.outer, s.g, s.h = make([]float32, n), make([]float32, count*n), make([]float32, count*n), make([]float32, count*n)
	s.images, s.sums, s.off = alignedSingles(count*n*n), alignedSingles(n*n), New[float32](n, n)
	s.most, s.steps = make([]float32, n*s.cuts.count()), make([]float32, n)
	s.pack.Task, s.commute.Task, s.quantize.Task, s.gather.Task = (*packTask)(s), (*byteCommutatorTask)(s), (*quantizeTask)(s), (*byteGatherTask)(s)
	return s
}

// Set makes g and h the pairs.
func (s *ByteSandwiches) Set(g, h []Matrix[float32]) {
	if len(g) != s.count || len(h) != s.count {
		panic(Error(fmt.Sprintf("ByteSandwiches: %d and %d matrices for %d pairs", len(g), len(h), s.count)))
	}
	for k := range g {
		s.check(g[k])
		s.check(h[k])
	}
	s.setLeft(g)
	s.setRight(h)
}

// setLeft takes the G, whose columns are scaled alike.
func (s *ByteSandwiches) setLeft(g []Matrix[float32]) {
	n := s.n
	clear(s.inner)
	for k, g := range g {
		s.split(g, s.g[k*n:][:n])
		for i := range n {
			s.inner[i] += Dot(s.off.Row(i), s.off.Row(i))
		}
	}
	weights := s.steps
	for i, v := range s.inner {
		s.inner[i] = float32(math.Sqrt(float64(v)))
		weights[i] = reciprocal(s.inner[i])
	}
	for k, g := range g {
		s.split(g, s.g[k*n:][:n])
		scales := s.left.rowScales[k*n:][:n]
		clear(scales)
		raiseMost(s.off, weights, scales)
		factors := s.most[:n]
		stepsOf(scales, factors)
		bytesOfRows(s.off, weights, factors, s.left.a[k*n*s.quads:], s.quads)
	}
}

// setRight takes the H, whose rows are scaled.
func (s *ByteSandwiches) setRight(h []Matrix[float32]) {
	n := s.n
	weights, largest := s.images[:s.count*n], s.right.colScales
	clear(largest)
	for k, h := range h {
		s.split(h, s.h[k*n:][:n])
		outer, weights := s.outer[k*n:][:n], weights[k*n:][:n]
		for i := range n {
			outer[i] = float32(math.Sqrt(float64(Dot(s.off.Row(i), s.off.Row(i)))))
			weights[i] = reciprocal(outer[i])
		}
		raiseMost(s.off, weights, largest)
	}
	stepsOf(largest, s.steps)
	clear(s.right.start)
	for k, h := range h {
		s.split(h, s.h[k*n:][:n])
		for j := 0; j < n; j += quadPanel {
			width := min(quadPanel, n-j)
			s.panel(s.off, weights[k*n:][:n], &s.right, j, s.right.b[j*s.right.k+k*s.quads*width:])
		}
	}
}

// split sets diagonal to that of x and off to the rest.
func (s *ByteSandwiches) split(x Matrix[float32], diagonal []float32) {
	s.off.Copy(x)
	for i := range diagonal {
		diagonal[i] = x.At(i, i)
		s.off.Set(i, i, 0)
	}
}

// panel writes the columns from j of x to a panel, with weights of its rows and the steps of the columns.
func (s *ByteSandwiches) panel(x Matrix[float32], weights []float32, q *quadProduct, j int, to []uint32) {
	width, whole := min(quadPanel, s.n-j), s.n/4*4
	steps, start := s.steps[j:], q.start[j:]
	quadsOfRows(x.View(0, j, s.n, width), weights, steps, to, start)
	if whole == s.n {
		return
	}
	var rows [4 * quadPanel]float32
	var last [4]float32
	for i := whole; i < s.n; i++ {
		copy(rows[(i-whole)*width:], x.Row(i)[j:j+width])
		last[i-whole] = weights[i]
	}
	quadsOfRows(Wrap(4, width, rows[:4*width]), last[:], steps, to[whole/4*width:], start)
}

// stepsOf sets steps to the number of steps that make one, and largest to the steps, for the largest numbers.
func stepsOf(largest, steps []float32) {
	for i, v := range largest {
		steps[i], largest[i] = byteSteps*reciprocal(v), v/byteSteps
	}
}

// reciprocal returns 1/x, and zero for what is too small.
func reciprocal(x float32) float32 {
	if x < 0x1p-100 {
		return 0
	}
	return 1 / x
}

func (s *ByteSandwiches) check(x Matrix[float32]) {
	x.mustHave(s.n, s.n, "ByteSandwiches")
	if !x.holds() {
		panic(errShort)
	}
}

// Sum sets out to weight times the sum for u, which is skew-symmetric.
func (s *ByteSandwiches) Sum(weight float32, u, out Matrix[float32]) {
	s.check(u)
	s.check(out)
	s.weight, s.u, s.out = weight, u, out
	clear(s.most)
	s.pack.Run((s.n + quadPanel - 1) / quadPanel)
	s.commute.Run(s.cuts.parts())
	s.quantize.Run(s.cuts.count())
	s.gather.Run(s.cuts.parts())
	s.u, s.out = Matrix[float32]{}, Matrix[float32]{}
}

// packTask writes a panel of U, whose columns are its rows but for the sign.
type packTask ByteSandwiches

func (p *packTask) RunPart(index int) {
	s := (*ByteSandwiches)(p)
	from := index * quadPanel
	width := min(quadPanel, s.n-from)
	scales, steps := s.left.colScales[from:][:width], s.steps[from:][:width]
	clear(scales)
	raiseMost(s.u.View(from, 0, width, s.n), s.inner, scales)
	stepsOf(scales, steps)
	clear(s.left.start[from:][:width])
	s.panel(s.u, s.inner, &s.left, from, s.left.b[from*s.quads:])
}

// tiles takes memory for the tiles i >= j of a part.
func (s *ByteSandwiches) tiles(i, j tile) (w *workspace, x, y, t Matrix[float32]) {
	w = takeWorkspace()
	size := i.size * j.size
	space := elementsOf[float32](&w.a, 3*size)
	return w, Wrap(i.size, j.size, space[:size]), Wrap(j.size, i.size, space[size:2*size]), Wrap(i.size, j.size, space[2*size:])
}

// byteCommutatorTask computes a part of every W: with Y = G U, W is Y + Y'.
type byteCommutatorTask ByteSandwiches

func (c *byteCommutatorTask) RunPart(index int) {
	s := (*ByteSandwiches)(c)
	i, j, row, col := s.cuts.pair(index)
	w, x, y, t := s.tiles(i, j)
	sum := s.sumOf(i, j)
	clear(sum.Data)
	for k := range s.count {
		s.multiplyLeft(k, i, j, x)
		if i == j {
			Transpose(t, x)
		} else {
			s.multiplyLeft(k, j, i, y)
			Transpose(t, y)
		}
		s.combine(k, i, j, x, t, sum, s.most[col*s.n+i.from:], s.most[row*s.n+j.from:])
	}
	w.release()
}

func (s *ByteSandwiches) multiplyLeft(k int, rows, cols tile, c Matrix[float32]) {
	q := s.left
	q.a, q.rowScales = q.a[k*s.n*s.quads:], q.rowScales[k*s.n:]
	q.multiply(rows, cols, storeScaled, unsafe.Pointer(unsafe.SliceData(c.Data)), c.Stride)
}

// imageOf returns the tile of the W of pair k at rows i and columns j, i >= j.
func (s *ByteSandwiches) imageOf(k int, i, j tile) Matrix[float32] {
	return s.tileOf(s.images[k*s.n*s.n:], i, j)
}

// sumOf is imageOf for the sum.
func (s *ByteSandwiches) sumOf(i, j tile) Matrix[float32] { return s.tileOf(s.sums, i, j) }

func (s *ByteSandwiches) tileOf(all []float32, i, j tile) Matrix[float32] {
	return Wrap(i.size, j.size, all[i.from*s.n+i.size*j.from:][:i.size*j.size])
}

// commutation is the second half of a commutator: it sets a tile w of W to x + t and the commutator of U and the diagonal of G, adds to sum the commutator of w and the diagonal of H, and raises the
// numbers in rowMost and colMost to the largest of every row and column, times the weights of its columns and rows. Of the matrices all but u are packed.
type commutation struct {
	x, t, u, sum, w            Matrix[float32]
	gRows, gCols, hRows, hCols []float32 // parts of the diagonals
	rowWeights, colWeights     []float32
	rowMost, colMost           []float32
}

// combine sets the tile of W at rows i and columns j, and sums what it has in common with the diagonal of H.
func (s *ByteSandwiches) combine(k int, i, j tile, x, t, sum Matrix[float32], rowMost, colMost []float32) {
	of := func(v []float32, from int) []float32 { return v[k*s.n+from:] }
	c := commutation{x: x, t: t, u: s.u.View(i.from, j.from, i.size, j.size), sum: sum, w: s.imageOf(k, i, j), rowMost: rowMost, colMost: colMost,
		gRows: of(s.g, i.from), gCols: of(s.g, j.from), hRows: of(s.h, i.from), hCols: of(s.h, j.from), rowWeights: of(s.outer, i.from), colWeights: of(s.outer, j.from)}
	c.run()
}

// quantizeTask makes bytes of a tile of rows of the W.
type quantizeTask ByteSandwiches

func (q *quantizeTask) RunPart(index int) {
	s := (*ByteSandwiches)(q)
	rows := s.cuts.tile(index)
	scales, steps := s.right.rowScales[rows.from:][:rows.size], s.steps[rows.from:][:rows.size]
	clear(scales)
	for part := range s.cuts.count() {
		for i, v := range s.most[part*s.n+rows.from:][:rows.size] {
			scales[i] = max(scales[i], v)
		}
	}
	stepsOf(scales, steps)
	w := takeWorkspace()
	for part := range s.cuts.count() {
		cols := s.cuts.tile(part)
		back := Wrap(rows.size, cols.size, elementsOf[float32](&w.a, rows.size*cols.size))
		for k := range s.count {
			var image Matrix[float32]
			if part <= index {
				image = s.imageOf(k, rows, cols)
			} else {
				image = back
				Transpose(image, s.imageOf(k, cols, rows))
			}
			bytesOfRows(image, s.outer[k*s.n+cols.from:], steps, s.right.a[(rows.from*s.count+k)*s.quads+cols.from/4:], s.count*s.quads)
		}
	}
	w.release()
}

// byteGatherTask computes a part of the sum: with S = sum W_k H_k it is S - S' and what the diagonals of the H have in it.
type byteGatherTask ByteSandwiches

func (g *byteGatherTask) RunPart(index int) {
	s := (*ByteSandwiches)(g)
	i, j, _, _ := s.cuts.pair(index)
	w, _, y, t := s.tiles(i, j)
	x := s.sumOf(i, j)
	if i == j {
		Scale(0.5, x.Data, x.Data)
	} else {
		s.multiplyRight(j, i, storeScaled, y)
	}
	s.multiplyRight(i, j, addScaled, x)
	skewTiles(s.weight, x, y, t, i, j, s.out)
	w.release()
}

func (s *ByteSandwiches) multiplyRight(rows, cols tile, how use, c Matrix[float32]) {
	s.right.multiply(rows, cols, how, unsafe.Pointer(unsafe.SliceData(c.Data)), c.Stride)
}
