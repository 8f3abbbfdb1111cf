package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/engine"
)

// normEps is added to the variance before the root.
const normEps = 1e-5

// standardizer maps the rows of a matrix, or its columns, to mean 0 and variance 1, or without center to mean square 1.
type standardizer[T Float] struct {
	center, cols bool

	h, gx       buffer[T]
	hat         Dual[T]
	scale, bend []T
	form        engine.Normalisation[T] // of the last forward
}

func (n *standardizer[T]) forward(p *Pass[T], x Dual[T]) Dual[T] {
	if x.V.Stride != x.V.Cols {
		fail("normalisation of a matrix that is not contiguous")
	}
	n.hat = n.h.take(p, x.V.Rows, x.V.Cols)
	count := x.V.Rows
	if n.cols {
		count = x.V.Cols
	}
	n.scale, n.bend = p.grown(n.scale, count), p.grown(n.bend, count)
	n.form = engine.Normalisation[T]{Center: n.center, Columns: n.cols, Eps: normEps, H: engine.One(n.hat.V), Scale: n.scale}
	e := p.engine()
	e.Normalise(n.form, engine.One(x.V))
	if !n.hat.dual() {
		return n.hat
	}
	n.form.DH, n.form.Bend = engine.One(n.hat.D), n.bend
	if x.dual() {
		e.NormaliseMap(n.form, engine.One(x.D), n.form.DH)
	} else {
		zero(p, n.hat.D)
		e.Blend(0, nil, 0, nil, n.bend)
	}
	return n.hat
}

// backward takes the gradient g at the outputs and returns that at the inputs.
func (n *standardizer[T]) backward(p *Pass[T], g Dual[T]) Dual[T] {
	gx := n.gx.take(p, g.V.Rows, g.V.Cols)
	e, form := p.engine(), n.form
	form.Bend = nil
	e.NormaliseMap(form, engine.One(g.V), engine.One(gx.V))
	if gx.dual() {
		e.NormaliseMapTangent(n.form, engine.One(g.V), engine.One(g.D), engine.One(gx.V), engine.One(gx.D))
	}
	return gx
}

// scaler multiplies every column by a gain and adds a shift.
type scaler[T Float] struct {
	gain, shift *Param[T] // 1 x width; shift may be nil
	y, gh       buffer[T]
	h           Dual[T]
}

func newScaler[T Float](width int, shift bool) scaler[T] {
	s := scaler[T]{gain: newParam[T](1, width).constant(1)}
	if shift {
		s.shift = newParam[T](1, width)
	}
	return s
}

func (s *scaler[T]) params(prefix string) []*Param[T] {
	all := []*Param[T]{s.gain.named(prefix + "gain")}
	if s.shift != nil {
		all = append(all, s.shift.named(prefix+"shift"))
	}
	return all
}

func (s *scaler[T]) forward(p *Pass[T], h Dual[T]) Dual[T] {
	s.h = h
	y := s.y.take(p, h.V.Rows, h.V.Cols)
	scaleColumns(p, s.gain.value(p), h, y)
	if s.shift != nil {
		addRow(p, s.shift.value(p), 1, y)
	}
	return y
}

// scaleColumns sets y to x with its columns multiplied by a.
func scaleColumns[T Float](p *Pass[T], a, x, y Dual[T]) {
	e := p.engine()
	e.ScaleCols(a.V.Data, engine.One(x.V), 0, engine.One(y.V))
	if !y.dual() {
		return
	}
	e.ScaleCols(a.D.Data, engine.One(x.V), 0, engine.One(y.D))
	if x.dual() {
		e.ScaleCols(a.V.Data, engine.One(x.D), 1, engine.One(y.D))
	}
}

// backward adds to the gradients of gain and shift and returns the gradient at h.
func (s *scaler[T]) backward(p *Pass[T], g Dual[T]) Dual[T] {
	e, gain := p.engine(), s.gain.grad(p)
	e.ColDots(engine.One(g.V), engine.One(s.h.V), gain.V.Data)
	if gain.dual() {
		e.ColDots(engine.One(g.D), engine.One(s.h.V), gain.D.Data)
		e.ColDots(engine.One(g.V), engine.One(s.h.D), gain.D.Data)
	}
	if s.shift != nil {
		addColumnSums(p, g, s.shift.grad(p))
	}
	gh := s.gh.take(p, g.V.Rows, g.V.Cols)
	scaleColumns(p, s.gain.value(p), g, gh)
	return gh
}

// Norm normalises every row to mean 0 and variance 1 (LayerNorm) or to mean square 1 (RMSNorm), then scales the columns.
type Norm[T Float] struct {
	rows  standardizer[T]
	scale scaler[T]
}

// NewLayerNorm returns a Norm with gain and shift.
func NewLayerNorm[T Float](width int) *Norm[T] {
	return &Norm[T]{standardizer[T]{center: true}, newScaler[T](width, true)}
}

// NewRMSNorm returns a Norm that does not subtract the mean and has no shift.
func NewRMSNorm[T Float](width int) *Norm[T] {
	return &Norm[T]{standardizer[T]{}, newScaler[T](width, false)}
}

// Params implements Layer.
func (n *Norm[T]) Params(prefix string) []*Param[T] { return n.scale.params(prefix) }

// Forward implements Layer.
func (n *Norm[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	return n.scale.forward(p, n.rows.forward(p, x))
}

// Backward implements Layer.
func (n *Norm[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	gh := n.scale.backward(p, g)
	if !need {
		return Dual[T]{}
	}
	return n.rows.backward(p, gh)
}

func normEntries() []Entry {
	return []Entry{
		{Name: "layernorm", What: "rows to mean 0 and variance 1", Example: func(r *rand.Rand) Example {
			return example(r, NewLayerNorm[float64](5), 4, 4, 5)
		}},
		{Name: "rmsnorm", What: "rows to mean square 1", Example: func(r *rand.Rand) Example {
			return example(r, NewRMSNorm[float64](5), 4, 4, 5)
		}},
	}
}
