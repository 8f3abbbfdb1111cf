package dense

import "unsafe"

// panel is what a micro-kernel works on: rows of A times one column panel of B, at most three vectors wide. All steps are in bytes.
// Element (i, l) of A is at a + i*aRow + l*aStep, row l of B at b + l*bStep, row i of C at c + i*cRow. The kernel takes the rows in tiles of
// geometry.rows; each next tile of A starts aTile further. The offsets of the fields are known to the generator in gen/gemm.
//
// With pairs the elements of A and B are pairs of bfloat16 numbers. With quads those of A are four unsigned bytes and those of B four signed ones: sums are exact in int32, plain
// ones are added to C as such, and scaled ones are multiplied by the scales of their row and column and added or stored in float32, whatever alpha and beta are.
//
// Each sum is one chain of fused multiply-adds over l = 0..k-1 that starts at zero; use says what becomes of it.
type panel struct {
	a                  unsafe.Pointer
	aRow, aStep, aTile uintptr
	b                  unsafe.Pointer
	bStep              uintptr
	c                  unsafe.Pointer
	cRow               uintptr
	rows, k            int
	vectors            int
	mask               uintptr // lanes of the last vector: bits (AVX-512), address of lanes or 0 for all (AVX2), number of columns (NEON, portable)
	alpha, beta        float64 // for float32 the bits stand in the low half
	use                use
	start              unsafe.Pointer // of bytes: the sums at the start, an int32 for each column
	rowScales          unsafe.Pointer // of bytes: what scaled sums are multiplied by, a float32 for each row
	colScales          unsafe.Pointer // and for each column
	aPanel             uintptr        // only Go reads it: A lies in panels of geometry.cols rows, this far apart; 0 if not
	packed             bool           // only Go reads it: tiles of A begin at multiples of geometry.rows
	pairs, quads       bool           // only Go reads them
	tiled              bool           // pairs are multiplied by tiles, A as it is
}

// use says what a kernel does with its sums. The two plain forms give the bits of the scaled ones with alpha = 1 and beta = 1.
type use uint64

const (
	storeScaled use = iota // C = alpha*sum
	addScaled              // C = fma(alpha, sum, beta*C)
	storePlain             // C = sum
	addPlain               // C = C + sum
)

func useOf[T Float](alpha, beta T) use {
	switch {
	case beta == 0 && alpha == 1:
		return storePlain
	case beta == 0:
		return storeScaled
	case alpha == 1 && beta == 1:
		return addPlain
	}
	return addScaled
}

// geometry is the shape of the register tile of a path for one element size.
type geometry struct {
	rows  int // rows of a full tile
	lanes int // elements of a vector, a power of two
	cols  int // columns of a full panel: three vectors
}

var geometries = [...][2]geometry{
	portable: {{4, 4, 12}, {4, 4, 12}},
	avx2:     {{4, 4, 12}, {4, 8, 24}},
	avx512:   {{8, 8, 24}, {8, 16, 48}},
	neon:     {{4, 4, 12}, {4, 8, 24}}, // a vector is two registers
}

// pairTiles is the shape of what products of pairs by tiles compute at a time.
var pairTiles = geometry{16, 16, 48}

func tileGeometry(size uintptr) *geometry {
	if size == 8 {
		return &geometries[active][0]
	}
	return &geometries[active][1]
}

// halfVector is the number of vectors that stands for one of half the length; only AVX-512 kernels have it.
const halfVector = 0

// setColumns sets the number of columns of the panel.
func (p *panel) setColumns(n int, g *geometry, size uintptr) {
	last := n
	p.vectors = 1
	for last > g.lanes {
		last -= g.lanes
		p.vectors++
	}
	p.mask = laneMask(n, last, g, size)
}

// runColumns runs the kernel over n columns, at most three vectors.
func (p *panel) runColumns(n int, g *geometry, size uintptr) {
	if p.tiled {
		p.runTiles(n)
		return
	}
	if tail := n & (g.lanes - 1); active == avx512 && tail != 0 && tail <= g.lanes/2 && p.rows*p.k > 256 {
		p.runHalf(n, tail, g, size)
		return
	}
	p.setColumns(n, g, size)
	p.run(size)
}

// runHalf leaves the last columns to a vector of half the length, which some processors handle twice as fast.
func (p *panel) runHalf(n, tail int, g *geometry, size uintptr) {
	rows := p.rows
	if n > tail {
		p.setColumns(n-tail, g, size)
		p.run(size)
	}
	b, c := p.b, p.c
	skip := uintptr(n-tail) * size
	p.b, p.c, p.rows = unsafe.Add(b, skip), unsafe.Add(c, skip), rows
	if p.quads {
		p.start = unsafe.Add(p.start, skip)
		if p.colScales != nil {
			p.colScales = unsafe.Add(p.colScales, skip)
		}
	}
	p.setColumns(tail, g, size)
	p.vectors = halfVector
	p.run(size)
	p.b, p.c = b, c
}
