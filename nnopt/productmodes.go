package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// productModes is count tensors, one after the other, and the workspace to multiply each along its dimensions by a matrix of its own.
type productModes[T Float] struct {
	e       engine.Backend[T] // its products may be rounded
	dims    []int
	count   int
	size    int // of a tensor
	z, t    []T
	swapped bool // z and t are not in the places that they had at first
}

// newProductModes returns count tensors on the processor, without memory.
func newProductModes[T Float](dims []int, count int) productModes[T] {
	return productModes[T]{e: engine.CPU[T](), dims: dims, count: count, size: product(dims)}
}

// workspace says what z and t need, when the tensors are counted.
func (p *productModes[T]) workspace() []need[T] {
	return []need[T]{{&p.z, p.count * p.size}, {&p.t, p.count * p.size}}
}

// swap exchanges z and t.
func (p *productModes[T]) swap() { p.z, p.t, p.swapped = p.t, p.z, !p.swapped }

// rewind brings z and t back to their places, so that steps are the same work. What they hold is lost.
func (p *productModes[T]) rewind() {
	if p.swapped {
		p.swap()
	}
}

// own is what belongs to tensor k in as many equal parts of x.
func (p *productModes[T]) own(x []T, k int) []T { return partOf(x, p.count, k) }

// split returns the number of elements before and after dimension mode.
func (p *productModes[T]) split(mode int) (left, right int) {
	return product(p.dims[:mode]), product(p.dims[mode+1:])
}

// permute brings z into the order in which index i of dimension mode is what was index perm[i], each tensor into its own.
func (p *productModes[T]) permute(perm []int, mode int) {
	left, right := p.split(mode)
	n := p.dims[mode]
	if p.e != engine.CPU[T]() {
		index := make([]int32, 0, p.count*left*n)
		for l := range p.count * left {
			for _, from := range perm[l/left*n : (l/left+1)*n] {
				index = append(index, int32(l*n+from))
			}
		}
		p.e.Gather(dense.Wrap(len(index), right, p.z), index, dense.Wrap(len(index), right, p.t))
		p.swap()
		return
	}
	for l := range p.count * left {
		for i, from := range perm[l/left*n : (l/left+1)*n] {
			to, src := (l*n+i)*right, (l*n+from)*right
			copy(p.t[to:to+right], p.z[src:src+right])
		}
	}
	p.swap()
}

// slab is the part of tensors with indices from, ..., from+n-1 along a dimension: a row for each index in every one of count matrices, or a column for
// each in one matrix where there is no dimension after it.
type slab struct {
	columns           bool
	dim, from, n      int
	count, rows, cols int // of the matrices
}

func (p *productModes[T]) slab(mode, from, n int) slab {
	left, right := p.split(mode)
	if right == 1 {
		return slab{true, p.dims[mode], from, n, 1, left, n}
	}
	return slab{false, p.dims[mode], from, n, left, n, right}
}

// part returns matrix l of a slab of each tensor in x.
func (p *productModes[T]) part(s *slab, x []T, l int) engine.Batch[T] {
	b := engine.Batch[T]{Count: p.count, Rows: s.n, Cols: s.cols, Stride: s.cols, Step: p.size}
	from := (l*s.dim + s.from) * s.cols
	if s.columns {
		b.Rows, b.Cols, b.Stride, from = s.rows, s.n, s.dim, s.from
	}
	b.Data = x[from:]
	return b
}

// multiplyInto sets a slab of y to keep times what it was plus alpha op(a) times that of x, along its dimension; the matrices of a are square. x and y do not
// overlap.
func (p *productModes[T]) multiplyInto(op dense.Trans, a engine.Batch[T], s *slab, alpha T, x []T, keep T, y []T) {
	for l := range s.count {
		from, to := p.part(s, x, l), p.part(s, y, l)
		if s.columns {
			p.e.Gemm(dense.NoTrans, !op, alpha, from, a, keep, to)
		} else {
			p.e.Gemm(op, dense.NoTrans, alpha, a, from, keep, to)
		}
	}
}

