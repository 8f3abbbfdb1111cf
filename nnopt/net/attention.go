package net

import (
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Attention is multi-head self-attention over the positions of each example: softmax(Q K^T / sqrt(width of a head)) V of every head side by side, with
// learned maps before and after. With a causal mask a position sees itself and those before it.
type Attention[T Float] struct {
	Project *Linear[T] // width -> 3 width: queries, keys, values, each head by head
	Output  *Linear[T] // width -> width

	heads  int
	causal bool

	qkv, probs, mixed, g Dual[T]
	gqkv, gprobs         Dual[T]
	buffers              struct{ probs, mixed, gqkv, gprobs buffer[T] }
	pass                 *Pass[T]
	forward, backward    dense.Parallel // over examples
}

// NewAttention returns a layer for rows of the given width, a multiple of heads.
func NewAttention[T Float](r *rand.Rand, width, heads int, causal bool) *Attention[T] {
	if heads < 1 || width%heads != 0 {
		fail("attention of width %d with %d heads", width, heads)
	}
	a := &Attention[T]{
		Project: NewLinear[T](r, width, 3*width, LinearOptions{}), Output: NewLinear[T](r, width, width, LinearOptions{}),
		heads: heads, causal: causal,
	}
	a.forward.Task, a.backward.Task = dense.PartFunc(a.attend), dense.PartFunc(a.attendBack)
	return a
}

// Params implements Layer.
func (a *Attention[T]) Params(prefix string) []*Param[T] {
	return append(a.Project.Params(prefix+"project."), a.Output.Params(prefix+"output.")...)
}

func (a *Attention[T]) children() []Layer[T] { return []Layer[T]{a.Project, a.Output} }

// Forward implements Layer.
func (a *Attention[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	length := x.V.Rows / p.N
	a.pass = p
	a.qkv = a.Project.Forward(p, x)
	a.probs = a.buffers.probs.take(p, p.N*a.heads*length, length)
	a.mixed = a.buffers.mixed.take(p, x.V.Rows, x.V.Cols)
	p.run(&a.forward, p.N)
	return a.Output.Forward(p, a.mixed)
}

// Backward implements Layer.
func (a *Attention[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	a.pass = p
	a.g = a.Output.Backward(p, g, true)
	a.gqkv = a.buffers.gqkv.take(p, a.qkv.V.Rows, a.qkv.V.Cols)
	a.gprobs = a.buffers.gprobs.take(p, a.probs.V.Rows, a.probs.V.Cols)
	p.run(&a.backward, p.N)
	return a.Project.Backward(p, a.gqkv, need)
}

// batch is a batch of matrices with their derivatives, if any.
type batch[T Float] struct{ v, d engine.Batch[T] }

// part returns the blocks of one width at the columns first, first + width, ... of the given rows.
func part[T Float](x Dual[T], row, rows, first, width, count int) batch[T] {
	of := func(m Matrix[T]) engine.Batch[T] {
		b := engine.Batch[T]{Count: count, Rows: rows, Cols: width, Stride: m.Stride, Step: width}
		if m.Data != nil {
			b.Data = m.Data[row*m.Stride+first:]
		}
		return b
	}
	return batch[T]{of(x.V), of(x.D)}
}

// product is gemm for batches.
func product[T Float](p *Pass[T], ta, tb dense.Trans, alpha T, x, y, z batch[T]) {
	e := p.products()
	e.Gemm(ta, tb, alpha, x.v, y.v, 0, z.v)
	if z.d.Data == nil {
		return
	}
	e.Gemm(ta, tb, alpha, x.d, y.v, 0, z.d)
	e.Gemm(ta, tb, alpha, x.v, y.d, 1, z.d)
}

// headBatch holds the heads of one example: queries, keys, values, their mixture, and the probabilities.
type headBatch[T Float] struct{ q, k, v, mixed, probs batch[T] }

func (a *Attention[T]) example(n int, qkv, mixed, probs Dual[T]) headBatch[T] {
	length, width := probs.V.Cols, mixed.V.Cols
	w := width / a.heads
	h := headBatch[T]{mixed: part(mixed, n*length, length, 0, w, a.heads), probs: part(probs, n*a.heads*length, length, 0, length, a.heads)}
	h.probs.v.Step, h.probs.d.Step = length*length, length*length
	h.q, h.k, h.v = part(qkv, n*length, length, 0, w, a.heads), part(qkv, n*length, length, width, w, a.heads), part(qkv, n*length, length, 2*width, w, a.heads)
	return h
}

func (a *Attention[T]) scale() T {
	return T(1 / math.Sqrt(float64(a.mixed.V.Cols/a.heads)))
}

func (a *Attention[T]) attend(n int) {
	p := a.pass
	e := p.engine()
	h := a.example(n, forPass(p, a.qkv), a.mixed, a.probs)
	product(p, dense.NoTrans, dense.Transposed, a.scale(), h.q, h.k, h.probs)
	e.Softmax(a.causal, h.probs.v, nil)
	if h.probs.d.Data != nil {
		e.SoftmaxMap(h.probs.v, h.probs.d)
	}
	product(p, dense.NoTrans, dense.NoTrans, 1, h.probs, h.v, h.mixed)
}

func (a *Attention[T]) attendBack(n int) {
	p := a.pass
	e := p.engine()
	h := a.example(n, forPass(p, a.qkv), forPass(p, a.mixed), forPass(p, a.probs))
	g := a.example(n, a.gqkv, a.g, a.gprobs)
	product(p, dense.Transposed, dense.NoTrans, 1, h.probs, g.mixed, g.v)
	product(p, dense.NoTrans, dense.Transposed, 1, g.mixed, h.v, g.probs)
	if g.probs.d.Data != nil {
		e.SoftmaxMapTangent(h.probs.v, h.probs.d, g.probs.v, g.probs.d)
	} else {
		e.SoftmaxMap(h.probs.v, g.probs.v)
	}
	product(p, dense.NoTrans, dense.NoTrans, a.scale(), g.probs, h.k, g.q)
	product(p, dense.Transposed, dense.NoTrans, a.scale(), g.probs, h.q, g.k)
}

func attentionEntries() []Entry {
	return []Entry{
		{Name: "attention", What: "multi-head self-attention over all positions", Example: func(r *rand.Rand) Example {
			return example(r, NewAttention[float64](r, 4, 2, false), 2, 6, 4)
		}},
		{Name: "causal-attention", What: "multi-head self-attention over earlier positions", Example: func(r *rand.Rand) Example {
			return example(r, NewAttention[float64](r, 4, 2, true), 2, 6, 4)
		}},
	}
}
