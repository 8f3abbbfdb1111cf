package nnopt

import "github.com/spdopt/spdopt/internal/dense"

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

// project replaces the symmetric m by the member p of the class with the symmetric part (p + p^T)/2 nearest to m in the Frobenius norm, which keeps the
// trace.
func project[T Float](s structured, m dense.Matrix[T]) {
	if s.kind == StructureLowerToeplitz || s.kind == StructureUpperToeplitz {
		projectToeplitz(s.kind == StructureLowerToeplitz, m)
		return
	}
	for i := range m.Rows {
		row := m.Row(i)
		for j := range row {
			switch own, mirrored := s.holds(m.Rows, i, j), s.holds(m.Rows, j, i); {
			case !own:
				row[j] = 0
			case !mirrored:
				row[j] *= 2
			}
		}
	}
}

// holds says whether element i, j of a member of size n can differ from zero.
func (s structured) holds(n, i, j int) bool {
	switch s.kind {
	case StructureDiagonal:
		return i == j
	case StructureBlock:
		return i/s.first == j/s.first
	case StructureHierarchical:
		first := min(s.first, n)
		last := min(s.last, n-first)
		switch {
		case i < first:
			return true
		case i < n-last:
			return i == j
		default:
			return j >= first
		}
	case StructureLowerCorner:
		return i == j || j == 0
	case StructureLowerDiagonal:
		return i == j || i == n-1
	case StructureUpperCorner:
		return i == j || i == 0
	case StructureUpperDiagonal:
		return i == j || j == n-1
	}
	return true
}

// projectToeplitz sets the diagonals of one triangle to the means of their elements, those off the main one doubled, and clears the other triangle.
func projectToeplitz[T Float](lower bool, m dense.Matrix[T]) {
	n := m.Rows
	for k := range n {
		var sum T
		for i := range n - k {
			sum += m.At(i, i+k)
		}
		mean := sum / T(n-k)
		if k > 0 {
			mean *= 2
		}
		for i := range n - k {
			up, down := mean, T(0)
			if lower {
				up, down = down, up
			}
			if k == 0 {
				m.Set(i, i, mean)
				continue
			}
			m.Set(i, i+k, up)
			m.Set(i+k, i, down)
		}
	}
}
