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
// product stays within MergeBelow and more than Order dimensions are left; dimensions above MaxDim are cut into as few parts as fit, equal but for a
// vector of the processor. What the parts make of a block are pieces, which are treated on their own; Spectral keeps the block whole, and the factor of a
// dimension that is cut is block-diagonal. By default nothing is merged: a small matrix stays a matrix.
type Shaping struct {
	Tensors    []Tensor `json:"tensors,omitempty"`
	MergeBelow int      `json:"merge_below,omitempty"` // default 0, nothing is merged
	Order      int      `json:"order,omitempty"`       // default 2
	MaxDim     int      `json:"max_dim,omitempty"`     // default 1024, for Spectral 128
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
	levels        []level // dims and strides, those that follow each other without a gap as one
}

type level struct{ n, stride int }

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

// tensor returns the tensor that a block is, and which of its dimensions have no factor.
func (s *Shaping) tensor(name string, rows, cols int) (dims []int, excluded []bool) {
	shape := []int{rows, cols}
	for _, t := range s.Tensors {
		if ok, _ := path.Match(t.Match, name); ok && product(t.Shape) == rows*cols {
			shape = t.Shape
			break
		}
	}
	order := s.Order
	if order == 0 {
		order = 2
	}
	dims = mergeDims(shape, s.MergeBelow, order)
	for _, d := range dims {
		excluded = append(excluded, s.Exclude > 0 && d >= s.Exclude)
	}
	return dims, excluded
}

// cuts returns the sizes of the parts of a dimension that has a factor.
func (s *Shaping) cuts(d int) (sizes []int) {
	most := s.MaxDim
	if most == 0 {
		most = 1024
	}
	for parts := (d + most - 1) / most; parts > 0; parts-- {
		size := share(d, parts, most)
		sizes = append(sizes, size)
		d -= size
	}
	return sizes
}

// pieces returns the tensors that a block is made of.
func (s *Shaping) pieces(name string, rows, cols int) []piece {
	dims, excluded := s.tensor(name, rows, cols)
	all := []piece{{excluded: excluded}}
	for k, d := range dims {
		stride, sizes := product(dims[k+1:]), []int{d}
		if !excluded[k] {
			sizes = s.cuts(d)
		}
		var next []piece
		for _, p := range all {
			start := 0
			for _, size := range sizes {
				next = append(next, piece{append(slices.Clone(p.dims), size), append(slices.Clone(p.strides), stride), excluded, p.offset + start*stride, nil})
				start += size
			}
		}
		all = next
	}
	for k := range all {
		all[k].merge()
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

// merge sets levels.
func (p *piece) merge() {
	for k, n := range p.dims {
		if last := len(p.levels) - 1; last >= 0 && p.levels[last].stride == n*p.strides[k] {
			p.levels[last] = level{p.levels[last].n * n, p.strides[k]}
		} else {
			p.levels = append(p.levels, level{n, p.strides[k]})
		}
	}
}

// layout says where pieces of one size are, in arrays that hold one block after the other.
type layout []stretch

// stretch is pieces that are alike, at equal distances.
type stretch struct {
	at, count  int // the first of them, and how many
	from, step int // where that begins, and the distance
	own, all   []level
}

// add adds a piece of the block that begins at an element.
func (l *layout) add(p *piece, begin int) {
	from, at := begin+p.offset, 0
	if n := len(*l); n > 0 {
		s := &(*l)[n-1]
		step := from - s.from - (s.count-1)*s.step
		if slices.Equal(s.own, p.levels) && step > 0 && (s.count == 1 || step == s.step) {
			s.count, s.step = s.count+1, step
			s.all = append([]level{{s.count, step}}, s.own...)
			return
		}
		at = s.at + s.count
	}
	*l = append(*l, stretch{at: at, count: 1, from: from, own: p.levels, all: p.levels})
}

// gather copies the elements of the pieces from x to dst, one piece after the other.
func gather[T Float](e engine.Backend[T], l layout, size int, dst, x []T) {
	for i := range l {
		s := &l[i]
		transfer(e, s.all, dst[s.at*size:(s.at+s.count)*size], x[s.from:], false)
	}
}

// scatter copies what gather has gathered back.
func scatter[T Float](e engine.Backend[T], l layout, size int, x, src []T) {
	for i := range l {
		s := &l[i]
		transfer(e, s.all, src[s.at*size:(s.at+s.count)*size], x[s.from:], true)
	}
}

// transfer copies between packed elements and those at the given levels of x, three levels in a call.
func transfer[T Float](e engine.Backend[T], levels []level, packed, x []T, out bool) {
	const most = 3
	size := 1
	for _, l := range levels[1:] {
		size *= l.n
	}
	if len(levels) > most {
		for i := range levels[0].n {
			transfer(e, levels[1:], packed[i*size:(i+1)*size], x[i*levels[0].stride:], out)
		}
		return
	}
	var l [most]level // the last ones, with levels of one element before them
	for k := range l {
		l[k] = level{1, 0}
	}
	copy(l[most-len(levels):], levels)
	cols := l[2].n
	own := engine.Batch[T]{Count: l[0].n, Rows: l[1].n, Cols: cols, Stride: cols, Step: l[1].n * cols, Data: packed}
	within := engine.Batch[T]{Count: l[0].n, Rows: l[1].n, Cols: cols, Stride: max(l[1].stride, cols), Step: l[0].stride, Data: x}
	if out {
		e.Copy(own, within)
	} else {
		e.Copy(within, own)
	}
}
