package net

import (
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
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
	forwardHead          func(int)
	backwardHead         func(int)
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
	a.forwardHead, a.backwardHead = a.attend, a.attendBack
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
	dense.Parallel(p.N*a.heads, a.forwardHead)
	return a.Output.Forward(p, a.mixed)
}

// Backward implements Layer.
func (a *Attention[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	a.pass = p
	a.g = a.Output.Backward(p, g, true)
	a.gqkv = a.buffers.gqkv.take(p, a.qkv.V.Rows, a.qkv.V.Cols)
	a.gprobs = a.buffers.gprobs.take(p, a.probs.V.Rows, a.probs.V.Cols)
	dense.Parallel(p.N*a.heads, a.backwardHead)
	return a.Project.Backward(p, a.gqkv, need)
}

// head holds the views of one head of one example.
type head[T Float] struct{ q, k, v, mixed, probs Dual[T] }

func (a *Attention[T]) head(index int, qkv, mixed, probs Dual[T]) head[T] {
	length, width := probs.V.Cols, mixed.V.Cols
	n, h := index/a.heads, index%a.heads
	w := width / a.heads
	part := func(k int) Dual[T] { return qkv.view(n*length, k*width+h*w, length, w) }
	return head[T]{part(0), part(1), part(2), mixed.view(n*length, h*w, length, w), probs.view(index*length, 0, length, length)}
}

func (a *Attention[T]) scale() T {
	return T(1 / math.Sqrt(float64(a.mixed.V.Cols/a.heads)))
}

func (a *Attention[T]) attend(index int) {
	p := a.pass
	h := a.head(index, forPass(p, a.qkv), a.mixed, a.probs)
	gemm(dense.NoTrans, dense.Transposed, a.scale(), h.q, h.k, 0, h.probs)
	for i := range h.probs.V.Rows {
		seen := h.probs.V.Cols
		if a.causal {
			seen = i + 1
		}
		row := h.probs.V.Row(i)
		softmaxRow(row[:seen])
		clear(row[seen:])
		if h.probs.dual() {
			d := h.probs.D.Row(i)
			softmaxTangent(row[:seen], d[:seen])
			clear(d[seen:])
		}
	}
	gemm(dense.NoTrans, dense.NoTrans, 1, h.probs, h.v, 0, h.mixed)
}

func (a *Attention[T]) attendBack(index int) {
	p := a.pass
	h := a.head(index, forPass(p, a.qkv), forPass(p, a.mixed), forPass(p, a.probs))
	g := a.head(index, a.gqkv, a.g, a.gprobs)
	gemm(dense.Transposed, dense.NoTrans, 1, h.probs, g.mixed, 0, g.v)
	gemm(dense.NoTrans, dense.Transposed, 1, g.mixed, h.v, 0, g.probs)
	for i := range h.probs.V.Rows {
		var pd, gd []T
		if g.probs.dual() {
			pd, gd = h.probs.D.Row(i), g.probs.D.Row(i)
		}
		softmaxBackward(h.probs.V.Row(i), pd, g.probs.V.Row(i), gd)
	}
	gemm(dense.NoTrans, dense.NoTrans, a.scale(), g.probs, h.k, 0, g.q)
	gemm(dense.Transposed, dense.NoTrans, a.scale(), g.probs, h.q, 0, g.k)
}

// softmaxBackward turns the gradient g at the probabilities p into that at the scores, p (g - p.g), in place, and its derivative likewise unless gd is
// nil.
func softmaxBackward[T Float](p, pd, g, gd []T) {
	mean := dense.Dot(p, g)
	if gd != nil {
		dmean := dense.Dot(pd, g) + dense.Dot(p, gd)
		for j, v := range p {
			gd[j] = pd[j]*(g[j]-mean) + v*(gd[j]-dmean)
		}
	}
	for j, v := range p {
		g[j] = v * (g[j] - mean)
	}
}
