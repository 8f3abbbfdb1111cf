package net

import "math/rand/v2"

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
	if s.kind == Max {
		s.choose(x.V, y.V)
	}
	linear(x, y, s.reduce)
	return y
}

// Backward implements Layer.
func (s *Pool[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	if !need {
		return Dual[T]{}
	}
	gx := s.gx.take(p, s.rows, g.V.Cols)
	linear(g, gx, s.spread)
	return gx
}

// window returns the rows of the input that output row i summarises: height runs of width neighbouring rows, next apart.
func (s *Pool[T]) window(i, outputs int) (first, height, width, next int) {
	if s.outHeight == 0 {
		length := s.rows / outputs
		return i * length, 1, length, 0
	}
	per := s.outHeight * s.outWidth
	y, x := i%per/s.outWidth*s.o.Stride, i%s.outWidth*s.o.Stride
	return (i/per*s.o.Height+y)*s.o.Width + x, s.o.Window, s.o.Window, s.o.Width
}

// choose remembers for each element of the output which row of x holds the maximum.
func (s *Pool[T]) choose(x, y Matrix[T]) {
	s.chosen = grown(s.chosen, y.Rows*y.Cols)
	for i := range y.Rows {
		pick := s.chosen[i*y.Cols:][:y.Cols]
		first, height, width, next := s.window(i, y.Rows)
		for j := range pick {
			pick[j] = int32(first)
		}
		for a := range height {
			for b := range width {
				r := first + a*next + b
				for j, v := range x.Row(r) {
					if v > x.At(int(pick[j]), j) {
						pick[j] = int32(r)
					}
				}
			}
		}
	}
}

// reduce is the linear map from x to y, spread its transpose from y to x.
func (s *Pool[T]) reduce(x, y Matrix[T]) {
	for i := range y.Rows {
		out := y.Row(i)
		if s.kind == Max {
			for j := range out {
				out[j] = x.At(int(s.chosen[i*y.Cols+j]), j)
			}
			continue
		}
		clear(out)
		first, height, width, next := s.window(i, y.Rows)
		weight := s.weight(height * width)
		for a := range height {
			for b := range width {
				for j, v := range x.Row(first + a*next + b) {
					out[j] += weight * v
				}
			}
		}
	}
}

func (s *Pool[T]) spread(y, x Matrix[T]) {
	x.Zero()
	for i := range y.Rows {
		in := y.Row(i)
		if s.kind == Max {
			for j, v := range in {
				x.Data[int(s.chosen[i*y.Cols+j])*x.Stride+j] += v
			}
			continue
		}
		first, height, width, next := s.window(i, y.Rows)
		weight := s.weight(height * width)
		for a := range height {
			for b := range width {
				row := x.Row(first + a*next + b)
				for j, v := range in {
					row[j] += weight * v
				}
			}
		}
	}
}

func (s *Pool[T]) weight(count int) T {
	if s.kind == Mean {
		return 1 / T(count)
	}
	return 1
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
