package nnopt

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/engine"
)

// sirfAway is structured inverse-free root-free Shampoo on a device: pieces of one shape, whichever block they belong to, are worked on in the same calls.
type sirfAway[T Float] struct {
	e      engine.Backend[T]
	blocks map[string]*sirfBlock[T]
	order  []*sirfBlock[T]
	parts  []*sirfPart[T]
	keys   []string // of the parts
	slots  map[string][]T
}

// block returns the mover of a block, or nil where that goes alone.
func (w *sirfAway[T]) block(name string) *sirfBlock[T] {
	if w == nil {
		return nil
	}
	return w.blocks[name]
}

// allot implements allotting.
func (r *sirfRule[T]) allot(blocks []Block[T], e engine.Backend[T], a *engine.Arena[T]) {
	if r.away = nil; e == engine.CPU[T]() {
		return
	}
	w := &sirfAway[T]{e: e, blocks: map[string]*sirfBlock[T]{}, slots: map[string][]T{}}
	for k := range blocks {
		b := &blocks[k]
		if r.o.Settings.forBlock(b.Name).frozen {
			continue
		}
		s := &sirfBlock[T]{rule: r, at: k, g: a.Alloc(b.Len()), out: a.Alloc(b.Len())}
		w.blocks[b.Name], w.order = s, append(w.order, s)
		for i, p := range r.o.Shaping.pieces(b.Name, b.Rows, b.Cols) {
			w.part(p).add(s, p, i)
		}
	}
	most := 0
	for _, p := range w.parts {
		r.settlePart(p, e, a, func(size int) (factor, motion []T) { return a.Alloc(size), a.Alloc(size) })
		most = max(most, p.count*p.size)
	}
	z, t := a.Alloc(most), a.Alloc(most)
	for _, p := range w.parts {
		p.z, p.t = z[:p.count*p.size], t[:p.count*p.size]
	}
	w.nameSlots(blocks)
	r.away = w
}

// part returns one with room for a piece.
func (w *sirfAway[T]) part(own piece) *sirfPart[T] {
	key := fmt.Sprint(own.dims, own.excluded)
	for k, p := range w.parts {
		more := p.count + 1
		if w.keys[k] == key && more*p.size <= partElements && more*sirfFigures(len(p.dims)) <= engine.MostRegisters {
			return p
		}
	}
	p := newSIRFPart[T](own.dims, own.excluded)
	w.parts, w.keys = append(w.parts, p), append(w.keys, key)
	return p
}

// nameSlots says where the slots of the blocks are.
func (w *sirfAway[T]) nameSlots(blocks []Block[T]) {
	for _, p := range w.parts {
		for _, f := range p.factors {
			for k, own := range p.pieces {
				block, rest := blocks[own.of.at].Name, fmt.Sprintf("%d.%d", own.number, f.mode)
				w.slots[block+"/factor"+rest], w.slots[block+"/motion"+rest] = p.own(f.k.data, k), p.own(f.m.data, k)
			}
		}
	}
}

// slot implements allotting.
func (r *sirfRule[T]) slot(s *Slot[T]) bool {
	if r.away != nil {
		s.Data = r.away.slots[s.Block+"/"+s.Name]
	}
	return s.Data != nil
}

// prepare implements staged.
func (s *sirfBlock[T]) prepare(_ engine.Backend[T], b *Block[T], u engine.Update) {
	s.current, s.update = b, u
}

// together implements gathering.
func (r *sirfRule[T]) together() {
	w := r.away
	for _, s := range w.order {
		enter(w.e, s.g, s.current, s.update)
		s.current = nil
	}
	for _, p := range w.parts {
		p.step(r)
	}
}
