package nnopt

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// partElements is the number of elements up to which a group takes in more of what a device works on in the same calls; wideElements is that of numbers in float64.
const (
	partElements = 1 << 26
	wideElements = partElements / 2
)

// fits says whether a group of count members, of so many elements each, takes in one more.
func fits(count, elements int) bool { return (count+1)*elements <= partElements }

// blank is count matrices without gaps, and without their memory.
func blank[T Float](count, rows, cols int) engine.Batch[T] {
	return engine.Batch[T]{Count: count, Rows: rows, Cols: cols, Stride: cols, Step: rows * cols}
}

// stacked returns count matrices without gaps.
func stacked[T Float](data []T, count, rows, cols int) engine.Batch[T] {
	b := blank[T](count, rows, cols)
	b.Data = data[:count*rows*cols]
	return b
}

// lines is count equal parts of x as rows.
func lines[T Float](x []T, count int) engine.Batch[T] { return stacked(x, count, 1, len(x)/count) }

// multiplyBy multiplies count equal parts of x by numbers in a register.
func multiplyBy[T Float](e engine.Backend[T], by []float64, x []T, count int) {
	parts := lines(x, count)
	e.BlendBy(by, parts, nil, engine.Batch[T]{}, parts)
}

// squares returns count matrices n x n without gaps.
func squares[T Float](data []T, count, n int) engine.Batch[T] { return stacked(data, count, n, n) }

// partOf is part k of count equal parts of x.
func partOf[E any](x []E, count, k int) []E {
	n := len(x) / count
	return x[k*n : (k+1)*n]
}

// tallied is what engine.Figures.Tally finds of each of several matrices: the sum of the squares, and the largest size, of the elements.
type tallied struct{ all, squares, tops []float64 }

// newTallied returns room for those of count matrices.
func newTallied[T Float](a *engine.Arena[T], count int) tallied {
	all := a.Doubles(3 * count)
	return tallied{all, partOf(all, 3, 1), partOf(all, 3, 2)}
}

// newtonSchulz makes the step B <- B - B (Q - I)/2 of bases of which q holds Q = B^T B; scratch and q are undefined afterwards.
func newtonSchulz[T Float](e engine.Backend[T], b, q, scratch engine.Batch[T]) {
	e.Combine(-1, 1, q, 0, q, q)
	e.Copy(b, scratch)
	e.Gemm(dense.NoTrans, dense.NoTrans, -0.5, scratch, q, 1, b)
}

// slotPlaces says where slots lie that groups have chosen a place for; a nil one has chosen none.
type slotPlaces[T Float] map[[2]string]slotPlace[T]

// slotPlace is the memory of a slot, one of the two.
type slotPlace[T Float] struct {
	data   []T
	narrow []engine.BFloat16
}

func (p slotPlaces[T]) put(block, name string, data []T) {
	p[[2]string{block, name}] = slotPlace[T]{data: data}
}

func (p slotPlaces[T]) putNarrow(block, name string, narrow []engine.BFloat16) {
	p[[2]string{block, name}] = slotPlace[T]{narrow: narrow}
}

// give gives a slot its memory, if it has a place.
func (p slotPlaces[T]) give(s *Slot[T]) bool {
	at, ok := p[[2]string{s.Block, s.Name}]
	s.Data, s.narrow = at.data, at.narrow
	return ok
}

// arrays are what a rule has for the elements of blocks: of one block on the processor, on a device of all that it works on, one after the other.
type arrays[T Float] struct {
	momentum, graft []T
	g, hat, out     []T // gradient, its filtered form, direction
}

// part is what belongs to a block of n elements from the one at on.
func (a *arrays[T]) part(at, n int) arrays[T] {
	cut := func(x []T) []T {
		if x == nil {
			return nil
		}
		return x[at : at+n]
	}
	return arrays[T]{cut(a.momentum), cut(a.graft), cut(a.g), cut(a.hat), cut(a.out)}
}

// moving returns the numbers of the blocks that are not frozen, those of one shape one after the other, and how many elements they have.
func moving[T Float](s *Settings, blocks []Block[T]) (order []int, elements int) {
	for k := range blocks {
		if b := &blocks[k]; !s.forBlock(b.Name).frozen {
			order, elements = append(order, k), elements+b.Len()
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(blocks[a].Rows, blocks[b].Rows), cmp.Compare(blocks[a].Cols, blocks[b].Cols))
	})
	return order, elements
}

// gathered is what a rule has on a device whose pieces of one shape, whichever block they belong to, are worked on in the same calls: the movers B of blocks, and
// the parts P that do the work.
type gathered[T Float, B, P any] struct {
	e      engine.Backend[T]
	arrays arrays[T]
	blocks map[string]B
	order  []B
	parts  []P
	keys   []string // of the parts
	slots  slotPlaces[T]
}

func newGathered[T Float, B, P any](e engine.Backend[T]) gathered[T, B, P] {
	return gathered[T, B, P]{e: e, blocks: map[string]B{}, slots: slotPlaces[T]{}}
}

// take adds the mover of a block.
func (w *gathered[T, B, P]) take(name string, s B) { w.blocks[name], w.order = s, append(w.order, s) }

// part returns one with room for a piece, a fresh one where there is none.
func (w *gathered[T, B, P]) part(own *piece, room func(P) bool, fresh func() P) P {
	key := fmt.Sprint(own.dims, own.excluded)
	for k, p := range w.parts {
		if w.keys[k] == key && room(p) {
			return p
		}
	}
	p := fresh()
	w.parts, w.keys = append(w.parts, p), append(w.keys, key)
	return p
}

// need is an array of a workspace: where it goes, and its length.
type need[T Float] struct {
	to *[]T
	n  int
}

// shareWork gives groups that are worked on one after the other one workspace: their first arrays are in the same memory, their second ones, and so on.
func shareWork[T Float](a *engine.Arena[T], groups ...[]need[T]) {
	var most []int
	for _, needs := range groups {
		for k, own := range needs {
			if k == len(most) {
				most = append(most, 0)
			}
			most[k] = max(most[k], own.n)
		}
	}
	for k, n := range most {
		all := a.Alloc(n)
		for _, needs := range groups {
			if k < len(needs) {
				*needs[k].to = all[:needs[k].n]
			}
		}
	}
}

// staging is what a mover of a block keeps of a step that others take on a device.
type staging[T Float] struct {
	at      int       // number of the block
	current *Block[T] // of the running step
	update  engine.Update
}

// prepare implements staged.
func (s *staging[T]) prepare(_ engine.Backend[T], b *Block[T], u engine.Update) {
	s.current, s.update = b, u
}
