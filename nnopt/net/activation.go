package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/engine"
)

// Curve is a function that an Activation applies to every element.
type Curve string

// The curves. GELU is x times the normal distribution function, SiLU x times the sigmoid. The derivative of ReLU at 0 is 0.
const (
	ReLU    Curve = "relu"
	GELU    Curve = "gelu"
	SiLU    Curve = "silu"
	Tanh    Curve = "tanh"
	Sigmoid Curve = "sigmoid"
)

// Curves lists the curves.
func Curves() []Curve { return []Curve{ReLU, GELU, SiLU, Tanh, Sigmoid} }

// Activation applies a curve to every element.
type Activation[T Float] struct {
	curve       engine.Curve
	x           Dual[T]
	y, gx       buffer[T]
	slope, bend []T // first and second derivatives at x
	turned      []T // the derivative of slope
}

// NewActivation returns the layer of a curve.
func NewActivation[T Float](c Curve) *Activation[T] {
	switch c {
	case ReLU, GELU, SiLU, Tanh, Sigmoid:
	default:
		fail("unknown activation %q", c)
	}
	return &Activation[T]{curve: c.curveOf()}
}

// Params implements Layer.
func (a *Activation[T]) Params(string) []*Param[T] { return nil }

// Forward implements Layer.
func (a *Activation[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	if x.V.Stride != x.V.Cols {
		fail("activation of a matrix that is not contiguous")
	}
	a.x = x
	y := a.y.take(p, x.V.Rows, x.V.Cols)
	n := len(y.V.Data)
	a.slope = p.grown(a.slope, n)
	bend := []T(nil)
	if p.Tangent {
		a.bend = p.grown(a.bend, n)
		bend = a.bend
	}
	e := p.engine()
	e.Apply(a.curve, x.V.Data[:n], y.V.Data, a.slope, bend)
	switch {
	case y.dual() && x.dual():
		e.Multiply(a.slope, x.D.Data[:n], 0, y.D.Data)
	case y.dual():
		zero(p, y.D)
	}
	return y
}

// Backward implements Layer.
func (a *Activation[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	if !need {
		return Dual[T]{}
	}
	gx, e := a.gx.take(p, g.V.Rows, g.V.Cols), p.engine()
	n := len(gx.V.Data)
	e.Multiply(g.V.Data[:n], a.slope, 0, gx.V.Data)
	if !gx.dual() {
		return gx
	}
	if g.dual() {
		e.Multiply(g.D.Data[:n], a.slope, 0, gx.D.Data)
	} else {
		zero(p, gx.D)
	}
	if a.x.dual() {
		a.turned = p.grown(a.turned, n)
		e.Multiply(a.bend, a.x.D.Data[:n], 0, a.turned)
		e.Multiply(g.V.Data[:n], a.turned, 1, gx.D.Data)
	}
	return gx
}

// curveOf is the curve as the engine knows it.
func (c Curve) curveOf() engine.Curve {
	return map[Curve]engine.Curve{ReLU: engine.ReLU, GELU: engine.GELU, SiLU: engine.SiLU, Tanh: engine.Tanh, Sigmoid: engine.Logistic}[c]
}

func activationEntries() (all []Entry) {
	for _, c := range Curves() {
		all = append(all, Entry{Name: string(c), What: "elementwise " + string(c), Example: func(r *rand.Rand) Example {
			return example(r, NewActivation[float64](c), 4, 4, 5)
		}})
	}
	return all
}
