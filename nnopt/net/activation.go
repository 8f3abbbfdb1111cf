package net

import "math/rand/v2"

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
	curve       Curve
	x           Dual[T]
	y, gx       buffer[T]
	slope, bend []T // first and second derivatives at x
}

// NewActivation returns the layer of a curve.
func NewActivation[T Float](c Curve) *Activation[T] {
	switch c {
	case ReLU, GELU, SiLU, Tanh, Sigmoid:
	default:
		fail("unknown activation %q", c)
	}
	return &Activation[T]{curve: c}
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
	a.slope = grown(a.slope, n)
	bend := []T(nil)
	if p.Tangent {
		a.bend = grown(a.bend, n)
		bend = a.bend
	}
	evaluate(a.curve, x.V.Data[:n], y.V.Data, a.slope, bend)
	switch {
	case y.dual() && x.dual():
		multiply(y.D.Data, a.slope, x.D.Data)
	case y.dual():
		y.D.Zero()
	}
	return y
}

func multiply[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// Backward implements Layer.
func (a *Activation[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	if !need {
		return Dual[T]{}
	}
	gx := a.gx.take(p, g.V.Rows, g.V.Cols)
	multiply(gx.V.Data, g.V.Data, a.slope)
	if !gx.dual() {
		return gx
	}
	if g.dual() {
		multiply(gx.D.Data, g.D.Data, a.slope)
	} else {
		gx.D.Zero()
	}
	if a.x.dual() {
		for i, v := range g.V.Data {
			gx.D.Data[i] += v * a.bend[i] * a.x.D.Data[i]
		}
	}
	return gx
}

// evaluate sets f, its slope and, unless bend is nil, its second derivative at the elements of x.
func evaluate[T Float](c Curve, x, f, slope, bend []T) {
	f, slope = f[:len(x)], slope[:len(x)]
	switch c {
	case ReLU:
		for i, v := range x {
			f[i], slope[i] = 0, 0
			if v > 0 {
				f[i], slope[i] = v, 1
			}
		}
		clear(bend)
	case GELU:
		for i, v := range x {
			cdf, density := normal(v)
			f[i], slope[i] = v*cdf, cdf+v*density
			if bend != nil {
				bend[i] = density * (2 - v*v)
			}
		}
	case SiLU:
		for i, v := range x {
			s := sigmoid(v)
			d := s * (1 - s)
			f[i], slope[i] = v*s, s+v*d
			if bend != nil {
				bend[i] = d * (2 + v*(1-2*s))
			}
		}
	case Tanh:
		for i, v := range x {
			t := tanh(v)
			f[i], slope[i] = t, 1-t*t
			if bend != nil {
				bend[i] = -2 * t * (1 - t*t)
			}
		}
	case Sigmoid:
		for i, v := range x {
			s := sigmoid(v)
			f[i], slope[i] = s, s*(1-s)
			if bend != nil {
				bend[i] = s * (1 - s) * (1 - 2*s)
			}
		}
	}
}

func activationEntries() (all []Entry) {
	for _, c := range Curves() {
		all = append(all, Entry{Name: string(c), What: "elementwise " + string(c), Example: func(r *rand.Rand) Example {
			return example(r, NewActivation[float64](c), 4, 4, 5)
		}})
	}
	return all
}
