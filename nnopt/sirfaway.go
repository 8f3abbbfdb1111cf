package nnopt

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/engine"
)

// sirfAway is structured inverse-free root-free Shampoo on a device: pieces of one shape, whichever block they belong to, are worked on in the same calls.
type sirfAway[T Float] struct {
	gathered[T, *sirfBlock[T], *sirfPart[T]]
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
	w := &sirfAway[T]{newGathered[T, *sirfBlock[T], *sirfPart[T]](e)}
	order, n := moving(&r.o.Settings, blocks)
	w.arrays = arrays[T]{momentum: a.Alloc(n), g: a.Alloc(n), out: a.Alloc(n)}
	at := 0
	for _, k := range order {
		b := &blocks[k]
		s := &sirfBlock[T]{rule: r, staging: staging[T]{at: k}, arrays: w.arrays.part(at, b.Len())}
		w.take(b.Name, s)
		w.slots.put(b.Name, "momentum", s.momentum)
		for i, p := range r.o.Shaping.pieces(b.Name, b.Rows, b.Cols) {
			w.partFor(&p).add(s, p, i, at)
		}
		at += b.Len()
	}
	var needs [][]need[T]
	for _, p := range w.parts {
		r.settlePart(p, e, a, func(size int) (factor, motion []T) { return a.Alloc(size), a.Alloc(size) })
		needs = append(needs, p.workspace())
	}
	shareWork(a, needs...)
	w.nameSlots(blocks)
	r.away = w
}

// partFor returns one with room for a piece.
func (w *sirfAway[T]) partFor(own *piece) *sirfPart[T] {
	return w.part(own, func(p *sirfPart[T]) bool {
		return fits(p.count, p.size)
	}, func() *sirfPart[T] {
		p := newSIRFPart[T](own.dims, own.excluded)
		p.of = &w.arrays
		return p
	})
}

// nameSlots says where the slots of the blocks are.
func (w *sirfAway[T]) nameSlots(blocks []Block[T]) {
	for _, p := range w.parts {
		for _, f := range p.factors {
			for k, own := range p.pieces {
				block, rest := blocks[own.of.at].Name, fmt.Sprintf("%d.%d", own.number, f.mode)
				w.slots.put(block, "factor"+rest, p.own(f.k.data, k))
				w.slots.put(block, "motion"+rest, p.own(f.m.data, k))
			}
		}
	}
}

// slot implements allotting.
func (r *sirfRule[T]) slot(s *Slot[T]) bool { return r.away != nil && r.away.slots.give(s) }

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
	w.e.Blend(T(r.o.Momentum), w.arrays.momentum, 1, w.arrays.out, w.arrays.momentum)
}
