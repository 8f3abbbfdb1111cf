package net

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/nnopt"
)

// Batch is what a network sees at a time.
type Batch[T Float] struct {
	X      Matrix[T] // inputs, N*S rows
	N      int       // examples
	Target Target[T]
	Step   uint64 // of the masks of dropout
}

// Net is a network with a loss.
type Net[T Float] struct {
	Root Layer[T]
	Loss Loss[T]

	// Inference makes the passes behind derivatives those of evaluation: dropout off, batch normalisation by its running averages.
	Inference bool

	params []*Param[T]
	blocks []nnopt.Block[T]
	seen   []observed[T]
	pass   Pass[T]
	g      buffer[T]
	out    Matrix[T]
	drawn  Target[T] // of SampledGradient
	terms  float64   // of the loss behind the last pass back, 0 if that was no loss (nnopt.Stats.Terms)
}

// New returns the network of a layer and a loss and names its parameters. seed selects the masks of dropout.
func New[T Float](root Layer[T], loss Loss[T], seed uint64) *Net[T] {
	n := &Net[T]{Root: root, Loss: loss, pass: Pass[T]{Seed: seed}}
	for _, p := range root.Params("") {
		if slices.Contains(n.params, p) {
			continue
		}
		n.params = append(n.params, p)
		v := p.Value.V
		n.blocks = append(n.blocks, nnopt.Block[T]{Name: p.Name, Rows: v.Rows, Cols: v.Cols, Value: v.Data, Grad: p.Grad.V.Data})
	}
	walk(root, func(l Layer[T]) {
		if o, ok := l.(observed[T]); ok {
			n.seen = append(n.seen, o)
		}
	})
	return n
}

// Blocks returns the parameters as an optimizer takes them; they share their memory with the network.
func (n *Net[T]) Blocks() []nnopt.Block[T] { return n.blocks }

// Dim returns the number of parameters.
func (n *Net[T]) Dim() (dim int) {
	for _, b := range n.blocks {
		dim += b.Len()
	}
	return dim
}

// Arrays returns arrays that are not trained but belong to a saved model, such as running means.
func (n *Net[T]) Arrays() (all []nnopt.Block[T]) {
	k := 0
	walk(n.Root, func(l Layer[T]) {
		if s, ok := l.(stateful[T]); ok {
			all = append(all, s.Arrays(fmt.Sprintf("layer%d.", k))...)
		}
		k++
	})
	return all
}

// walk visits all layers, outer before inner.
func walk[T Float](l Layer[T], visit func(Layer[T])) {
	visit(l)
	if c, ok := l.(container[T]); ok {
		for _, inner := range c.children() {
			walk(inner, visit)
		}
	}
}

func (n *Net[T]) forward(b *Batch[T], train, tangent bool) Dual[T] {
	n.pass.N, n.pass.Step, n.pass.Train, n.pass.Tangent = b.N, b.Step, train && !n.Inference, tangent
	out := n.Root.Forward(&n.pass, Dual[T]{V: b.X})
	n.out = out.V
	return out
}

// Outputs returns the outputs of the last pass; the view is valid until the next one.
func (n *Net[T]) Outputs() Matrix[T] { return n.out }

func (n *Net[T]) backward(g Dual[T]) {
	n.terms = 0
	e := n.pass.engine()
	for _, p := range n.params {
		e.Blend(0, nil, 0, nil, p.Grad.V.Data)
		if n.pass.Tangent {
			e.Blend(0, nil, 0, nil, p.Grad.D.Data)
		}
	}
	n.Root.Backward(&n.pass, g, false)
}

// Forward returns the outputs without dropout; the view is valid until the next pass.
func (n *Net[T]) Forward(b *Batch[T]) Matrix[T] {
	n.pass.begin()
	defer n.pass.end()
	return n.forward(b, false, false).V
}

// Evaluate returns the loss without dropout, and the outputs.
func (n *Net[T]) Evaluate(b *Batch[T]) (float64, Matrix[T]) {
	n.pass.begin()
	defer n.pass.end()
	out := n.forward(b, false, false)
	return n.evaluate(out, &b.Target, Dual[T]{}), out.V
}

// evaluate returns the loss of the outputs and sets g to its gradient.
func (n *Net[T]) evaluate(out Dual[T], t *Target[T], g Dual[T]) float64 {
	if !n.pass.lossDefers {
		engine.Wait(n.pass.engine())
	}
	return n.Loss.Evaluate(out, t, g)
}

// gradient takes the gradient of the loss of the outputs back and returns the loss, for which it waits at the end.
func (n *Net[T]) gradient(out Dual[T], t *Target[T]) float64 {
	if err := n.Loss.Check(out.V.Rows, out.V.Cols, t); err != nil {
		fail("%v", err)
	}
	g := n.g.take(&n.pass, out.V.Rows, out.V.Cols)
	late, ok := n.Loss.(lateLoss[T])
	if !ok {
		loss := n.evaluate(out, t, g)
		n.backward(g)
		return loss
	}
	late.start(out, t, g)
	n.backward(g)
	return late.value()
}

