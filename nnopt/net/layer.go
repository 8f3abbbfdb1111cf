package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
)

// Pass is what the layers are told about a forward and backward pass.
type Pass[T Float] struct {
	N       int    // examples in the batch; the rows of an activation divided by N are positions
	Train   bool   // dropout is on, batch normalisation uses the batch
	Tangent bool   // carry derivatives along the tangents of the parameters
	Streams bool   // Backward is for the statistics alone: layers with a weight matrix need not add to its gradient
	Seed    uint64 // with Step: of the masks of dropout
	Step    uint64

	ground[T]
}

// Layer is a differentiable map of matrices. It may keep the matrices that it gets and returns until its next Forward. What a layer of another package
// holds is its own affair: parameters of layers inside of it count as those of a layer without statistics (Net.Unobserved), and running averages
// there are not among Net.Arrays. Chain and NewResidual put layers together that are seen.
type Layer[T Float] interface {
	// Forward returns the outputs for the inputs x.
	Forward(p *Pass[T], x Dual[T]) Dual[T]
	// Backward takes the gradient of the loss at the outputs of the last Forward, adds to the gradients of the parameters, and returns the
	// gradient at the inputs, or nothing of use unless need is set. Without p.Tangent it uses no derivatives, even if Forward had some.
	Backward(p *Pass[T], g Dual[T], need bool) Dual[T]
	// Params names the parameters, each starting with prefix, and returns them.
	Params(prefix string) []*Param[T]
}

// container is implemented by layers that hold layers.
type container[T Float] interface{ children() []Layer[T] }

// observed is implemented by layers with a weight matrix.
type observed[T Float] interface {
	stats(p *Pass[T]) nnopt.Stats[T]
	blocks() nnopt.Layer
}

// placed is implemented by layers that keep arrays of their own, which move to a device.
type placed[T Float] interface{ use(g *ground[T]) }

// stateful is implemented by layers that keep arrays that are not trained, such as running means.
type stateful[T Float] interface {
	Arrays(prefix string) []nnopt.Block[T]
}

// Param is a matrix of parameters with its gradient. The D parts are the direction of a tangent pass and its Hessian-vector product.
type Param[T Float] struct {
	Name        string
	Value, Grad Dual[T]
}

func newParam[T Float](rows, cols int) *Param[T] {
	if rows < 1 || cols < 1 {
		fail("parameters of %d x %d", rows, cols)
	}
	return &Param[T]{Value: Dual[T]{V: dense.New[T](rows, cols)}, Grad: Dual[T]{V: dense.New[T](rows, cols)}}
}

// gaussian fills the values with normal numbers of the given standard deviation.
func (w *Param[T]) gaussian(r *rand.Rand, deviation float64) *Param[T] {
	for i := range w.Value.V.Data {
		w.Value.V.Data[i] = T(deviation * r.NormFloat64())
	}
	return w
}

func (w *Param[T]) constant(v T) *Param[T] {
	for i := range w.Value.V.Data {
		w.Value.V.Data[i] = v
	}
	return w
}

// named sets the name, unless the parameter has one because another layer shares it.
func (w *Param[T]) named(name string) *Param[T] {
	if w.Name == "" {
		w.Name = name
	}
	return w
}

// value returns the parameters for a pass, grad their gradients.
func (w *Param[T]) value(p *Pass[T]) Dual[T] { return forPass(p, w.Value) }
func (w *Param[T]) grad(p *Pass[T]) Dual[T]  { return forPass(p, w.Grad) }

func forPass[T Float](p *Pass[T], x Dual[T]) Dual[T] {
	if !p.Tangent {
		x.D = Matrix[T]{}
	}
	return x
}

// allocateTangents makes room for the D parts.
func (w *Param[T]) allocateTangents(g *ground[T]) {
	if rows, cols := w.Value.V.Rows, w.Value.V.Cols; !w.Value.dual() {
		w.Value.D = dense.Wrap(rows, cols, g.grown(nil, rows*cols))
		w.Grad.D = dense.Wrap(rows, cols, g.grown(nil, rows*cols))
	}
}
