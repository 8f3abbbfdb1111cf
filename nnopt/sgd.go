package nnopt

import (
	"cmp"
	"github.com/spdopt/spdopt/internal/engine"
)

// SGD are the options of stochastic gradient descent: m <- Momentum m + g, W <- W - lr m (heavy ball), or with direction g + Momentum m (Nesterov).
type SGD struct {
	Settings           // LR defaults to 0.1
	Momentum   float64 `json:"momentum,omitempty"` // default 0.9
	NoMomentum bool    `json:"no_momentum,omitempty"`
	Nesterov   bool    `json:"nesterov,omitempty"`
}

// Validate reports the first option that has a value that it cannot have.
func (o *SGD) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	if o.NoMomentum && (o.Momentum != 0 || o.Nesterov) {
		return option("no_momentum", "contradicts momentum and nesterov")
	}
	return below("momentum", o.Momentum)
}

// NewSGD returns stochastic gradient descent. It keeps one number per parameter, or none without momentum.
func NewSGD[T Float](o SGD) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR = cmp.Or(o.LR, 0.1)
	mu := cmp.Or(o.Momentum, 0.9)
	if o.NoMomentum {
		mu = 0
	}
	return newStepper("sgd", o.Settings, &sgdRule[T]{engine.Momentum{Mu: mu, Nesterov: o.Nesterov}})
}

type sgdRule[T Float] struct{ form engine.Momentum }

func (r *sgdRule[T]) slots(b *Block[T]) []slotShape {
	if r.form.Mu == 0 {
		return nil
	}
	return like(b, "momentum")
}

func (r *sgdRule[T]) start(*Block[T], []Slot[T])          {}
func (r *sgdRule[T]) begin(int, float64, int)             {}
func (r *sgdRule[T]) counters() []counter                 { return nil }
func (r *sgdRule[T]) mover(*Block[T], []Slot[T]) mover[T] { return r }

func (r *sgdRule[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	form := r.form
	form.Update = u
	var m []T
	if len(slots) > 0 {
		m = slots[0].Data
	}
	e.Momentum(form, b.Value, b.Grad, m)
}

func (*sgdRule[T]) deferring() {}
