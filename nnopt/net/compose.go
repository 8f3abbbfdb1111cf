package net

import (
	"math/rand/v2"
	"strconv"
)

// Sequential applies layers one after the other.
type Sequential[T Float] struct {
	Layers []Layer[T]
	first  int // layer with parameters, once they are named
}

// Chain returns a Sequential.
func Chain[T Float](layers ...Layer[T]) *Sequential[T] { return &Sequential[T]{Layers: layers} }

// Params implements Layer.
func (s *Sequential[T]) Params(prefix string) (all []*Param[T]) {
	for i, l := range s.Layers {
		if len(all) == 0 {
			s.first = i
		}
		all = append(all, l.Params(prefix+strconv.Itoa(i)+".")...)
	}
	return all
}

// Forward implements Layer.
func (s *Sequential[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	for _, l := range s.Layers {
		x = l.Forward(p, x)
	}
	return x
}

// Backward implements Layer.
func (s *Sequential[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	for i := len(s.Layers) - 1; i >= 0 && (need || i >= s.first); i-- {
		g = s.Layers[i].Backward(p, g, need || i > s.first)
	}
	return g
}

func (s *Sequential[T]) children() []Layer[T] { return s.Layers }

// Residual adds a layer's output to its input: y = x + f(x).
type Residual[T Float] struct {
	Inner Layer[T]
	y, gx buffer[T]
}

// NewResidual returns a Residual around a layer that keeps the shape.
func NewResidual[T Float](inner Layer[T]) *Residual[T] { return &Residual[T]{Inner: inner} }

// Params implements Layer.
func (s *Residual[T]) Params(prefix string) []*Param[T] { return s.Inner.Params(prefix) }

// Forward implements Layer.
func (s *Residual[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	f := s.Inner.Forward(p, x)
	y := s.y.take(p, x.V.Rows, x.V.Cols)
	add(p, x, f, y)
	return y
}

// Backward implements Layer.
func (s *Residual[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	f := s.Inner.Backward(p, g, need)
	if !need {
		return Dual[T]{}
	}
	gx := s.gx.take(p, g.V.Rows, g.V.Cols)
	add(p, g, f, gx)
	return gx
}

func (s *Residual[T]) children() []Layer[T] { return []Layer[T]{s.Inner} }

// Flatten turns the positions of each example into features: from N*S rows of C columns to N rows of S*C.
type Flatten[T Float] struct{ rows, cols int }

// NewFlatten returns a Flatten.
func NewFlatten[T Float]() *Flatten[T] { return &Flatten[T]{} }

// Params implements Layer.
func (f *Flatten[T]) Params(string) []*Param[T] { return nil }

// Forward implements Layer.
func (f *Flatten[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	f.rows, f.cols = x.V.Rows, x.V.Cols
	return x.reshaped(p.N, f.rows/p.N*f.cols)
}

// Backward implements Layer.
func (f *Flatten[T]) Backward(_ *Pass[T], g Dual[T], _ bool) Dual[T] {
	return g.reshaped(f.rows, f.cols)
}

// Pixels turns each example from one row into positions of the given number of channels, the opposite of Flatten.
type Pixels[T Float] struct{ channels int }

// NewPixels returns the layer for images of the given number of channels.
func NewPixels[T Float](channels int) *Pixels[T] { return &Pixels[T]{channels} }

// Params implements Layer.
func (s *Pixels[T]) Params(string) []*Param[T] { return nil }

// Forward implements Layer.
func (s *Pixels[T]) Forward(_ *Pass[T], x Dual[T]) Dual[T] {
	return x.reshaped(x.V.Rows*x.V.Cols/s.channels, s.channels)
}

// Backward implements Layer.
func (s *Pixels[T]) Backward(p *Pass[T], g Dual[T], _ bool) Dual[T] {
	return g.reshaped(p.N, g.V.Rows*g.V.Cols/p.N)
}

func composeEntries() []Entry {
	return []Entry{
		{Name: "residual", What: "x + f(x)", Example: func(r *rand.Rand) Example {
			inner := Chain[float64](NewLinear[float64](r, 4, 4, LinearOptions{}), NewActivation[float64](Tanh))
			return example(r, NewResidual[float64](inner), 5, 5, 4)
		}},
		{Name: "flatten", What: "positions to features", Example: func(r *rand.Rand) Example {
			return example(r, NewFlatten[float64](), 2, 6, 3)
		}},
		{Name: "pixels", What: "features to positions", Example: func(r *rand.Rand) Example {
			return example(r, NewPixels[float64](3), 2, 2, 12)
		}},
	}
}
