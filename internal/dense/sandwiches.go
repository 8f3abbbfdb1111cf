package dense

import (
	"fmt"
	"unsafe"
)

// RoundedSandwiches computes skew-symmetric sums of commutators, sum_k (W_k H_k - H_k W_k) with W_k = G_k U - U G_k, for symmetric n x n matrices G_k and H_k and a
// skew-symmetric U, at the speed of bfloat16 products and on several goroutines. The G and H are rounded to bfloat16 and arranged once, U and the W when they are computed; sums are in float32 as those
// of GemmRounded. With u = 2^-8, e = 2^-24 and m pairs an element of the sum differs from the exact one by at most (4u + (2m + 2) n e) sum_k (|W_k| |H_k| + |H_k| |W_k|) with |W| for
// |G| |U| + |U| |G|, up to terms in u^2, and typically by u of the root of the sum of the squares of the terms. Its bits depend on the matrices alone. Subnormal numbers count
// as zero.
type RoundedSandwiches struct {
	n, count, pairs int
	left            []uint32 // the G below each other, pairs of neighbours in a row
	right, middle   []uint32 // the H below each other, and U, in panels of columns: pairs of neighbours in a column
	images          []uint32 // the W side by side, pairs of neighbours in a row
	cuts            sandwichCuts
	commute, gather Parallel
	weight          float32
	out             Matrix[float32]
}

const (
	sandwichPanel = 48 // columns of a panel of the kernel
	sandwichTiles = 8  // rows and columns are cut to about so many tiles at most
)

// NewRoundedSandwiches returns a RoundedSandwiches for count pairs of n x n matrices, all of them zero, or nil where the processor has no VDPBF16PS or other kernels
// than AVX-512 are in use.
func NewRoundedSandwiches(n, count int) *RoundedSandwiches {
	if n < 1 || count < 1 {
		panic(Error(fmt.Sprintf("RoundedSandwiches: %d pairs of matrices of %d rows", count, n)))
	}
	if !hasPairs() {
		return nil
	}
	pairs := (n + 1) / 2
	words := func(rows int) []uint32 { return alignedWords(rows * pairs * n) }
	s := &RoundedSandwiches{n: n, count: count, pairs: pairs, left: words(count), right: words(count), middle: words(1), images: words(count), cuts: cutsOf(n)}
	s.commute.Task, s.gather.Task = (*commutatorTask)(s), (*gatherTask)(s)
	return s
}

// Set makes g and h the given pair.
func (s *RoundedSandwiches) Set(k int, g, h Matrix[float32]) {
	s.check(g)
	pairsOf(operandOf(NoTrans, &g), s.n, s.n, words(s.left[k*s.pairs*s.n:]))
	s.pack(h, s.right, k, s.count)
}

// pack writes x to the panels of count matrices below each other, as the given one. The last row has no neighbour if their number is odd.
func (s *RoundedSandwiches) pack(x Matrix[float32], panels []uint32, k, count int) {
	s.check(x)
	for j := 0; j < s.n; j += sandwichPanel {
		width := min(sandwichPanel, s.n-j)
		dst := panels[j*count*s.pairs+k*s.pairs*width:][:s.pairs*width]
		s.interleave(x, j, width, dst)
		if s.n%2 != 0 {
			last := dst[(s.pairs-1)*width:]
			for i, v := range x.Row(s.n - 1)[j : j+width] {
				last[i] = uint32(Round(v))
			}
		}
	}
}

func (s *RoundedSandwiches) check(x Matrix[float32]) {
	x.mustHave(s.n, s.n, "RoundedSandwiches")
	if !x.holds() {
		panic(errShort)
	}
}

// Sum sets out to weight times the sum for u.
func (s *RoundedSandwiches) Sum(weight float32, u, out Matrix[float32]) {
	s.check(out)
	s.pack(u, s.middle, 0, 1)
	parts := s.cuts.parts()
	s.commute.Run(parts)
	s.weight, s.out = weight, out
	s.gather.Run(parts)
	s.out = Matrix[float32]{}
}

// tile is a range of rows or columns.
type tile struct{ from, size int }

// sandwichCuts is where rows and columns are cut, from 0 to n.
type sandwichCuts []int

func cutsOf(n int) (c sandwichCuts) {
	panels := (n + sandwichPanel - 1) / sandwichPanel
	width := (panels + sandwichTiles - 1) / sandwichTiles * sandwichPanel
	for i := 0; ; i += width {
		c = append(c, i)
		if n-i < width+sandwichPanel/2 {
			break
		}
	}
	return append(c, n)
}

func (c sandwichCuts) count() int { return len(c) - 1 }

