package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/engine"
)

// Dropout sets each element to 0 with probability Rate in passes that train, and divides the others by 1-Rate. The mask is a function of the seed and
// step of the pass and of the layer's Salt, so that all passes of a step see the same one.
type Dropout[T Float] struct {
	Rate float64
	Salt uint64 // tells the layers of a network apart

	on    bool
	mask  []T
	y, gx buffer[T]
}

// NewDropout returns a layer with 0 <= rate < 1.
func NewDropout[T Float](rate float64, salt uint64) *Dropout[T] {
	if !(rate >= 0 && rate < 1) {
		fail("dropout with rate %v", rate)
	}
	return &Dropout[T]{Rate: rate, Salt: salt}
}

// Params implements Layer.
func (d *Dropout[T]) Params(string) []*Param[T] { return nil }

// Forward implements Layer.
func (d *Dropout[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	if d.on = p.Train && d.Rate > 0; !d.on {
		return x
	}
	d.mask = p.grown(d.mask, x.V.Rows*x.V.Cols)
	p.engine().Mask(engine.Mask[T]{Seed: p.Seed ^ d.Salt*0x9e3779b97f4a7c15, Step: p.Step, Rate: d.Rate, Keep: T(1 / (1 - d.Rate))}, d.mask)
	y := d.y.take(p, x.V.Rows, x.V.Cols)
	linear(p, x, y, d.apply(p))
	return y
}

// Backward implements Layer.
func (d *Dropout[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	if !d.on || !need {
		return g
	}
	gx := d.gx.take(p, g.V.Rows, g.V.Cols)
	linear(p, g, gx, d.apply(p))
	return gx
}

// apply is multiplication by the mask.
func (d *Dropout[T]) apply(p *Pass[T]) func(x, y Matrix[T]) {
	return func(x, y Matrix[T]) {
		e := p.engine()
		if x.Stride == x.Cols {
			e.Multiply(x.Data[:len(d.mask)], d.mask, 0, y.Data[:len(d.mask)])
			return
		}
		for i := range y.Rows {
			e.Multiply(x.Row(i), d.mask[i*y.Cols:(i+1)*y.Cols], 0, y.Row(i))
		}
	}
}

func dropoutEntries() []Entry {
	return []Entry{
		{Name: "dropout", What: "random zeros in training", Example: func(r *rand.Rand) Example {
			return example(r, NewDropout[float64](0.4, 1), 5, 5, 4)
		}},
	}
}