// apply multiplies z by op(a) along a dimension.
func (p *productModes[T]) apply(op dense.Trans, a engine.Batch[T], mode int) {
	s := p.slab(mode, 0, a.Rows)
	p.multiplyInto(op, a, &s, 1, p.z, 0, p.t)
	p.swap()
}

// turn multiplies a slab of z by (I + r)^T along its dimension and leaves that of t undefined.
func (p *productModes[T]) turn(r engine.Batch[T], s *slab) {
	for l := range s.count {
		p.e.Copy(p.part(s, p.z, l), p.part(s, p.t, l))
	}
	p.multiplyInto(dense.Transposed, r, s, 1, p.t, 1, p.z)
}

// applyMember multiplies z by op(a) along a dimension.
func (p *productModes[T]) applyMember(op dense.Trans, a member[T], mode int) {
	s := p.slab(mode, 0, a.n)
	for l := range s.count {
		if s.columns {
			a.right(!op, p.part(&s, p.z, l), p.part(&s, p.t, l))
		} else {
			a.left(op, p.part(&s, p.z, l), p.part(&s, p.t, l))
		}
	}
	p.swap()
}

// gramMember adds c times the projections of the Gram matrices of z along a dimension to h.
func (p *productModes[T]) gramMember(c T, mode int, h member[T]) {
	s := p.slab(mode, 0, h.n)
	for l := range s.count {
		if s.columns {
			h.addColumnGram(c, p.part(&s, p.z, l))
		} else {
			h.addRowGram(c, p.part(&s, p.z, l))
		}
	}
}

// scale sets y to x multiplied along a dimension by a vector for each tensor, which lie one after the other in v; y may be x.
func (p *productModes[T]) scale(v []T, mode int, x, y []T) {
	s := p.slab(mode, 0, p.dims[mode])
	for l := range s.count {
		from, to := p.part(&s, x, l), p.part(&s, y, l)
		if s.columns {
			p.e.ScaleCols(v, from, 0, to)
		} else {
			p.e.ScaleRows(v, from, 0, to)
		}
	}
}

// copyTo sets dst to src.
func (p *productModes[T]) copyTo(dst, src []T) { p.e.Blend(1, src, 0, nil, dst) }

// squares returns the sum of the squares of z on the processor, also where it is beyond the range of T.
func (p *productModes[T]) squares() (sum float64) {
	low, _ := eigenRange[T]()
	if s := float64(dense.Dot(p.z, p.z)); s > low*low && !math.IsInf(s, 1) {
		return s
	}
	for _, v := range p.z {
		sum += float64(v) * float64(v)
	}
	return sum
}

// squaresOf finds it for each tensor.
func (p *productModes[T]) squaresOf(q *engine.Reckoning[T]) engine.Figure {
	if p.e != engine.CPU[T]() {
		return q.Tally(p.z).Squares
	}
	return q.Number(p.squares())
}

// multiply multiplies z by the vectors v along a dimension.
func (p *productModes[T]) multiply(v []T, mode int) { p.scale(v, mode, p.z, p.z) }

// gram adds c times the Gram matrices of z along a dimension to h.
func (p *productModes[T]) gram(c T, mode int, h engine.Batch[T]) {
	s := p.slab(mode, 0, h.Rows)
	for l := range s.count {
		z := p.part(&s, p.z, l)
		p.e.GemmSymmetric(dense.Trans(s.columns), dense.Trans(!s.columns), c, z, z, 1, h)
	}
}

// gramUpper adds c times the Gram matrices of a slab of x to the upper triangles of h; what is below is undefined.
func (p *productModes[T]) gramUpper(c T, x []T, s *slab, h engine.Batch[T]) {
	for l := range s.count {
		m := p.part(s, x, l)
		engine.GemmUpper(p.e, dense.Trans(s.columns), dense.Trans(!s.columns), c, m, m, 1, h)
	}
}