// Gradient sets the gradients of the blocks and returns the loss.
func (n *Net[T]) Gradient(b *Batch[T]) float64 {
	n.pass.begin()
	defer n.pass.end()
	loss := n.gradient(n.forward(b, true, false), &b.Target)
	n.terms = 1 / n.Loss.Factor(n.out, &b.Target)
	return loss
}

// JVP returns the derivative of the outputs along the direction v, which has Dim elements in the order of the blocks; the view is valid until the
// next pass.
func (n *Net[T]) JVP(b *Batch[T], v []T) Matrix[T] {
	n.setDirection(v)
	n.pass.begin()
	defer n.pass.end()
	return n.forward(b, true, true).D
}

// HVP sets dst to the Hessian of the loss times v, and the gradients of the blocks to the gradient, and returns the loss. dst may be v.
func (n *Net[T]) HVP(b *Batch[T], v, dst []T) float64 {
	n.setDirection(v)
	n.pass.begin()
	defer n.pass.end()
	loss := n.gradient(n.forward(b, true, true), &b.Target)
	n.collect(dst, func(p *Param[T]) []T { return p.Grad.D.Data })
	return loss
}

// GGNVP sets dst to the Gauss-Newton matrix J^T H J times v, with J the derivative of the outputs and H the Hessian of the loss in them. dst may be v.
// The gradients of the blocks are overwritten.
func (n *Net[T]) GGNVP(b *Batch[T], v, dst []T) {
	n.setDirection(v)
	n.pass.begin()
	defer n.pass.end()
	out := n.forward(b, true, true)
	g := n.g.take(&n.pass, out.V.Rows, out.V.Cols)
	n.evaluate(out, &b.Target, g)
	n.PullBack(g.D)
	n.collect(dst, func(p *Param[T]) []T { return p.Grad.V.Data })
}

// PullBack takes the vector u at the outputs of the last pass back: it sets the gradients of the blocks to J^T u. After it Stats holds what the layers saw.
func (n *Net[T]) PullBack(u Matrix[T]) {
	n.pass.begin()
	defer n.pass.end()
	n.pass.Tangent = false
	n.backward(Dual[T]{V: u})
}

// SampledGradient takes the gradient of the loss at targets that are drawn from the distribution of the outputs back through the network, for the
// statistics of the layers (nnopt.SampledStats). Rows whose class is negative stay out. It overwrites the gradients of the blocks.
func (n *Net[T]) SampledGradient(b *Batch[T], r *rand.Rand) {
	n.pass.begin()
	defer n.pass.end()
	out := n.forward(b, true, false)
	if !n.pass.lossDefers {
		engine.Wait(n.pass.engine())
	}
	n.Loss.Sample(out.V, r, &n.drawn)
	for i, c := range b.Target.Classes {
		if c < 0 && i < len(n.drawn.Classes) {
			n.drawn.Classes[i] = c
		}
	}
	n.gradient(out, &n.drawn)
	n.terms = 1 / n.Loss.Factor(out.V, &n.drawn)
}

// Layers lists the layers that Stats reports, in its order.
func (n *Net[T]) Layers() (all []nnopt.Layer) {
	for _, o := range n.seen {
		all = append(all, o.blocks())
	}
	return all
}

// Linearize returns the outputs of the pass behind derivatives, after which PullBack and PullStreams may follow; the view is valid until the next pass.
func (n *Net[T]) Linearize(b *Batch[T]) Matrix[T] {
	n.pass.begin()
	defer n.pass.end()
	return n.forward(b, true, false).V
}

// PullStreams is PullBack for Stats alone: it leaves out what only the gradients of weight matrices need, about a third of a gradient. The gradients
// of the blocks are unspecified.
func (n *Net[T]) PullStreams(u Matrix[T]) {
	n.pass.begin()
	defer n.pass.end()
	n.pass.Tangent, n.pass.Streams, n.terms = false, true, 0
	n.Root.Backward(&n.pass, Dual[T]{V: u}, false)
	n.pass.Streams = false
}

// Unobserved lists the blocks that a layer without statistics owns, alone or together with others.
func (n *Net[T]) Unobserved() (names []string) {
	walk(n.Root, func(l Layer[T]) {
		_, sees := l.(observed[T])
		_, holds := l.(container[T])
		if sees || holds {
			return
		}
		for _, p := range l.Params("") {
			if !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	})
	return names
}

// Stats appends to dst what the layers with weight matrices saw in the last Gradient, HVP, PullBack or PullStreams.
func (n *Net[T]) Stats(dst []nnopt.Stats[T]) []nnopt.Stats[T] {
	for _, o := range n.seen {
		s := o.stats(&n.pass)
		s.Terms = n.terms
		dst = append(dst, s)
	}
	return dst
}

func (n *Net[T]) setDirection(v []T) {
	if len(v) != n.Dim() {
		fail("direction of %d elements for %d parameters", len(v), n.Dim())
	}
	for _, p := range n.params {
		p.allocateTangents(&n.pass.ground)
		v = v[copy(p.Value.D.Data, v):]
	}
}

func (n *Net[T]) collect(dst []T, part func(*Param[T]) []T) {
	engine.Wait(n.pass.engine())
	if len(dst) != n.Dim() {
		fail("result of %d elements for %d parameters", len(dst), n.Dim())
	}
	for _, p := range n.params {
		dst = dst[copy(dst, part(p)):]
	}
}
