package nnopt

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/engine"
)

// shampooAway is Shampoo and EShampoo on a device: pieces of one shape, whichever block they belong to, are worked on in the same calls, and so are moments of one
// size. A refresh comes before the step, from the moments that the step is going to have, and leaves what it finds beside the bases: nothing that lasts moves
// before the last wait.
type shampooAway[T Float] struct {
	gathered[T, *shampooBlock[T], *shampooPart[T]]
	fine   wideGround
	groups []*momentGroup[T]
}

// foundBases is what a refresh has found for the tensors of a factor, until it is adopted.
type foundBases[T Float] struct {
	bases   engine.Batch[T] // at first the moments of the step
	outcome []refreshed
}

// refreshed says how a refresh of a moment ended.
type refreshed struct{ ok, moved, ordered bool } // it went through, with another basis, and with the columns in another order

// block returns the mover of a block, or nil where that goes alone.
func (w *shampooAway[T]) block(name string) *shampooBlock[T] {
	if w == nil {
		return nil
	}
	return w.blocks[name]
}

// allot implements allotting.
func (r *shampooRule[T]) allot(blocks []Block[T], e engine.Backend[T], a *engine.Arena[T]) {
	if r.away = nil; e == engine.CPU[T]() {
		return
	}
	w := &shampooAway[T]{gathered: newGathered[T, *shampooBlock[T], *shampooPart[T]](e), fine: wide(e)}
	order, n := moving(&r.settings, blocks)
	w.arrays = arrays[T]{momentum: a.Alloc(n), g: a.Alloc(n), hat: a.Alloc(n), out: a.Alloc(n)}
	if r.hasGraft() {
		w.arrays.graft = a.Alloc(n)
	}
	at := 0
	for _, k := range order {
		b := &blocks[k]
		s := &shampooBlock[T]{rule: r, staging: staging[T]{at: k}, arrays: w.arrays.part(at, b.Len())}
		w.take(b.Name, s)
		w.slots.put(b.Name, "momentum", s.momentum)
		if s.graft != nil {
			w.slots.put(b.Name, "graft", s.graft)
		}
		for _, p := range r.Shaping.pieces(b.Name, b.Rows, b.Cols) {
			w.partFor(&p).add(s, p, at)
		}
		at += b.Len()
	}
	var needs [][]need[T]
	for _, p := range w.parts {
		r.settlePart(w, p, a)
		needs = append(needs, p.workspace())
	}
	shareWork(a, needs...)
	for _, s := range w.order {
		r.nameSlots(w, s, blocks[s.at].Name)
	}
	for _, g := range w.groups {
		g.settle()
	}
	r.away = w
}

// partFor returns one with room for a piece.
func (w *shampooAway[T]) partFor(own *piece) *shampooPart[T] {
	return w.part(own, func(p *shampooPart[T]) bool {
		return fits(len(p.pieces), p.size)
	}, func() *shampooPart[T] {
		p := newShampooPart[T](own.dims, own.excluded, 0)
		p.e, p.of = engine.Fast(w.e), &w.arrays
		return p
	})
}

// settlePart takes the memory of a part, when it has all its pieces.
func (r *shampooRule[T]) settlePart(w *shampooAway[T], p *shampooPart[T], a *engine.Arena[T]) {
	p.count = len(p.pieces)
	if r.corrected {
		p.second = a.Alloc(p.count * p.size)
	}
	for i, n := range p.dims {
		if p.excluded[i] {
			continue
		}
		f, square := newMoments[T](i, n, p.count), func() engine.Batch[T] { return squares(a.Alloc(p.count*n*n), p.count, n) }
		f.l, f.diagonal = square(), a.Alloc(p.count*n)
		if r.formed() {
			f.root = square()
		} else {
			f.q = square()
		}
		if !r.corrected && !r.formed() {
			f.values = make([]T, p.count*n)
		}
		p.moments = append(p.moments, f)
		if k := len(p.moments) - 1; r.corrected || p.exponent(r, k) != 0 {
			f.found = &foundBases[T]{square(), make([]refreshed, p.count)}
			w.group(r, p, k).add(p, k)
		}
	}
	p.reckon(w.e, a)
}

// nameSlots says where the slots of a block are.
func (r *shampooRule[T]) nameSlots(w *shampooAway[T], s *shampooBlock[T], block string) {
	for k, at := range s.pieces {
		p := at.part
		if r.corrected {
			w.slots.put(block, fmt.Sprintf("second%d", k), p.own(p.second, at.k))
		}
		for _, f := range p.moments {
			for name, data := range map[string][]T{"moment": f.l.Data, "basis": f.q.Data, "root": f.root.Data, "values": f.values} {
				if data != nil {
					w.slots.put(block, fmt.Sprintf("%s%d.%d", name, k, f.mode), p.own(data, at.k))
				}
			}
		}
	}
}

// slot implements allotting.
func (r *shampooRule[T]) slot(s *Slot[T]) bool { return r.away != nil && r.away.slots.give(s) }

// ahead implements foreseeing.
func (r *shampooRule[T]) ahead(blocks []Block[T], updates []engine.Update) {
	w := r.away
	if !r.refreshes(r.step) {
		return
	}
	for _, s := range w.order {
		enter(w.e, s.g, &blocks[s.at], updates[s.at])
	}
	for _, p := range w.parts {
		p.prepare(r)
		for k, f := range p.moments {
			if p.due(r, k) {
				p.learn(r, k, f.found.bases)
				if r.TraceScaling {
					f.trace(p.e, p.figures, f.found.bases)
				}
			}
		}
	}
	var routines []func(pause func())
	for _, g := range w.groups {
		routines = append(routines, func(pause func()) { g.refresh(r, pause) })
	}
	inStep(func() { engine.Wait(w.e) }, routines)
}

// together implements gathering.
func (r *shampooRule[T]) together() {
	w := r.away
	for _, s := range w.order {
		enter(w.e, s.g, s.current, s.update)
		s.current = nil
	}
	r.observe(w.e, &w.arrays)
	for _, p := range w.parts {
		p.observe(r)
		for k := range p.moments {
			if p.due(r, k) {
				p.adopt(r, k)
			}
		}
		p.step(r)
	}
}

// adopt takes over what a refresh has found for a factor.
func (p *shampooPart[T]) adopt(r *shampooRule[T], k int) {
	f, all, ordered := p.moments[k], true, false
	for i, done := range f.found.outcome {
		p.pieces[i].failed = p.pieces[i].failed || !done.ok
		all, ordered = all && done.moved, ordered || done.ordered
		if done.ok && f.values != nil {
			for j, v := range partOf(f.lambda, p.count, i) {
				f.values[i*f.n+j] = T(v)
			}
		}
	}
	to := f.q.Data
	if r.formed() {
		to = f.root.Data
	}
	if all {
		p.copyTo(to, f.found.bases.Data)
	} else {
		for i, done := range f.found.outcome {
			if done.moved {
				p.copyTo(p.own(to, i), p.own(f.found.bases.Data, i))
			}
		}
	}
	if ordered {
		p.follow(r, f)
	}
}
