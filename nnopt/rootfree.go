package nnopt

import (
	"cmp"
	"math"

	"github.com/spdopt/spdopt/internal/engine"
)

// RootFreeRMSProp are the options of RMSProp without the square root (Lin et al., arXiv:2402.03496), a natural-gradient step with a diagonal empirical
// Fisher matrix: S <- Beta2 S + (1-Beta2) B g^2 from S = 1, with B the batch size of the mean gradient g (StepInfo.BatchSize; 1 where unknown), and
// a heavy ball on g/(S + Eps) + Decay W. Eps acts as damping.
type RootFreeRMSProp struct {
	Settings               // LR defaults to 0.005
	Beta2          float64 `json:"beta2,omitempty"`            // default 0.999
	Eps            float64 `json:"eps,omitempty"`              // default 1e-4
	Momentum       float64 `json:"momentum,omitempty"`         // default 0.9
	NoMomentum     bool    `json:"no_momentum,omitempty"`      // Momentum 0
	NoBatchScaling bool    `json:"no_batch_scaling,omitempty"` // B = 1
}

// Validate reports the first option that has a value that it cannot have.
func (o *RootFreeRMSProp) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	if o.NoMomentum && o.Momentum != 0 {
		return option("no_momentum", "contradicts momentum")
	}
	if err := below("momentum", o.Momentum); err != nil {
		return err
	}
	return validateBetas(0, o.Beta2, o.Eps)
}

// NewRootFreeRMSProp returns RMSProp without the root. It keeps two numbers per parameter, one without momentum.
func NewRootFreeRMSProp[T Float](o RootFreeRMSProp) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR = cmp.Or(o.LR, 5e-3)
	r := &rootFreeRule[T]{beta2: cmp.Or(o.Beta2, 0.999), eps: cmp.Or(o.Eps, 1e-4), momentum: cmp.Or(o.Momentum, 0.9), unscaled: o.NoBatchScaling, prior: 1}
	if o.NoMomentum {
		r.momentum = 0
	}
	return newStepper("root-free-rmsprop", o.Settings, rule[T](r))
}

// RootFreeAdamW are the options of AdamW without the square root (Lin et al., arXiv:2402.03496): m is the moving average of g, S that of B g^2 from
// S = 1 with B the batch size (StepInfo.BatchSize; 1 where unknown), and W <- (1 - lr Decay) W - lr m/(S + Eps).
type RootFreeAdamW struct {
	Settings               // LR defaults to 0.001
	Beta1          float64 `json:"beta1,omitempty"`            // default 0.9
	Beta2          float64 `json:"beta2,omitempty"`            // default 0.999
	Eps            float64 `json:"eps,omitempty"`              // default 1e-4
	BiasCorrection bool    `json:"bias_correction,omitempty"`  // of both averages, with S from 0
	NoBatchScaling bool    `json:"no_batch_scaling,omitempty"` // B = 1
}

// Validate reports the first option that has a value that it cannot have.
func (o *RootFreeAdamW) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	return validateBetas(o.Beta1, o.Beta2, o.Eps)
}

// NewRootFreeAdamW returns AdamW without the root. It keeps two numbers per parameter.
func NewRootFreeAdamW[T Float](o RootFreeAdamW) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR = cmp.Or(o.LR, 1e-3)
	r := &rootFreeRule[T]{adam: true, momentum: cmp.Or(o.Beta1, 0.9), beta2: cmp.Or(o.Beta2, 0.999), eps: cmp.Or(o.Eps, 1e-4), unscaled: o.NoBatchScaling, prior: 1}
	if o.BiasCorrection {
		r.prior, r.corrected = 0, true
	}
	return newStepper("root-free-adamw", o.Settings, rule[T](r))
}

type rootFreeRule[T Float] struct {
	adam, corrected, unscaled bool
	momentum, beta2, eps      float64
	prior                     float64 // S at the start

	batch, first, second float64 // of this step: B and the bias corrections
}

func (r *rootFreeRule[T]) counters() []counter                 { return nil }
func (r *rootFreeRule[T]) mover(*Block[T], []Slot[T]) mover[T] { return r }
func (r *rootFreeRule[T]) slots(b *Block[T]) []slotShape {
	if r.momentum == 0 {
		return like(b, "second")
	}
	return like(b, "second", "momentum")
}

func (r *rootFreeRule[T]) start(_ *Block[T], slots []Slot[T]) {
	for i := range slots[0].Data {
		slots[0].Data[i] = T(r.prior)
	}
}

func (r *rootFreeRule[T]) begin(t int, _ float64, batch int) {
	r.batch, r.first, r.second = 1, 1, 1
	if batch > 0 && !r.unscaled {
		r.batch = float64(batch)
	}
	if r.corrected {
		r.first, r.second = 1-math.Pow(r.momentum, float64(t)), 1-math.Pow(r.beta2, float64(t))
	}
}

func (r *rootFreeRule[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	form := engine.RootFree{Update: u, Beta2: r.beta2, Take: (1 - r.beta2) * r.batch, Correction: 1 / r.second, Eps: r.eps, Mu: r.momentum, Average: r.adam}
	if r.adam {
		form.LR /= r.first
	} else {
		form.Inside = inside(u)
	}
	var m []T
	if len(slots) > 1 {
		m = slots[1].Data
	}
	e.RootFree(form, b.Value, b.Grad, slots[0].Data, m)
}

// inside returns the weight decay of a rule whose momentum includes it: the factor of W in the direction.
func inside(u engine.Update) float64 {
	if u.LR == 0 {
		return 0
	}
	return u.Decay / u.LR
}

func (*rootFreeRule[T]) deferring() {}
