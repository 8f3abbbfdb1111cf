package nnopt

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// spectralSizes are the largest that any block needs.
type spectralSizes struct{ block, piece, order, n, cayley int }

// spectralWork is the workspace of one block at a time. Blocks share as many as move at the same time.
type spectralWork[T Float] struct {
	sizes         spectralSizes
	in, out       []T   // of a block
	z, t, g, wide []T   // of a piece; wide is its momentum where that is stored in bfloat16
	m             [][]T // of a factor, where what is off the diagonal does not last or is stored in bfloat16
	turn          *turnWork[T]
}

// include makes the workspaces to come large enough for a block of so many elements.
func (r *spectralRule[T]) include(block int, parts []spectralPart[T]) {
	s := &r.most
	s.block = max(s.block, block)
	for k := range parts {
		p := &parts[k]
		s.piece, s.order = max(s.piece, p.piece.size()), max(s.order, len(p.factors))
		for _, f := range p.factors {
			s.n, s.cayley = max(s.n, f.n), max(s.cayley, dense.CayleyWork(f.n))
		}
	}
}

// take returns a workspace, a new one only when all others are in use.
func (r *spectralRule[T]) take() *spectralWork[T] {
	for {
		select {
		case w := <-r.free:
			if w.sizes == r.most {
				return w
			}
		default:
			return r.newWork()
		}
	}
}

func (r *spectralRule[T]) put(w *spectralWork[T]) {
	select {
	case r.free <- w:
	default:
	}
}

func (r *spectralRule[T]) newWork() *spectralWork[T] {
	s := r.most
	w := &spectralWork[T]{
		sizes: s, in: r.memory.Alloc(s.block), out: r.memory.Alloc(s.block), z: r.memory.Alloc(s.piece), t: r.memory.Alloc(s.piece), g: r.memory.Alloc(s.piece),
		m: make([][]T, s.order), turn: newTurnWork(r.memory, s.n, s.cayley),
	}
	if r.o.BFloat16 {
		w.wide = r.memory.Alloc(s.piece)
	}
	if r.o.BFloat16 || !r.keepsCoupling() {
		for k := range w.m {
			w.m[k] = r.memory.Alloc(s.n * s.n)
		}
	}
	return w
}

// bind gives the piece a workspace for a step.
func (p *spectralPart[T]) bind(w *spectralWork[T]) {
	n := p.piece.size()
	p.z, p.t, p.g = w.z[:n], w.t[:n], w.g[:n]
	if p.narrow != nil {
		p.momentum = w.wide[:n]
	}
	for k, f := range p.factors {
		f.bind(w.turn)
		if f.lasts {
			continue
		}
		f.m = dense.Wrap(f.n, f.n, w.m[k][:f.n*f.n])
		if f.narrow == nil {
			f.e.Blend(0, nil, 0, nil, f.m.Data)
		}
	}
}

// load fetches what is stored in bfloat16.
func (p *spectralPart[T]) load(e engine.Backend[T]) {
	if p.narrow == nil {
		return
	}
	e.Widen(p.narrow, p.momentum)
	for _, f := range p.factors {
		if f.narrow != nil {
			e.Widen(f.narrow, f.m.Data)
		}
	}
}

// store rounds it and puts it back.
func (p *spectralPart[T]) store(e engine.Backend[T]) {
	if p.narrow == nil {
		return
	}
	e.Narrow(p.momentum, p.narrow)
	for _, f := range p.factors {
		if f.narrow != nil {
			e.Narrow(f.m.Data, f.narrow)
		}
	}
}
