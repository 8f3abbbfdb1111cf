package nnopt

import "slices"

// Structure is a class of matrices that is closed under products, to which a factor can be confined (Lin et al., arXiv:2312.05705).
type Structure string

// The structures; the empty one is StructureDense.
const (
	StructureDense         Structure = "dense"
	StructureDiagonal      Structure = "diagonal"
	StructureBlock         Structure = "block"           // equal diagonal blocks, the last one smaller
	StructureHierarchical  Structure = "hierarchical"    // [[A, B], [0, diag, 0], [0, D, E]]
	StructureLowerToeplitz Structure = "lower-toeplitz"  // one value for each diagonal
	StructureUpperToeplitz Structure = "upper-toeplitz"  //
	StructureLowerCorner   Structure = "lower-arrow"     // [[a, 0], [b, diag]]
	StructureLowerDiagonal Structure = "lower-arrow-end" // [[diag, 0], [b, c]]
	StructureUpperCorner   Structure = "upper-arrow"     // [[a, b], [0, diag]]
	StructureUpperDiagonal Structure = "upper-arrow-end" // [[diag, b], [0, c]]
)

// Structures lists the structures.
func Structures() []Structure {
	return []Structure{StructureDense, StructureDiagonal, StructureBlock, StructureHierarchical, StructureLowerToeplitz, StructureUpperToeplitz, StructureLowerCorner,
		StructureLowerDiagonal, StructureUpperCorner, StructureUpperDiagonal}
}

// structured is a structure with the sizes of its parts: those of blocks, or of the first and the last part of a hierarchical one.
type structured struct {
	kind        Structure
	first, last int
}

// newStructured fills in the default sizes: blocks of 30, hierarchical parts of 15.
func newStructured(kind Structure, sizes [2]int) structured {
	s := structured{kind, sizes[0], sizes[1]}
	if s.first == 0 {
		s.first = 15
		if kind == StructureBlock {
			s.first = 30
		}
	}
	if s.last == 0 {
		s.last = 15
	}
	return s
}

func validateStructure(name string, kind Structure, sizes [2]int) error {
	if kind != "" && !slices.Contains(Structures(), kind) {
		return option(name, "must be one of %v, not %q", Structures(), kind)
	}
	if min(sizes[0], sizes[1]) < 0 {
		return option("sizes", "must not be negative")
	}
	return nil
}

// pattern is what a member of a class of size n consists of, and where its numbers are stored: full rectangles, then the diagonal elements of rows in
// which there is nothing else. Toeplitz members are one number for each diagonal instead.
type pattern struct {
	n        int
	toeplitz bool
	upper    bool // Toeplitz only
	rects    []rect
	from, to int // rows with a diagonal element only
	diag     int // where these are stored
	size     int // numbers in all
}

// rect holds the elements [row, row+rows) x [col, col+cols). Either it is square on the diagonal, or the class holds nothing at its mirror image and
// projections double it.
type rect struct {
	row, rows, col, cols, at int
	double                   bool
}

// pattern returns that of size n.
func (s structured) pattern(n int) *pattern {
	p := &pattern{n: n}
	switch s.kind {
	case StructureLowerToeplitz, StructureUpperToeplitz:
		p.toeplitz, p.upper, p.size = true, s.kind == StructureUpperToeplitz, n
		return p
	case StructureDiagonal:
		p.to = n
	case StructureBlock:
		for start := 0; start < n; start += s.first {
			p.add(start, min(s.first, n-start), start, min(s.first, n-start))
		}
	case StructureHierarchical:
		first := min(s.first, n)
		last := min(s.last, n-first)
		p.add(0, first, 0, first)
		p.add(0, first, first, n-first)
		p.add(n-last, last, first, n-first-last)
		p.add(n-last, last, n-last, last)
		p.from, p.to = first, n-last
	case StructureLowerCorner, StructureUpperCorner:
		p.add(0, 1, 0, 1)
		p.add(1, n-1, 0, 1)
		p.from, p.to = 1, n
	case StructureLowerDiagonal, StructureUpperDiagonal:
		p.add(n-1, 1, 0, n-1)
		p.add(n-1, 1, n-1, 1)
		p.to = n - 1
	default:
		p.add(0, n, 0, n)
	}
	if s.kind == StructureUpperCorner || s.kind == StructureUpperDiagonal {
		for i, r := range p.rects {
			p.rects[i].row, p.rects[i].rows, p.rects[i].col, p.rects[i].cols = r.col, r.cols, r.row, r.rows
		}
	}
	p.diag = p.size
	p.size += p.to - p.from
	return p
}

func (p *pattern) add(row, rows, col, cols int) {
	if rows > 0 && cols > 0 {
		p.rects = append(p.rects, rect{row, rows, col, cols, p.size, row != col})
		p.size += rows * cols
	}
}

// slot describes the array that stores a member.
func (p *pattern) slot(name string) slotShape {
	if len(p.rects) == 1 && p.size == p.n*p.n {
		return slotShape{name, p.n, p.n}
	}
	return slotShape{name, 1, p.size}
}
