package nnopt

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/engine"
)

// shampooAway is Shampoo and EShampoo on a device: pieces of one shape, whichever block they belong to, are worked on in the same calls, and so are moments of one
// size. A refresh comes before the step, from the moments that the step is going to have, and leaves what it finds beside the bases: nothing that lasts moves
// before the last wait.
type shampooAway[T Float] struct {
	e      engine.Backend[T]
	fine   wideGround
	blocks map[string]*shampooBlock[T]
	order  []*shampooBlock[T]
	parts  []*shampooPart[T]
	keys   []string // of the parts
	slots  map[string][]T
	groups []*momentGroup[T]
}

// foundBases is what a refresh has found for the tensors of a factor, until it is adopted.
type foundBases[T Float] struct {
	bases   engine.Batch[T] // at first the moments of the step
	outcome []refreshed
}

// refreshed says how a refresh of a moment ended.
type refreshed struct{ ok, moved, ordered bool } // it went through, with another basis, and with the columns in another order

// partElements is the number of elements up to which a part takes in one more piece.
const partElements = 1 << 26

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
	w := &shampooAway[T]{e: e, fine: wide(e), blocks: map[string]*shampooBlock[T]{}, slots: map[string][]T{}}
	for k := range blocks {
		b := &blocks[k]
		if r.settings.forBlock(b.Name).frozen {
			continue
		}
		s := &shampooBlock[T]{rule: r, at: k, g: a.Alloc(b.Len()), hat: a.Alloc(b.Len()), out: a.Alloc(b.Len())}
		w.blocks[b.Name], w.order = s, append(w.order, s)
		for _, p := range r.Shaping.pieces(b.Name, b.Rows, b.Cols) {
			w.part(p).add(s, p)
		}
	}
	most := 0
	for _, p := range w.parts {
		r.settlePart(w, p, a)
		most = max(most, p.count*p.size)
	}
	z, t := a.Alloc(most), a.Alloc(most)
	for _, p := range w.parts {
		p.z, p.t = z[:p.count*p.size], t[:p.count*p.size]
	}
	for k := range w.order {
		r.nameSlots(w, w.order[k], blocks[w.order[k].at].Name)
	}
	r.away = w
}

// part returns one with room for a piece.
func (w *shampooAway[T]) part(own piece) *shampooPart[T] {
	key := fmt.Sprint(own.dims, own.excluded)
	for k, p := range w.parts {
		if w.keys[k] == key && (len(p.pieces)+1)*p.size <= partElements {
			return p
		}
	}
	p := newShampooPart[T](own.dims, own.excluded, 0)
	p.e = engine.Fast(w.e)
	w.parts, w.keys = append(w.parts, p), append(w.keys, key)
	return p
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
			w.slots[fmt.Sprintf("%s/second%d", block, k)] = p.own(p.second, at.k)
		}
		for _, f := range p.moments {
			for name, data := range map[string][]T{"moment": f.l.Data, "basis": f.q.Data, "root": f.root.Data, "values": f.values} {
				if data != nil {
					w.slots[fmt.Sprintf("%s/%s%d.%d", block, name, k, f.mode)] = p.own(data, at.k)
				}
			}
		}
	}
}

// slot implements allotting.
func (r *shampooRule[T]) slot(s *Slot[T]) bool {
	if r.away != nil {
		s.Data = r.away.slots[s.Block+"/"+s.Name]
	}
	return s.Data != nil
}

// settle implements grounded: the groups take the memory of a refresh.
func (r *shampooRule[T]) settle(_ engine.Backend[T], _ *engine.Arena[T]) {
	if r.away != nil {
		for _, g := range r.away.groups {
			g.settle()
		}
	}
}

// prepare implements staged.
func (s *shampooBlock[T]) prepare(_ engine.Backend[T], b *Block[T], u engine.Update) {
	s.current, s.update = b, u
}

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
		s.observe(w.e, s.current, s.update)
		s.current = nil
	}
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
			for j, v := range p.own64(f.lambda, i) {
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

// own64 is own of numbers in float64.
func (p *shampooPart[T]) own64(x []float64, k int) []float64 {
	n := len(x) / len(p.pieces)
	return x[k*n : (k+1)*n]
}
