package nnopt

import (
	"fmt"
	"path"
	"slices"

	"github.com/spdopt/spdopt/internal/engine"
)

// Tensor says that the blocks whose name matches are tensors of a shape; the product of the sizes must be that of the block.
type Tensor struct {
	Match string `json:"match"` // a pattern of path.Match
	Shape []int  `json:"shape"` // row-major
}

// Shaping says how a block becomes the tensors that get one factor for each dimension. A block is a matrix, or a vector when Rows or Cols is 1,
// unless Tensors says otherwise. In this order: dimensions of size 1 are dropped; adjacent dimensions are merged, the last ones first, while the
// product stays within MergeBelow and more than Order dimensions are left; dimensions above MaxDim are cut into as few pieces as fit, equal but
// for a vector of the processor, which are treated on their own. By default nothing is merged: a small matrix stays a matrix.
type Shaping struct {
	Tensors    []Tensor `json:"tensors,omitempty"`
	MergeBelow int      `json:"merge_below,omitempty"` // default 0, nothing is merged
	Order      int      `json:"order,omitempty"`       // default 2
	MaxDim     int      `json:"max_dim,omitempty"`     // default 1024, for Spectral 256
	Exclude    int      `json:"exclude,omitempty"`     // whole dimensions of at least this size get no factor, as the rows of embeddings; default 0, none
}

// Validate reports the first option that has a value that it cannot have.
func (s *Shaping) Validate() error {
	for i, t := range s.Tensors {
		name := fmt.Sprintf("shaping.tensors[%d]", i)
		if _, err := path.Match(t.Match, ""); err != nil || t.Match == "" {
			return option(name+".match", "is not a pattern: %q", t.Match)
		}
		if len(t.Shape) == 0 || slices.Min(t.Shape) < 1 {
			return option(name+".shape", "must be positive sizes, not %v", t.Shape)
		}
	}
	if min(s.MergeBelow, s.Order, s.MaxDim, s.Exclude) < 0 {
		return option("shaping", "must have no negative sizes")
	}
	return nil
}

// piece is a part of a block, a tensor of its own: element (i, j, ...) of it is element offset + i strides[0] + j strides[1] + ... of the block.
type piece struct {
	dims, strides []int
	excluded      []bool // dimensions without a factor
	offset        int
}

func (p *piece) size() int { return product(p.dims) }

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// mergeDims drops sizes of 1 and merges adjacent sizes from the last backwards while a product is at most limit and more than order are left.
func mergeDims(shape []int, limit, order int) []int {
	dims := slices.DeleteFunc(slices.Clone(shape), func(d int) bool { return d == 1 })
	if len(dims) == 0 {
		return []int{1}
	}
	for k := len(dims) - 2; k >= 0; k-- {
		if len(dims) > order && dims[k]*dims[k+1] <= limit {
			dims[k] *= dims[k+1]
			dims = slices.Delete(dims, k+1, k+2)
		}
	}
	return dims
}

// pieces returns the tensors that a block of n elements is made of.
func (s *Shaping) pieces(name string, rows, cols int) []piece {
	shape := []int{rows, cols}
	for _, t := range s.Tensors {
		if ok, _ := path.Match(t.Match, name); ok && product(t.Shape) == rows*cols {
			shape = t.Shape
			break
		}
	}
	order, most := s.Order, s.MaxDim
	if order == 0 {
		order = 2
	}
	if most == 0 {
		most = 1024
	}
	dims := mergeDims(shape, s.MergeBelow, order)
	all := []piece{{excluded: make([]bool, len(dims))}}
	for k, d := range dims {
		stride := product(dims[k+1:])
		excluded, cuts := s.Exclude > 0 && d >= s.Exclude, 1
		if !excluded {
			cuts = (d + most - 1) / most
		}
		var next []piece
		for _, p := range all {
			start := 0
			for cut := range cuts {
				size := share(d-start, cuts-cut, most)
				q := piece{append(slices.Clone(p.dims), size), append(slices.Clone(p.strides), stride), slices.Clone(p.excluded), p.offset + start*stride}
				q.excluded[k] = excluded
				next = append(next, q)
				start += size
			}
		}
		all = next
	}
	return all
}

// share returns the size of the first of parts equal parts of d elements, no more than most: rounded up to whole vectors unless parts are small.
func share(d, parts, most int) int {
	if parts == 1 {
		return d
	}
	const vector = 16
	size := (d + parts - 1) / parts
	if size >= 4*vector {
		size = (size + vector - 1) / vector * vector
	}
	return min(size, most)
}

// gather copies the elements of the piece from the block x to the contiguous dst.
func gather[T Float](e engine.Backend[T], p *piece, dst, x []T) {
	if packed, within, ok := viewed(p, dst, x); ok {
		e.Copy(within, packed)
		return
	}
	engine.Wait(e)
	transfer(p, p.offset, 0, dst, x, false)
}

// viewed returns the packed elements and those of the piece as matrices, where they are such.
func viewed[T Float](p *piece, packed, x []T) (a, b engine.Batch[T], ok bool) {
	k := len(p.dims)
	if k > 2 || p.strides[k-1] != 1 {
		return a, b, false
	}
	rows, cols, stride := 1, p.dims[k-1], p.dims[k-1]
	if k == 2 {
		rows, stride = p.dims[0], p.strides[0]
	}
	a = engine.Batch[T]{Count: 1, Rows: rows, Cols: cols, Stride: cols, Data: packed}
	return a, engine.Batch[T]{Count: 1, Rows: rows, Cols: cols, Stride: stride, Data: x[p.offset:]}, true
}

// scatter copies the contiguous src to the elements of the piece in the block x.
func scatter[T Float](e engine.Backend[T], p *piece, x, src []T) {
	if packed, within, ok := viewed(p, src, x); ok {
		e.Copy(packed, within)
		return
	}
	engine.Wait(e)
	transfer(p, p.offset, 0, src, x, true)
}

func transfer[T Float](p *piece, offset, k int, packed, x []T, out bool) {
	if k == len(p.dims)-1 {
		part := x[offset : offset+p.dims[k]]
		if out {
			copy(part, packed)
		} else {
			copy(packed, part)
		}
		return
	}
	inner := product(p.dims[k+1:])
	for i := range p.dims[k] {
		transfer(p, offset+i*p.strides[k], k+1, packed[i*inner:(i+1)*inner], x, out)
	}
}
