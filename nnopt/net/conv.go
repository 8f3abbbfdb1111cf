package net

import (
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/nnopt"
)

// ConvOptions are the sizes of a Conv2d. Height and Width are those of the input; what is zero has its default.
type ConvOptions struct {
	In, Out       int // channels
	Height, Width int
	Kernel        int // default 3
	KernelWidth   int // default Kernel
	Stride        int // default 1
	StrideWidth   int // default Stride
	Padding       int // zeros around the image; default 0
	PaddingWidth  int // left and right; default Padding, -1 for none
	Dilation      int // default 1
	Groups        int // default 1; In and Out must be multiples
	NoBias        bool
	Gain          float64 // as in LinearOptions
}

func (o *ConvOptions) setDefaults() {
	for _, d := range []struct {
		field    *int
		standard int
	}{{&o.Kernel, 3}, {&o.Stride, 1}, {&o.Dilation, 1}, {&o.Groups, 1}} {
		if *d.field == 0 {
			*d.field = d.standard
		}
	}
	if o.KernelWidth == 0 {
		o.KernelWidth = o.Kernel
	}
	if o.StrideWidth == 0 {
		o.StrideWidth = o.Stride
	}
	switch o.PaddingWidth {
	case 0:
		o.PaddingWidth = o.Padding
	case -1:
		o.PaddingWidth = 0
	}
	if o.Gain == 0 {
		o.Gain = 1
	}
}

// Conv2d is a convolution: every output position is a linear map of the patch of the input under the kernel. A patch has the channels of a pixel next
// to each other, pixel after pixel, group after group; row c of Weight, Out x (Kernel*KernelWidth*In/Groups), is the kernel of output channel c.
type Conv2d[T Float] struct {
	Weight *Param[T]
	Bias   *Param[T] // 1 x Out, or nil

	o                   ConvOptions
	window              engine.Window
	outHeight, outWidth int
	x                   Matrix[T]
	patches, g          Dual[T]
	y, gx, gp, columns  buffer[T]
	line                []T             // of pixels, a sum
	sums                func(Matrix[T]) // sumPatches
}

// NewConv2d returns a layer with random weights and a bias of zero.
func NewConv2d[T Float](r *rand.Rand, o ConvOptions) *Conv2d[T] {
	o.setDefaults()
	c := &Conv2d[T]{o: o}
	c.window = engine.Window{
		Height: o.Height, Width: o.Width, Channels: o.In, Groups: o.Groups, KernelHeight: o.Kernel, KernelWidth: o.KernelWidth, Dilation: o.Dilation,
		StrideHeight: o.Stride, StrideWidth: o.StrideWidth, PaddingHeight: o.Padding, PaddingWidth: o.PaddingWidth,
	}
	c.outHeight, c.outWidth = c.window.Size()
	if o.In < 1 || o.In%o.Groups != 0 || o.Out%o.Groups != 0 || c.outHeight < 1 || c.outWidth < 1 {
		fail("convolution with impossible sizes: %+v", o)
	}
	c.sums = c.sumPatches
	fan := o.Kernel * o.KernelWidth * o.In / o.Groups
	c.Weight = newParam[T](o.Out, fan).gaussian(r, o.Gain/math.Sqrt(float64(fan)))
	if !o.NoBias {
		c.Bias = newParam[T](1, o.Out)
	}
	return c
}

// OutputSize returns height and width of the output.
func (c *Conv2d[T]) OutputSize() (height, width int) { return c.outHeight, c.outWidth }

// Params implements Layer.
func (c *Conv2d[T]) Params(prefix string) []*Param[T] {
	all := []*Param[T]{c.Weight.named(prefix + "weight")}
	if c.Bias != nil {
		all = append(all, c.Bias.named(prefix+"bias"))
	}
	return all
}

