package nnopt

import (
	"cmp"
	"math"

	"github.com/spdopt/spdopt/internal/engine"
)

// AdamW are the options of Adam with decoupled weight decay (Kingma and Ba, arXiv:1412.6980; Loshchilov and Hutter, arXiv:1711.05101):
// m and v are moving averages of g and g^2, and W <- (1 - lr Decay) W - lr mhat / (sqrt(vhat) + Eps).
type AdamW struct {
	Settings                 // LR defaults to 0.001
	Beta1            float64 `json:"beta1,omitempty"` // default 0.9
	Beta2            float64 `json:"beta2,omitempty"` // default 0.999
	Eps              float64 `json:"eps,omitempty"`   // default 1e-8
	NoBiasCorrection bool    `json:"no_bias_correction,omitempty"`
	NarrowMoment     bool    `json:"narrow_moment,omitempty"` // keep m in bfloat16: 2 bytes instead of 4 or 8 per parameter, errors below 0.4 % of m
}

// Validate reports the first option that has a value that it cannot have.
func (o *AdamW) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	return validateBetas(o.Beta1, o.Beta2, o.Eps)
}

func validateBetas(beta1, beta2, eps float64) error {
	if err := below("beta1", beta1); err != nil {
		return err
	}
	if err := below("beta2", beta2); err != nil {
		return err
	}
	return notNegative("eps", eps)
}

// NewAdamW returns AdamW. It keeps two numbers per parameter. With NarrowMoment the step uses m before it is rounded to nearest; v stays as it is,
// because its steps of a factor 1-Beta2 are below what bfloat16 resolves.
func NewAdamW[T Float](o AdamW) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR = cmp.Or(o.LR, 1e-3)
	form := engine.Adam{Beta1: cmp.Or(o.Beta1, 0.9), Beta2: cmp.Or(o.Beta2, 0.999), Eps: cmp.Or(o.Eps, 1e-8)}
	return newStepper("adamw", o.Settings, &adamRule[T]{form: form, uncorrected: o.NoBiasCorrection, narrow: o.NarrowMoment})
}

// adamRule is AdamW, or NadamW when nesterov is set.
type adamRule[T Float] struct {
	form                  engine.Adam
	uncorrected, nesterov bool
	narrow                bool // m is stored in bfloat16
}

func (r *adamRule[T]) slots(b *Block[T]) []slotShape { return like(b, "m", "v") }
func (r *adamRule[T]) counters() []counter           { return nil }

func (r *adamRule[T]) begin(t int, _ float64, _ int) {
	first, second := 1.0, 1.0
	if !r.uncorrected {
		first, second = 1-math.Pow(r.form.Beta1, float64(t)), 1-math.Pow(r.form.Beta2, float64(t))
	}
	r.form.A, r.form.B, r.form.C = 1/first, 0, 1/second
	if r.nesterov {
		r.form.A, r.form.B = r.form.Beta1/first, (1-r.form.Beta1)/first
	}
}

func (r *adamRule[T]) mover(*Block[T], []Slot[T]) mover[T] { return r }

func (r *adamRule[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	form := r.form
	form.Update = u
	if r.narrow {
		e.AdamNarrow(form, b.Value, b.Grad, slots[0].narrow, slots[1].Data)
		return
	}
	e.Adam(form, b.Value, b.Grad, slots[0].Data, slots[1].Data)
}

// narrows implements narrowing.
func (r *adamRule[T]) narrows(slot string) bool { return r.narrow && slot == "m" }

func (r *adamRule[T]) start(*Block[T], []Slot[T]) {}

func (*adamRule[T]) deferring() {}
