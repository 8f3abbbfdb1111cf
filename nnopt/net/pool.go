package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/engine"
)

// Reduction is how a Pool summarises positions.
type Reduction string

// The reductions.
const (
	Mean Reduction = "mean"
	Sum  Reduction = "sum"
	Max  Reduction = "max" // the first of equal values
)

// PoolOptions are the sizes of a pool over windows of images.
type PoolOptions struct {
	Height, Width int // of the input
	Window        int // default 2
	Stride        int // default Window
}

// Pool summarises, for each feature, the positions in windows of an image, or all positions of an example.
type Pool[T Float] struct {
	kind                Reduction
	o                   PoolOptions
	outHeight, outWidth int // 0 when all positions are one window

	rows   int // of the input
	form   engine.Pool
	chosen []int32
	y, gx  buffer[T]
}

// NewPool returns a pool over square windows without padding; what does not fill a window at the right and bottom is left out.
func NewPool[T Float](kind Reduction, o PoolOptions) *Pool[T] {
	if o.Window == 0 {
		o.Window = 2
	}
	if o.Stride == 0 {
		o.Stride = o.Window
	}
	s := &Pool[T]{kind: kind, o: o, outHeight: (o.Height-o.Window)/o.Stride + 1, outWidth: (o.Width-o.Window)/o.Stride + 1}
	if o.Window > min(o.Height, o.Width) || o.Stride < 1 {
		fail("pool with impossible sizes: %+v", o)
	}
	return s
}

// NewGlobalPool returns a pool over all positions of an example.
func NewGlobalPool[T Float](kind Reduction) *Pool[T] { return &Pool[T]{kind: kind} }

// OutputSize returns height and width of the output of a pool over windows.
func (s *Pool[T]) OutputSize() (height, width int) { return s.outHeight, s.outWidth }

// Params implements Layer.
func (s *Pool[T]) Params(string) []*Param[T] { return nil }

// Forward implements Layer.
func (s *Pool[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	s.rows = x.V.Rows
	out := p.N
	if s.outHeight > 0 {
		if x.V.Rows != p.N*s.o.Height*s.o.Width {
			fail("pool of %d rows for %d images of %d x %d", x.V.Rows, p.N, s.o.Height, s.o.Width)
		}
		out *= s.outHeight * s.outWidth
	}
	y := s.y.take(p, out, x.V.Cols)
	e := p.engine()
	s.form = s.pool(s.rows / out)
	if s.kind == Max {
		s.chosen = p.ints(s.chosen, out*x.V.Cols)
		e.Choose(s.form, x.V, out, s.chosen)
	}
	linear(p, x, y, func(x, y Matrix[T]) { e.Reduce(s.form, x, s.chosen, y) })
	return y
}

// pool describes the layer to the engine; all is the number of positions of an example.
func (s *Pool[T]) pool(all int) engine.Pool {
	f := engine.Pool{Height: s.o.Height, Width: s.o.Width, Window: s.o.Window, Stride: s.o.Stride, OutHeight: s.outHeight, OutWidth: s.outWidth,
		Max: s.kind == Max, Weight: 1}
	if s.outHeight > 0 {
		all = s.o.Window * s.o.Window
	}
	if s.kind == Mean {
		f.Weight = 1 / float64(all)
	}
	return f
}

// Backward implements Layer.
func (s *Pool[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	if !need {
		return Dual[T]{}
	}
	gx := s.gx.take(p, s.rows, g.V.Cols)
	e := p.engine()
	linear(p, g, gx, func(g, gx Matrix[T]) { e.Spread(s.form, g, s.chosen, gx) })
	return gx
}

func poolEntries() (all []Entry) {
	for _, k := range []Reduction{Mean, Sum, Max} {
		all = append(all,
			Entry{Name: string(k) + "pool", What: string(k) + " over windows of an image", Example: func(r *rand.Rand) Example {
				return example(r, NewPool[float64](k, PoolOptions{Height: 5, Width: 4, Window: 2, Stride: 1}), 2, 40, 3)
			}},
			Entry{Name: "global-" + string(k) + "pool", What: string(k) + " over all positions", Example: func(r *rand.Rand) Example {
				return example(r, NewGlobalPool[float64](k), 2, 8, 3)
			}})
	}
	return all
}
