package nnopt

import (
	"cmp"
	"github.com/spdopt/spdopt/internal/engine"
)

// NadamW are the options of AdamW with a Nesterov numerator (Dozat 2016, in the form of the AlgoPerf baseline, arXiv:2306.07179): with the updated m,
// W <- (1 - lr Decay) W - lr [Beta1 m + (1-Beta1) g]/(1-Beta1^t) / (sqrt(vhat) + Eps).
type NadamW struct {
	Settings         // LR defaults to 0.001
	Beta1    float64 `json:"beta1,omitempty"` // default 0.9
	Beta2    float64 `json:"beta2,omitempty"` // default 0.999
	Eps      float64 `json:"eps,omitempty"`   // default 1e-8
}

// Validate reports the first option that has a value that it cannot have.
func (o *NadamW) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	return validateBetas(o.Beta1, o.Beta2, o.Eps)
}

// NewNadamW returns NadamW. It keeps two numbers per parameter.
func NewNadamW[T Float](o NadamW) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR = cmp.Or(o.LR, 1e-3)
	form := engine.Adam{Beta1: cmp.Or(o.Beta1, 0.9), Beta2: cmp.Or(o.Beta2, 0.999), Eps: cmp.Or(o.Eps, 1e-8)}
	return newStepper("nadamw", o.Settings, &adamRule[T]{form: form, nesterov: true})
}
