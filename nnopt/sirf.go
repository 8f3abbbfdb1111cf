package nnopt

import (
	"cmp"
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// SIRFShampoo are the options of structured inverse-free root-free Shampoo (Lin et al., arXiv:2402.03496): for dimension k of size d_k a factor K_k, from
// the identity, such that the product of the K_k K_k^T is the inverse of the averaged outer product of gradients plus damping. With B the batch size
// (StepInfo.BatchSize; 1 where unknown) and X the gradient times K_k^T along every dimension, every Interval steps
//
//	M_k = 1/2 [ B X_k X_k^T/prod_(j != k) d_j + Damping prod_(j != k) (tr K_j^T K_j/d_j) K_k^T K_k - I ], projected on the structure,
//	m_k <- Alpha2 m_k + (1-Alpha2) M_k,  K_k <- K_k - Beta2/max(1, ||m_k||_F) K_k m_k,
//
// and the step is a heavy ball on the gradient times K_k K_k^T along every dimension, plus Decay W. Only products of matrices are needed, and of a factor only the
// numbers of its structure are kept.
type SIRFShampoo struct {
	Settings             // LR defaults to 0.001
	Shaping    Shaping   `json:"shaping,omitzero"`
	Momentum   float64   `json:"momentum,omitempty"`    // default 0.9
	NoMomentum bool      `json:"no_momentum,omitempty"` // Momentum 0
	Beta2      float64   `json:"beta2,omitempty"`       // step of the factors; default 0.01
	Alpha2     float64   `json:"alpha2,omitempty"`      // momentum of the factors; default 0.5
	Damping    float64   `json:"damping,omitempty"`     // default 0.001
	Interval   int       `json:"interval,omitempty"`    // default 1
	Structure  Structure `json:"structure,omitempty"`   // default dense
	Sizes      [2]int    `json:"sizes,omitzero"`        // of blocks (default 30), or of the first and last part of hierarchical (default 15, 15)
}

// Validate reports the first option that has a value that it cannot have.
func (o *SIRFShampoo) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	if err := o.Shaping.Validate(); err != nil {
		return err
	}
	if o.NoMomentum && o.Momentum != 0 {
		return option("no_momentum", "contradicts momentum")
	}
	for _, c := range []struct {
		name  string
		value float64
	}{{"momentum", o.Momentum}, {"beta2", o.Beta2}, {"alpha2", o.Alpha2}} {
		if err := below(c.name, c.value); err != nil {
			return err
		}
	}
	if err := validateStructure("structure", o.Structure, o.Sizes); err != nil {
		return err
	}
	if o.Interval < 0 {
		return option("interval", "must not be negative")
	}
	return notNegative("damping", o.Damping)
}

// NewSIRFShampoo returns structured inverse-free root-free Shampoo. For an m x n matrix it keeps m n + 2 m^2 + 2 n^2 numbers, with
// diagonal factors m n + 2 m + 2 n.
func NewSIRFShampoo[T Float](o SIRFShampoo) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR, o.Momentum, o.Beta2 = cmp.Or(o.LR, 1e-3), cmp.Or(o.Momentum, 0.9), cmp.Or(o.Beta2, 0.01)
	o.Alpha2, o.Damping, o.Interval = cmp.Or(o.Alpha2, 0.5), cmp.Or(o.Damping, 1e-3), max(o.Interval, 1)
	if o.NoMomentum {
		o.Momentum = 0
	}
	return newStepper("sirf-shampoo", o.Settings, rule[T](&sirfRule[T]{o: o, structure: newStructured(o.Structure, o.Sizes)}))
}

type sirfRule[T Float] struct {
	o         SIRFShampoo
	structure structured
	step      int
	batch     float64
	away      *sirfAway[T] // on a device
}

func (r *sirfRule[T]) counters() []counter { return nil }

func (r *sirfRule[T]) begin(t int, _ float64, batch int) { r.step, r.batch = t, float64(max(batch, 1)) }

func (r *sirfRule[T]) slots(b *Block[T]) []slotShape {
	all := like(b, "momentum")
	for k, p := range r.o.Shaping.pieces(b.Name, b.Rows, b.Cols) {
		for i, n := range p.dims {
			if !p.excluded[i] {
				shape := r.structure.pattern(n)
				all = append(all, shape.slot(fmt.Sprintf("factor%d.%d", k, i)), shape.slot(fmt.Sprintf("motion%d.%d", k, i)))
			}
		}
	}
	return all
}

func (r *sirfRule[T]) start(*Block[T], []Slot[T]) {}

func (r *sirfRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	if s := r.away.block(b.Name); s != nil {
		s.momentum = slots[0].Data
		return s
	}
	s := &sirfBlock[T]{rule: r, arrays: arrays[T]{momentum: slots[0].Data, g: make([]T, b.Len()), out: make([]T, b.Len())}}
	rest := slots[1:]
	for i, p := range r.o.Shaping.pieces(b.Name, b.Rows, b.Cols) {
		part := newSIRFPart[T](p.dims, p.excluded)
		part.of = &s.arrays
		part.add(s, p, i, 0)
		r.settlePart(part, part.e, nil, func(int) (factor, motion []T) {
			factor, motion, rest = rest[0].Data, rest[1].Data, rest[2:]
			return factor, motion
		})
		part.z, part.t = make([]T, p.size()), make([]T, p.size())
		s.parts = append(s.parts, part)
	}
	return s
}

