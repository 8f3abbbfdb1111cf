package manifold

import (
	"fmt"

	"gonum.org/v1/gonum/mat"
)

// BlockDiagonal is the manifold of block-diagonal SPD matrices with the affine-invariant metric: the product of Affine for each block, a
// totally geodesic subspace of Affine, so that distances, geodesics and means are those of the whole matrices at the cost of the blocks. Points
// are *ProductPoint of *Frame, tangent vectors the whitened blocks one after the other.
type BlockDiagonal struct {
	Product
	n      int
	starts []int
	blocks []*Affine
}

var (
	_ Matrices        = (*BlockDiagonal)(nil)
	_ Exponential     = (*BlockDiagonal)(nil)
	_ Logarithm       = (*BlockDiagonal)(nil)
	_ Distancer       = (*BlockDiagonal)(nil)
	_ RandomTangenter = (*BlockDiagonal)(nil)
	_ Checker         = (*BlockDiagonal)(nil)
	_ FreeTransporter = (*BlockDiagonal)(nil)
)

var blockDiagonal = Space{
	Name: "block-diagonal",
	What: "block-diagonal SPD matrices, affine-invariant; an instance has two blocks, of n and n+1 rows",
	New:  func(n int) (Manifold, error) { return NewBlockDiagonal([]int{n, n + 1}, AffineOptions{}) },
}

// NewBlockDiagonal returns the manifold of SPD matrices with diagonal blocks of the given sizes.
func NewBlockDiagonal(sizes []int, o AffineOptions) (*BlockDiagonal, error) {
	m := &BlockDiagonal{}
	parts := make([]Manifold, len(sizes))
	for i, n := range sizes {
		a, err := NewAffine(n, o)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", i, err)
		}
		parts[i] = a
		m.blocks, m.starts, m.n = append(m.blocks, a), append(m.starts, m.n), m.n+n
	}
	p, err := NewProduct(parts, ProductOptions{})
	if err != nil {
		return nil, err
	}
	m.Product = *p
	return m, nil
}

// Dim returns the number of rows of the whole matrices.
func (m *BlockDiagonal) Dim() int { return m.n }

// block copies diagonal block i of s.
func (m *BlockDiagonal) block(s mat.Matrix, i int) *mat.Dense {
	n, at := m.blocks[i].n, m.starts[i]
	b := mat.NewDense(n, n, nil)
	for j := range n {
		for k := range n {
			b.Set(j, k, s.At(at+j, at+k))
		}
	}
	return b
}

func (m *BlockDiagonal) symBlock(s mat.Symmetric, i int) *mat.SymDense {
	n := m.blocks[i].n
	return mat.NewSymDense(n, m.block(s, i).RawMatrix().Data)
}

// assemble writes the blocks to dst and zeros elsewhere.
func (m *BlockDiagonal) assemble(dst *mat.SymDense, block func(i int) *mat.SymDense) {
	if dst.IsEmpty() {
		dst.ReuseAsSym(m.n)
	}
	if err := sameRows(dst, m.n); err != nil {
		panic(Error(err.Error()))
	}
	dst.Zero()
	for i, at := range m.starts {
		b := block(i)
		for j := range b.SymmetricDim() {
			for k := j; k < b.SymmetricDim(); k++ {
				dst.SetSym(at+j, at+k, b.At(j, k))
			}
		}
	}
}

// PointOf returns the frames of the blocks of s. An element outside the blocks that is not zero is an error.
func (m *BlockDiagonal) PointOf(s mat.Symmetric) (Point, error) {
	if err := sameRows(s, m.n); err != nil {
		return nil, err
	}
	p := &ProductPoint{Parts: make([]Point, len(m.blocks))}
	for b, a := range m.blocks {
		end := m.starts[b] + a.n
		for i := m.starts[b]; i < end; i++ {
			for j := end; j < m.n; j++ {
				if x := s.At(i, j); x != 0 {
					return nil, fmt.Errorf("manifold: element (%d,%d) is %v, outside the diagonal blocks; set it to zero or join the blocks", i, j, x)
				}
			}
		}
		f, err := NewFrame(m.symBlock(s, b))
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", b, err)
		}
		p.Parts[b] = f
	}
	return p, nil
}

// MatrixOf sets dst to the whole matrix.
func (m *BlockDiagonal) MatrixOf(dst *mat.SymDense, p Point) {
	t := asProductPoint(p, len(m.blocks))
	m.assemble(dst, func(i int) *mat.SymDense { return asFrame(t.Parts[i], m.blocks[i].n).Sym() })
}

// Gradient writes to v the Riemannian gradient of a function whose Euclidean gradient is g; only the blocks of g are read.
func (m *BlockDiagonal) Gradient(v []float64, p Point, g mat.Matrix) {
	if r, c := g.Dims(); r != m.n || c != m.n {
		panic(Error("Gradient: g has the wrong shape"))
	}
	for i, a := range m.blocks {
		a.Gradient(m.Vector(v, i), asProductPoint(p, len(m.blocks)).Parts[i], m.block(g, i))
	}
}

// Embed writes to dst the tangent matrix with the coordinates v at p.
func (m *BlockDiagonal) Embed(dst *mat.SymDense, p Point, v []float64) {
	t := asProductPoint(p, len(m.blocks))
	m.assemble(dst, func(i int) *mat.SymDense {
		var b mat.SymDense
		m.blocks[i].Embed(&b, t.Parts[i], m.Vector(v, i))
		return &b
	})
}

// Whiten writes to v the coordinates of the tangent matrix xi at p; only its blocks are read.
func (m *BlockDiagonal) Whiten(v []float64, p Point, xi mat.Symmetric) {
	if err := sameRows(xi, m.n); err != nil {
		panic(Error(err.Error()))
	}
	for i, a := range m.blocks {
		a.Whiten(m.Vector(v, i), asProductPoint(p, len(m.blocks)).Parts[i], m.symBlock(xi, i))
	}
}
