package nnopt

import (
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
	o.LR, o.Momentum, o.Beta2 = orDefault(o.LR, 1e-3), orDefault(o.Momentum, 0.9), orDefault(o.Beta2, 0.01)
	o.Alpha2, o.Damping, o.Interval = orDefault(o.Alpha2, 0.5), orDefault(o.Damping, 1e-3), max(o.Interval, 1)
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
	s := &sirfBlock[T]{rule: r, momentum: slots[0].Data, g: make([]T, b.Len()), out: make([]T, b.Len())}
	rest := slots[1:]
	for _, p := range r.o.Shaping.pieces(b.Name, b.Rows, b.Cols) {
		part := sirfPart[T]{piece: p, productModes: newProductModes[T](p.dims, 1)}
		part.z, part.t = make([]T, p.size()), make([]T, p.size())
		for i, n := range p.dims {
			if p.excluded[i] {
				continue
			}
			part.factors = append(part.factors, newMovingFactor(i, r.structure.pattern(n), rest[0].Data, rest[1].Data))
			rest = rest[2:]
		}
		part.reckon(part.e, nil)
		s.parts = append(s.parts, part)
	}
	return s
}

// sirfBlock moves one block.
type sirfBlock[T Float] struct {
	rule             *sirfRule[T]
	momentum, g, out []T
	parts            []sirfPart[T]
}

func (s *sirfBlock[T]) move(e engine.Backend[T], b *Block[T], _ []Slot[T], u engine.Update) {
	enter(e, s.g, b, u)
	for k := range s.parts {
		p := &s.parts[k]
		p.rewind()
		if s.rule.step%s.rule.o.Interval == 0 {
			p.learn(s.rule, s.g)
		}
		gather(p.e, &p.piece, p.z, s.g)
		for _, f := range p.factors {
			p.applyMember(dense.Transposed, f.k, f.mode)
			p.applyMember(dense.NoTrans, f.k, f.mode)
		}
		scatter(p.e, &p.piece, s.out, p.z)
	}
	e.Blend(T(s.rule.o.Momentum), s.momentum, 1, s.out, s.momentum)
	e.Blend(1, s.momentum, T(inside(u)), b.Value, s.momentum)
	e.Blend(1, b.Value, -T(u.LR), s.momentum, b.Value)
}

type sirfPart[T Float] struct {
	productModes[T]
	piece   piece
	factors []movingFactor[T]
	figures *engine.Reckoning[T]
}

// reckon makes the registers of the part.
func (p *sirfPart[T]) reckon(e engine.Backend[T], a *engine.Arena[T]) {
	p.figures = engine.NewReckoning(e, a, 8+movingFigures*len(p.factors))
}

// learn moves the factors by the gradient. If one of the statistics is not finite they stay as they are.
func (p *sirfPart[T]) learn(r *sirfRule[T], g []T) {
	q := p.figures
	q.Begin()
	gather(p.e, &p.piece, p.z, g)
	traces := q.Number(1)
	for i := range p.factors {
		f := &p.factors[i]
		p.applyMember(dense.Transposed, f.k, f.mode)
		f.formInner(q)
		traces = q.Times(traces, f.trace)
	}
	for i := range p.factors {
		f := &p.factors[i]
		f.ridge = q.Over(q.Over(q.Times(q.Number(r.o.Damping), traces), f.trace), q.Number(2))
	}
	q.Run()
	size, ok := float64(len(p.z)), q.Number(1)
	for i := range p.factors {
		f := &p.factors[i]
		f.clearTarget()
		p.gramMember(T(r.batch*float64(f.k.n)/size/2), f.mode, f.h)
		ok = q.Times(ok, f.target(q))
	}
	keep, take := q.Pick(ok, q.Number(r.o.Alpha2), q.Number(1)), q.Pick(ok, q.Number(1-r.o.Alpha2), q.Number(0))
	q.Run()
	for i := range p.factors {
		f := &p.factors[i]
		f.follow(q, keep, take)
		norm, _ := f.m.norms(q)
		f.shorten(q, q.Over(q.Number(r.o.Beta2), q.Most(q.Number(1), norm)), norm, ok)
	}
	q.Run()
	for i := range p.factors {
		p.factors[i].move(q)
	}
}

func (*sirfRule[T]) deferring() {}

func (s *sirfBlock[T]) place(e engine.Backend[T], a *engine.Arena[T]) {
	s.g, s.out = a.Alloc(len(s.g)), a.Alloc(len(s.out))
	for k := range s.parts {
		s.parts[k].place(e, a)
		for i := range s.parts[k].factors {
			s.parts[k].factors[i].place(e, a)
		}
		s.parts[k].reckon(e, a)
	}
}