// Forward implements Layer.
func (c *Conv2d[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	if x.V.Rows != p.N*c.o.Height*c.o.Width || x.V.Cols != c.o.In || x.V.Stride != x.V.Cols {
		fail("convolution of %d x %d for %d images of %d x %d with %d channels", x.V.Rows, x.V.Cols, p.N, c.o.Height, c.o.Width, c.o.In)
	}
	c.x = x.V
	rows := p.N * c.outHeight * c.outWidth
	y := c.y.take(p, rows, c.o.Out)
	c.patches = c.columns.take(p, rows, c.o.Groups*c.Weight.Value.V.Cols)
	if !x.dual() {
		c.patches.D = Matrix[T]{}
	}
	e := p.engine()
	e.Patches(c.window, c.images(x.V), c.patchesOf(c.patches.V))
	if x.dual() {
		e.Patches(c.window, c.images(x.D), c.patchesOf(c.patches.D))
	}
	var keep T
	if c.Bias != nil {
		addRow(p, c.Bias.value(p), 0, y)
		keep = 1
	}
	for k := range c.o.Groups {
		patches, w, out := c.group(k, c.patches, c.Weight.value(p), y)
		gemm(p, dense.NoTrans, dense.Transposed, 1, patches, w, keep, out)
	}
	return y
}

// group returns the blocks of the patches, the weights and the outputs that belong to group k.
func (c *Conv2d[T]) group(k int, patches, weight, y Dual[T]) (Dual[T], Dual[T], Dual[T]) {
	in, out := weight.V.Cols, c.o.Out/c.o.Groups
	return patches.view(0, k*in, patches.V.Rows, in), weight.view(k*out, 0, out, in), y.view(0, k*out, y.V.Rows, out)
}

// Backward implements Layer.
func (c *Conv2d[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	c.g = g
	if c.Bias != nil && !p.Streams {
		addColumnSums(p, g, c.Bias.grad(p))
	}
	var gp Dual[T]
	if need {
		gp = c.gp.take(p, c.patches.V.Rows, c.patches.V.Cols)
	}
	patches := forPass(p, c.patches)
	for k := range c.o.Groups {
		in, gw, out := c.group(k, patches, c.Weight.grad(p), g)
		if !p.Streams {
			gemm(p, dense.Transposed, dense.NoTrans, 1, out, in, 1, gw)
		}
		if need {
			gin, w, _ := c.group(k, gp, c.Weight.value(p), g)
			gemm(p, dense.NoTrans, dense.NoTrans, 1, out, w, 0, gin)
		}
	}
	if !need {
		return Dual[T]{}
	}
	gx := c.gx.take(p, p.N*c.o.Height*c.o.Width, c.o.In)
	e := p.engine()
	e.Pixels(c.window, c.patchesOf(gp.V), c.images(gx.V))
	if gx.dual() {
		e.Pixels(c.window, c.patchesOf(gp.D), c.images(gx.D))
	}
	return gx
}

// images views x as a batch of images, patchesOf y as a batch of their patches.
func (c *Conv2d[T]) images(x Matrix[T]) engine.Batch[T] {
	return split(x, c.window.Height*c.window.Width)
}

func (c *Conv2d[T]) patchesOf(y Matrix[T]) engine.Batch[T] { return split(y, c.outHeight*c.outWidth) }

// split views the rows of m as a batch of matrices of that many rows.
func split[T Float](m Matrix[T], rows int) engine.Batch[T] {
	return engine.Batch[T]{Count: m.Rows / rows, Rows: rows, Cols: m.Cols, Stride: m.Stride, Step: rows * m.Stride, Data: m.Data}
}

func (c *Conv2d[T]) blocks() nnopt.Layer { return blocksOf(c.Weight, c.Bias) }

func (c *Conv2d[T]) stats(p *Pass[T]) nnopt.Stats[T] {
	s := statsOf(p, c.Weight, c.Bias, c.patches.V, c.g.V)
	s.Sums = c.sums
	return s
}

func convEntries() []Entry {
	return []Entry{
		{Name: "conv2d", What: "convolution with stride, padding, dilation and groups", Example: func(r *rand.Rand) Example {
			o := ConvOptions{In: 4, Out: 6, Height: 6, Width: 5, Kernel: 3, KernelWidth: 2, Stride: 2, Padding: 1, Dilation: 2, Groups: 2}
			return example(r, NewConv2d[float64](r, o), 2, 60, 4)
		}},
	}
}
