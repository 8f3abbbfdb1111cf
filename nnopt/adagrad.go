package nnopt

import (
	"cmp"
	"math"

	"github.com/spdopt/spdopt/internal/engine"
)

// AdaGrad are the options of AdaGrad (Duchi et al. 2011): s <- s + g^2, W <- (1 - lr Decay) W - lr g/(sqrt(s) + Eps), element by element. What Shampoo and
// EShampoo with Beta2 1 are for whole dimensions.
type AdaGrad struct {
	Settings         // LR defaults to 0.01
	Eps      float64 `json:"eps,omitempty"` // default 1e-10
}

// Validate reports the first option that has a value that it cannot have.
func (o *AdaGrad) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	return notNegative("eps", o.Eps)
}

// NewAdaGrad returns AdaGrad. It keeps one number per parameter.
func NewAdaGrad[T Float](o AdaGrad) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR = cmp.Or(o.LR, 0.01)
	return newStepper("adagrad", o.Settings, rule[T](&adaGradRule[T]{eps: cmp.Or(o.Eps, 1e-10)}))
}

type adaGradRule[T Float] struct{ eps float64 }

func (r *adaGradRule[T]) slots(b *Block[T]) []slotShape       { return like(b, "sum") }
func (r *adaGradRule[T]) start(*Block[T], []Slot[T])          {}
func (r *adaGradRule[T]) begin(int, float64, int)             {}
func (r *adaGradRule[T]) counters() []counter                 { return nil }
func (r *adaGradRule[T]) mover(*Block[T], []Slot[T]) mover[T] { return r }

func (r *adaGradRule[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	_, high := eigenRange[T]()
	e.AdaGrad(engine.AdaGrad{Update: u, Eps: r.eps, Most: math.Pow(high, 2.5)}, b.Value, b.Grad, slots[0].Data)
}

func (*adaGradRule[T]) deferring() {}
