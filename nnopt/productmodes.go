package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// productModes is a tensor, and the workspace to multiply it along its dimensions.
type productModes[T Float] struct {
	e       engine.Backend[T] // its products may be rounded
	dims    []int
	z, t    []T
	swapped bool // z and t are not in the places that they had at first
}

// swap exchanges z and t.
func (p *productModes[T]) swap() { p.z, p.t, p.swapped = p.t, p.z, !p.swapped }

// rewind brings z and t back to their places, so that steps are the same work. What they hold is lost.
func (p *productModes[T]) rewind() {
	if p.swapped {
		p.swap()
	}
}

// split returns the number of elements before and after dimension mode.
func (p *productModes[T]) split(mode int) (left, right int) {
	return product(p.dims[:mode]), product(p.dims[mode+1:])
}

// permute brings z into the order in which index i of a dimension is what was index perm[i].
func (p *productModes[T]) permute(perm []int, mode int) {
	left, right := p.split(mode)
	if p.e != engine.CPU[T]() {
		index := make([]int32, 0, left*len(perm))
		for l := range left {
			for _, from := range perm {
				index = append(index, int32(l*len(perm)+from))
			}
		}
		p.e.Gather(dense.Wrap(len(index), right, p.z), index, dense.Wrap(len(index), right, p.t))
		p.swap()
		return
	}
	for l := range left {
		for i, from := range perm {
			to, src := (l*len(perm)+i)*right, (l*len(perm)+from)*right
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

// part returns matrix l of a slab of x.
func part[T Float](s *slab, x []T, l int) dense.Matrix[T] {
	if s.columns {
		return dense.Matrix[T]{Rows: s.rows, Cols: s.n, Stride: s.dim, Data: x[s.from : (s.rows-1)*s.dim+s.from+s.n]}
	}
	first := (l*s.dim + s.from) * s.cols
	return dense.Wrap(s.n, s.cols, x[first:first+s.n*s.cols])
}

// multiplyInto sets a slab of y to keep times what it was plus alpha op(a) times that of x, along its dimension; a is square. x and y do not overlap.
func (p *productModes[T]) multiplyInto(op dense.Trans, a dense.Matrix[T], s *slab, alpha T, x []T, keep T, y []T) {
	for l := range s.count {
		from, to := engine.One(part(s, x, l)), engine.One(part(s, y, l))
		if s.columns {
			p.e.Gemm(dense.NoTrans, !op, alpha, from, engine.One(a), keep, to)
		} else {
			p.e.Gemm(op, dense.NoTrans, alpha, engine.One(a), from, keep, to)
		}
	}
}

// apply multiplies z by op(a) along a dimension.
func (p *productModes[T]) apply(op dense.Trans, a dense.Matrix[T], mode int) {
	s := p.slab(mode, 0, a.Rows)
	p.multiplyInto(op, a, &s, 1, p.z, 0, p.t)
	p.swap()
}

// turn multiplies a slab of z by (I + r)^T along its dimension and leaves that of t undefined.
func (p *productModes[T]) turn(r dense.Matrix[T], s *slab) {
	for l := range s.count {
		p.e.Copy(engine.One(part(s, p.z, l)), engine.One(part(s, p.t, l)))
	}
	p.multiplyInto(dense.Transposed, r, s, 1, p.t, 1, p.z)
}

// applyMember multiplies z by op(a) along a dimension.
func (p *productModes[T]) applyMember(op dense.Trans, a member[T], mode int) {
	left, right := p.split(mode)
	if right == 1 {
		a.right(!op, dense.Wrap(left, a.n, p.z), dense.Wrap(left, a.n, p.t))
	} else {
		step := a.n * right
		for l := range left {
			a.left(op, dense.Wrap(a.n, right, p.z[l*step:(l+1)*step]), dense.Wrap(a.n, right, p.t[l*step:(l+1)*step]))
		}
	}
	p.swap()
}

// gramMember adds c times the projection of the Gram matrix of z along a dimension to h.
func (p *productModes[T]) gramMember(c T, mode int, h member[T]) {
	left, right := p.split(mode)
	if right == 1 {
		h.addColumnGram(c, dense.Wrap(left, h.n, p.z))
		return
	}
	step := h.n * right
	for l := range left {
		h.addRowGram(c, dense.Wrap(h.n, right, p.z[l*step:(l+1)*step]))
	}
}

// scale sets y to x multiplied by the vector v along a dimension; y may be x.
func (p *productModes[T]) scale(v []T, mode int, x, y []T) {
	s := p.slab(mode, 0, len(v))
	for l := range s.count {
		from, to := engine.One(part(&s, x, l)), engine.One(part(&s, y, l))
		if s.columns {
			p.e.ScaleCols(v, from, 0, to)
		} else {
			p.e.ScaleRows(v, from, 0, to)
		}
	}
}

// copyTo sets dst to src.
func (p *productModes[T]) copyTo(dst, src []T) { p.e.Blend(1, src, 0, nil, dst) }

// squares returns the sum of the squares of z, also where it is beyond the range of T.
func (p *productModes[T]) squares() (sum float64) {
	if p.e != engine.CPU[T]() {
		sum, _ = p.e.SumSquares(p.z)
		return sum
	}
	low, _ := eigenRange[T]()
	if s := float64(dense.Dot(p.z, p.z)); s > low*low && !math.IsInf(s, 1) {
		return s
	}
	for _, v := range p.z {
		sum += float64(v) * float64(v)
	}
	return sum
}

// squaresOf finds it.
func (p *productModes[T]) squaresOf(q *engine.Reckoning[T]) engine.Figure {
	if p.e != engine.CPU[T]() {
		return q.Tally(p.z).Squares
	}
	return q.Number(p.squares())
}

// multiply multiplies z by the vector v along a dimension.
func (p *productModes[T]) multiply(v []T, mode int) { p.scale(v, mode, p.z, p.z) }

// gram adds c times the Gram matrix of z along a dimension to h.
func (p *productModes[T]) gram(c T, mode int, h dense.Matrix[T]) {
	s := p.slab(mode, 0, h.Rows)
	for l := range s.count {
		z := engine.One(part(&s, p.z, l))
		p.e.GemmSymmetric(dense.Trans(s.columns), dense.Trans(!s.columns), c, z, z, 1, engine.One(h))
	}
}

// gramUpper adds c times the Gram matrix of a slab of x to the upper triangle of h; what is below is undefined.
func (p *productModes[T]) gramUpper(c T, x []T, s *slab, h dense.Matrix[T]) {
	for l := range s.count {
		m := engine.One(part(s, x, l))
		engine.GemmUpper(p.e, dense.Trans(s.columns), dense.Trans(!s.columns), c, m, m, 1, engine.One(h))
	}
}

// place implements placed for what multiplies tensors by factors.
func (p *productModes[T]) place(e engine.Backend[T], a *engine.Arena[T]) {
	p.e, p.z, p.t, p.swapped = engine.Fast(e), a.Alloc(len(p.z)), a.Alloc(len(p.t)), false
}