func (c sandwichCuts) tile(i int) tile { return tile{c[i], c[i+1] - c[i]} }

// parts is the number of pairs of tiles; those of two different tiles are twice as much work as those of one.
func (c sandwichCuts) parts() int { return len(c) * (len(c) - 1) / 2 }

// pair returns the tiles of a part, i >= j, and which ones they are.
func (c sandwichCuts) pair(index int) (i, j tile, row, col int) {
	for ; index > row; row++ {
		index -= row + 1
	}
	return c.tile(row), c.tile(index), row, index
}

// part returns the tiles i >= j of a part, and memory for them.
func (s *RoundedSandwiches) part(index int) (i, j tile, w *workspace, x, y, t Matrix[float32]) {
	i, j, _, _ = s.cuts.pair(index)
	w = takeWorkspace()
	size := i.size * j.size
	space := elementsOf[float32](&w.a, 3*size)
	return i, j, w, Wrap(i.size, j.size, space[:size]), Wrap(j.size, i.size, space[size:2*size]), Wrap(i.size, j.size, space[2*size:])
}

// commutatorTask computes a part of every W: with Y = G U, W is Y + Y'.
type commutatorTask RoundedSandwiches

func (c *commutatorTask) RunPart(index int) {
	s := (*RoundedSandwiches)(c)
	i, j, w, x, y, t := s.part(index)
	for k := range s.count {
		left := s.left[k*s.pairs*s.n:]
		s.multiply(left, s.middle, s.pairs, i, j, x)
		if i == j {
			Transpose(t, x)
			Axpy(1, t.Data, x.Data)
			s.narrow(k, i, j, x)
			continue
		}
		s.multiply(left, s.middle, s.pairs, j, i, y)
		Transpose(t, y)
		Axpy(1, t.Data, x.Data)
		Transpose(y, x)
		s.narrow(k, i, j, x)
		s.narrow(k, j, i, y)
	}
	w.release()
}

// gatherTask computes a part of the sum: with S = sum W_k H_k it is S - S'.
type gatherTask RoundedSandwiches

func (g *gatherTask) RunPart(index int) {
	s := (*RoundedSandwiches)(g)
	i, j, w, x, y, t := s.part(index)
	s.multiply(s.images, s.right, s.count*s.pairs, i, j, x)
	if i != j {
		s.multiply(s.images, s.right, s.count*s.pairs, j, i, y)
	}
	skewTiles(s.weight, x, y, t, i, j, s.out)
	w.release()
}

// skewTiles sets the tiles i, j and j, i of out to weight times those of S - S', for x and y, the tiles of S. It overwrites t; where both are the same, y is not used.
func skewTiles(weight float32, x, y, t Matrix[float32], i, j tile, out Matrix[float32]) {
	if i == j {
		y = x
	}
	Transpose(t, y)
	subtractTile(weight, x, t, i, j, out)
	if i != j {
		back := Wrap(j.size, i.size, t.Data)
		Transpose(back, x)
		subtractTile(weight, y, back, j, i, out)
	}
}

// subtractTile sets a tile of out to weight times x less transposed.
func subtractTile(weight float32, x, transposed Matrix[float32], i, j tile, out Matrix[float32]) {
	if j.size == out.Stride {
		Blend(weight, x.Data, -weight, transposed.Data, out.Data[:len(x.Data)])
		return
	}
	for r := range i.size {
		Blend(weight, x.Row(r), -weight, transposed.Row(r), out.Row(i.from + r)[j.from:][:j.size])
	}
}

// multiply sets c to rows times columns of the product of an n x 2k matrix and a 2k x n one in panels.
func (s *RoundedSandwiches) multiply(a, b []uint32, k int, rows, cols tile, c Matrix[float32]) {
	g := tileGeometry(4)
	row, block := uintptr(4*k), blockLength(k)
	p := panel{aRow: row, aStep: 4, aTile: uintptr(g.rows) * row, cRow: uintptr(4 * c.Stride), pairs: true, tiled: tilesPairs(k)}
	for j := 0; j < cols.size; j += sandwichPanel {
		at := cols.from + j
		width := min(sandwichPanel, s.n-at)
		p.bStep, p.use = uintptr(4*width), storePlain
		for l := 0; l < k; l += block {
			p.k, p.rows = min(block, k-l), rows.size
			p.a, p.b, p.c = words(a[rows.from*k+l:]), words(b[at*k+l*width:]), unsafe.Pointer(&c.Data[j])
			p.runColumns(width, g, 4)
			p.use = addPlain
		}
	}
}

func words(x []uint32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }
