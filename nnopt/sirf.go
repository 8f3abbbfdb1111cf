package nnopt

import (
	"fmt"
	"math"
	"slices"

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
// and the step is a heavy ball on the gradient times K_k K_k^T along every dimension, plus Decay W. Only products of matrices are needed. Factors are
// kept as full matrices whatever their structure.
type SIRFShampoo struct {
	Settings             // LR defaults to 0.001
	Shaping    Shaping   `json:"shaping,omitzero"`
	Momentum   float64   `json:"momentum,omitempty"`    // default 0.9
	NoMomentum bool      `json:"no_momentum,omitempty"` //
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
	if o.Structure != "" && !slices.Contains(Structures(), o.Structure) {
		return option("structure", "must be one of %v, not %q", Structures(), o.Structure)
	}
	if o.Interval < 0 || min(o.Sizes[0], o.Sizes[1]) < 0 {
		return option("interval and sizes", "must not be negative")
	}
	return notNegative("damping", o.Damping)
}

// NewSIRFShampoo returns structured inverse-free root-free Shampoo. For an m x n matrix it keeps m n + 2 m^2 + 2 n^2 numbers.
func NewSIRFShampoo[T Float](o SIRFShampoo) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR, o.Momentum, o.Beta2 = orDefault(o.LR, 1e-3), orDefault(o.Momentum, 0.9), orDefault(o.Beta2, 0.01)
	o.Alpha2, o.Damping, o.Interval = orDefault(o.Alpha2, 0.5), orDefault(o.Damping, 1e-3), max(o.Interval, 1)
	if o.NoMomentum {
		o.Momentum = 0
	}
	size := structured{o.Structure, o.Sizes[0], o.Sizes[1]}
	if size.first == 0 {
		size.first = 15
		if o.Structure == StructureBlock {
			size.first = 30
		}
	}
	if size.last == 0 {
		size.last = 15
	}
	return newStepper("sirf-shampoo", o.Settings, rule[T](&sirfRule[T]{o: o, structure: size}))
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
				all = append(all, slotShape{fmt.Sprintf("factor%d.%d", k, i), n, n}, slotShape{fmt.Sprintf("motion%d.%d", k, i), n, n})
			}
		}
	}
	return all
}

func (r *sirfRule[T]) start(_ *Block[T], slots []Slot[T]) {
	for i := 1; i < len(slots); i += 2 {
		dense.Wrap(slots[i].Rows, slots[i].Cols, slots[i].Data).Identity()
	}
}

func (r *sirfRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	s := &sirfBlock[T]{rule: r, momentum: slots[0].Data, g: make([]T, b.Len()), out: make([]T, b.Len())}
	rest := slots[1:]
	for _, p := range r.o.Shaping.pieces(b.Name, b.Rows, b.Cols) {
		part := sirfPart[T]{piece: p}
		part.e, part.dims, part.z, part.t = engine.CPU[T](), p.dims, make([]T, p.size()), make([]T, p.size())
		for i, n := range p.dims {
			if p.excluded[i] {
				continue
			}
			part.factors = append(part.factors, sirfFactor[T]{mode: i, n: n, k: dense.Wrap(n, n, rest[0].Data), m: dense.Wrap(n, n, rest[1].Data),
				h: dense.New[T](n, n), inner: dense.New[T](n, n)})
			rest = rest[2:]
		}
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

func (s *sirfBlock[T]) move(_ engine.Backend[T], b *Block[T], _ []Slot[T], u engine.Update) {
	enter(s.g, b, u)
	for k := range s.parts {
		p := &s.parts[k]
		if s.rule.step%s.rule.o.Interval == 0 {
			p.learn(s.rule, s.g)
		}
		gather(&p.piece, p.z, s.g)
		for _, f := range p.factors {
			p.apply(dense.Transposed, f.k, f.mode)
			p.apply(dense.NoTrans, f.k, f.mode)
		}
		scatter(&p.piece, s.out, p.z)
	}
	mu, decay, lr := T(s.rule.o.Momentum), T(inside(u)), T(u.LR)
	for i, v := range s.out {
		s.momentum[i] = mu*s.momentum[i] + v + decay*b.Value[i]
		b.Value[i] -= lr * s.momentum[i]
	}
}

type sirfFactor[T Float] struct {
	mode, n  int
	k, m     dense.Matrix[T] // factor and its momentum
	h, inner dense.Matrix[T] // M_k, and K_k^T K_k or the next factor
}

type sirfPart[T Float] struct {
	productModes[T]
	piece   piece
	factors []sirfFactor[T]
}

// learn moves the factors by the gradient. If one of the statistics is not finite they stay as they are.
func (p *sirfPart[T]) learn(r *sirfRule[T], g []T) {
	gather(&p.piece, p.z, g)
	traces := 1.0
	for _, f := range p.factors {
		p.apply(dense.Transposed, f.k, f.mode)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f.k, f.k, 0, f.inner)
		traces *= f.meanTrace()
	}
	size := float64(len(p.z))
	for _, f := range p.factors {
		f.h.Zero()
		p.gram(T(r.batch*float64(f.n)/size/2), f.mode, f.h)
		ridge := T(r.o.Damping * traces / f.meanTrace() / 2)
		for i := range f.n {
			row := f.h.Row(i)
			for j := i; j < f.n; j++ {
				row[j] += ridge * f.inner.At(i, j)
			}
			row[i] -= 0.5
		}
		dense.Mirror(f.h)
		if norm := dense.NormBound(f.h); math.IsNaN(norm) || norm > math.Sqrt(largestGradient[T]()) {
			return
		}
	}
	for _, f := range p.factors {
		project(r.structure, f.h)
		f.move(r)
	}
}

// meanTrace returns tr(K^T K)/n from inner.
func (f *sirfFactor[T]) meanTrace() float64 {
	var sum float64
	for i := range f.n {
		sum += float64(f.inner.At(i, i))
	}
	return sum / float64(f.n)
}

func (f *sirfFactor[T]) move(r *sirfRule[T]) {
	keep := T(r.o.Alpha2)
	var sum float64
	for i, v := range f.h.Data {
		f.m.Data[i] = keep*f.m.Data[i] + (1-keep)*v
		sum += float64(f.m.Data[i]) * float64(f.m.Data[i])
	}
	f.inner.Copy(f.k)
	dense.Gemm(dense.NoTrans, dense.NoTrans, -T(r.o.Beta2/max(1, math.Sqrt(sum))), f.k, f.m, 1, f.inner)
	f.k.Copy(f.inner)
}
