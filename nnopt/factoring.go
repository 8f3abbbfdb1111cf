package nnopt

import (
	"cmp"
	"math"
)

// Factoring is what Shampoo and EShampoo share: the second moments L <- Beta2 L + (1-Beta2) G G^T of a gradient along each of its dimensions, and
// when and how their eigenbases are brought up to date.
type Factoring struct {
	Shaping          Shaping `json:"shaping,omitzero"`
	Beta1            float64 `json:"beta1,omitempty"`              // moving average of the gradient; default 0.9
	NoMomentum       bool    `json:"no_momentum,omitempty"`        // Beta1 0
	Beta3            float64 `json:"beta3,omitempty"`              // weight of the old average in the numerator; default Beta1, below it is like NadamW
	Beta2            float64 `json:"beta2,omitempty"`              // default 0.95; 1 is the sum of AdaGrad
	Eps              float64 `json:"eps,omitempty"`                // default 1e-8
	NoBiasCorrection bool    `json:"no_bias_correction,omitempty"` // moments and averages are used as they are
	Interval         int     `json:"interval,omitempty"`           // steps between refreshes; default 1
	Start            int     `json:"start,omitempty"`              // step of the first refresh; default Interval
	QR               bool    `json:"qr,omitempty"`                 // orthogonal iterations instead of eigendecompositions
	Sweeps           bool    `json:"sweeps,omitempty"`             // bounded-angle sweeps of the spectral core instead of eigendecompositions
	Iterations       int     `json:"iterations,omitempty"`         // of either, at most; default 1, and 4 sweeps
	Tol              float64 `json:"tol,omitempty"`                // a basis is kept while ||offdiag(Q^T L Q)||_F <= Tol ||L||_F; default 0. Sweeps: see Spectral.Tol, default 0.01
	LibraryOrder     bool    `json:"library_order,omitempty"`      // sort ascending after QR and leave the second moments where they are, see EShampoo
	TraceScaling     bool    `json:"trace_scaling,omitempty"`      // divide each L by the square root of its trace
}

// Validate reports the first option that has a value that it cannot have.
func (o *Factoring) Validate() error {
	if err := o.Shaping.Validate(); err != nil {
		return err
	}
	if o.NoMomentum && (o.Beta1 != 0 || o.Beta3 != 0) {
		return option("no_momentum", "contradicts beta1 and beta3")
	}
	if err := validateBetas(o.Beta1, 0, o.Eps); err != nil {
		return err
	}
	if err := below("beta3", o.Beta3); err != nil {
		return err
	}
	if !(o.Beta2 >= 0 && o.Beta2 <= 1) {
		return option("beta2", "must lie between 0 and 1, not %v", o.Beta2)
	}
	if o.QR && o.Sweeps {
		return option("sweeps", "contradicts qr")
	}
	if min(o.Interval, o.Start, o.Iterations) < 0 {
		return option("interval, start and iterations", "must not be negative")
	}
	return below("tol", o.Tol)
}

func (o *Factoring) fill() {
	o.Beta1, o.Beta2, o.Eps = cmp.Or(o.Beta1, 0.9), cmp.Or(o.Beta2, 0.95), cmp.Or(o.Eps, 1e-8)
	if o.NoMomentum {
		o.Beta1 = 0
	}
	o.Beta3 = cmp.Or(o.Beta3, o.Beta1)
	if o.Sweeps {
		o.Tol = cmp.Or(o.Tol, 0.01)
		if o.Iterations == 0 {
			o.Iterations = 4
		}
	}
	o.Interval, o.Iterations = max(o.Interval, 1), max(o.Iterations, 1)
	if o.Start == 0 {
		o.Start = o.Interval
	}
}

// weight is that of the newest term in the second moments.
func (o *Factoring) weight() float64 {
	if o.Beta2 == 1 {
		return 1
	}
	return 1 - o.Beta2
}

// correction is what second moments are divided by after t steps.
func (o *Factoring) correction(t int) float64 {
	if o.NoBiasCorrection || o.Beta2 == 1 {
		return 1
	}
	return 1 - math.Pow(o.Beta2, float64(t))
}

func (o *Factoring) refreshes(t int) bool {
	return t == o.Start || t > o.Start && t%o.Interval == 0
}