// sirfBlock moves one block.
type sirfBlock[T Float] struct {
	rule *sirfRule[T]
	arrays[T]
	parts      []*sirfPart[T] // on the processor
	staging[T]                // on a device
}

func (s *sirfBlock[T]) move(e engine.Backend[T], b *Block[T], _ []Slot[T], u engine.Update) {
	if s.rule.away == nil {
		enter(e, s.g, b, u)
		for _, p := range s.parts {
			p.step(s.rule)
		}
		e.Blend(T(s.rule.o.Momentum), s.momentum, 1, s.out, s.momentum)
	}
	e.Blend(1, s.momentum, T(inside(u)), b.Value, s.momentum)
	e.Blend(1, b.Value, -T(u.LR), s.momentum, b.Value)
}

// sirfPart is the factors of pieces of one shape: one piece on the processor, on a device all that have this shape.
type sirfPart[T Float] struct {
	productModes[T]
	excluded []bool
	of       *arrays[T] // with the blocks
	layout   layout
	pieces   []sirfPiece[T]
	factors  []*movingFactor[T]
	figures  *engine.Reckoning[T]

	ok, keep, take engine.Figure // whether the statistics are of use, and what the momenta and they are multiplied by
}

// sirfPiece is a piece of a block, one of the tensors of a part.
type sirfPiece[T Float] struct {
	piece
	of     *sirfBlock[T]
	number int // among those of the block
}

// newSIRFPart returns one of no pieces, on the processor, without memory.
func newSIRFPart[T Float](dims []int, excluded []bool) *sirfPart[T] {
	return &sirfPart[T]{productModes: newProductModes[T](dims, 0), excluded: excluded}
}

// add adds a piece of a block that begins at an element of the arrays.
func (p *sirfPart[T]) add(s *sirfBlock[T], own piece, number, begin int) {
	p.count++
	p.layout.add(&own, begin)
	p.pieces = append(p.pieces, sirfPiece[T]{own, s, number})
}

// settlePart takes the memory of a part but for its tensors, when it has all its pieces; slots returns that of the factors and momenta of a size.
func (r *sirfRule[T]) settlePart(p *sirfPart[T], e engine.Backend[T], a *engine.Arena[T], slots func(size int) (factor, motion []T)) {
	p.e = engine.Fast(e)
	for i, n := range p.dims {
		if p.excluded[i] {
			continue
		}
		shape := r.structure.pattern(n)
		k, m := slots(p.count * shape.size)
		f := newMovingFactor(i, shape, p.count, k, m)
		if e != engine.CPU[T]() {
			f.place(e, a)
		}
		p.factors = append(p.factors, f)
	}
	p.figures = engine.NewReckoning(e, a, p.count, 8+movingFigures*len(p.factors))
}

// gather sets z to the gradients.
func (p *sirfPart[T]) gather() { gather(p.e, p.layout, p.size, p.z, p.of.g) }

// step sets the directions of the blocks.
func (p *sirfPart[T]) step(r *sirfRule[T]) {
	p.rewind()
	if r.step%r.o.Interval == 0 {
		p.learn(r)
	}
	p.gather()
	for _, f := range p.factors {
		p.applyMember(dense.Transposed, f.k, f.mode)
		p.applyMember(dense.NoTrans, f.k, f.mode)
	}
	scatter(p.e, p.layout, p.size, p.of.out, p.z)
}

// learn moves the factors by the gradients. Those of a piece of which one of the statistics is not finite stay as they are.
func (p *sirfPart[T]) learn(r *sirfRule[T]) {
	q := p.figures
	q.Begin()
	p.gather()
	traces := q.Number(1)
	for _, f := range p.factors {
		p.applyMember(dense.Transposed, f.k, f.mode)
		f.formInner(q)
		traces = q.Times(traces, f.trace)
	}
	for _, f := range p.factors {
		f.ridge = q.Over(q.Over(q.Times(q.Number(r.o.Damping), traces), f.trace), q.Number(2))
	}
	p.ok = q.Number(1)
	q.Run()
	for _, f := range p.factors {
		f.clearTarget()
		p.gramMember(T(r.batch*float64(f.k.n)/float64(p.size)/2), f.mode, f.h)
		p.ok = f.target(q, p.ok)
	}
	p.keep, p.take = q.Pick(p.ok, q.Number(r.o.Alpha2), q.Number(1)), q.Pick(p.ok, q.Number(1-r.o.Alpha2), q.Number(0))
	q.Run()
	p.moveFactors(r)
}

// moveFactors moves the factors by what their targets are.
func (p *sirfPart[T]) moveFactors(r *sirfRule[T]) {
	q := p.figures
	for _, f := range p.factors {
		f.follow(q, p.keep, p.take)
		norm, _ := f.m.norms(q)
		f.shorten(q, q.Over(q.Number(r.o.Beta2), q.Most(q.Number(1), norm)), norm, p.ok)
	}
	q.Run()
	for _, f := range p.factors {
		f.move(q)
	}
}

func (*sirfRule[T]) deferring() {}
