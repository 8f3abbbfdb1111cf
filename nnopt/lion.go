package nnopt

import (
	"cmp"
	"github.com/spdopt/spdopt/internal/engine"
)

// Lion are the options of Lion (Chen et al., arXiv:2302.06675): W <- (1 - lr Decay) W - lr sign(Beta1 m + (1-Beta1) g), then m <- Beta2 m + (1-Beta2) g.
type Lion struct {
	Settings         // LR defaults to 0.0001
	Beta1    float64 `json:"beta1,omitempty"` // default 0.9
	Beta2    float64 `json:"beta2,omitempty"` // default 0.99
}

// Validate reports the first option that has a value that it cannot have.
func (o *Lion) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	return validateBetas(o.Beta1, o.Beta2, 0)
}

// NewLion returns Lion. It keeps one number per parameter.
func NewLion[T Float](o Lion) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR = cmp.Or(o.LR, 1e-4)
	return newStepper("lion", o.Settings, rule[T](&lionRule[T]{cmp.Or(o.Beta1, 0.9), cmp.Or(o.Beta2, 0.99)}))
}

// SignDescent are the options of descent along the sign of the averaged gradient (signum, arXiv:1802.04434):
// m <- Momentum m + (1-Momentum) g, W <- (1 - lr Decay) W - lr sign(m).
type SignDescent struct {
	Settings           // LR defaults to 0.0001
	Momentum   float64 `json:"momentum,omitempty"` // default 0.9
	NoMomentum bool    `json:"no_momentum,omitempty"`
}

// Validate reports the first option that has a value that it cannot have.
func (o *SignDescent) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	if o.NoMomentum && o.Momentum != 0 {
		return option("no_momentum", "contradicts momentum")
	}
	return below("momentum", o.Momentum)
}

// NewSignDescent returns sign descent. It keeps one number per parameter.
func NewSignDescent[T Float](o SignDescent) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR = cmp.Or(o.LR, 1e-4)
	mu := cmp.Or(o.Momentum, 0.9)
	if o.NoMomentum {
		mu = 0
	}
	return newStepper("sign", o.Settings, rule[T](&lionRule[T]{mu, mu}))
}

type lionRule[T Float] struct{ beta1, beta2 float64 }

func (r *lionRule[T]) slots(b *Block[T]) []slotShape       { return like(b, "momentum") }
func (r *lionRule[T]) start(*Block[T], []Slot[T])          {}
func (r *lionRule[T]) begin(int, float64, int)             {}
func (r *lionRule[T]) counters() []counter                 { return nil }
func (r *lionRule[T]) mover(*Block[T], []Slot[T]) mover[T] { return r }
func (r *lionRule[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	e.Sign(engine.Sign{Update: u, Beta1: r.beta1, Beta2: r.beta2}, b.Value, b.Grad, slots[0].Data)
}

func (*lionRule[T]) deferring() {}
