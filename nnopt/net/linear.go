package net

import (
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
)

// Linear is the map z = x W^T + b of the rows of x.
type Linear[T Float] struct {
	Weight *Param[T] // Dout x Din
	Bias   *Param[T] // 1 x Dout, or nil

	x, g  Dual[T]
	y, gx buffer[T]
}

// LinearOptions are the options of a Linear layer.
type LinearOptions struct {
	NoBias bool
	Gain   float64 // the weights start normal with standard deviation Gain/sqrt(Din); default 1, sqrt 2 suits ReLU
}

// NewLinear returns a layer with random weights and a bias of zero.
func NewLinear[T Float](r *rand.Rand, in, out int, o LinearOptions) *Linear[T] {
	l := &Linear[T]{Weight: newParam[T](out, in)}
	gain := o.Gain
	if gain == 0 {
		gain = 1
	}
	l.Weight.gaussian(r, gain/math.Sqrt(float64(in)))
	if !o.NoBias {
		l.Bias = newParam[T](1, out)
	}
	return l
}

// NewTied returns a Linear layer without bias whose weights are those of an embedding: its outputs are scores of the tokens.
func NewTied[T Float](e *Embedding[T]) *Linear[T] { return &Linear[T]{Weight: e.Table} }

// Params implements Layer.
func (l *Linear[T]) Params(prefix string) []*Param[T] {
	all := []*Param[T]{l.Weight.named(prefix + "weight")}
	if l.Bias != nil {
		all = append(all, l.Bias.named(prefix+"bias"))
	}
	return all
}

// Forward implements Layer.
func (l *Linear[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	l.x = x
	y := l.y.take(p, x.V.Rows, l.Weight.Value.V.Rows)
	var keep T
	if l.Bias != nil {
		addRow(p, l.Bias.value(p), 0, y)
		keep = 1
	}
	gemm(p, dense.NoTrans, dense.Transposed, 1, x, l.Weight.value(p), keep, y)
	return y
}

// Backward implements Layer.
func (l *Linear[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	l.g = g
	if !p.Streams {
		gemm(p, dense.Transposed, dense.NoTrans, 1, g, forPass(p, l.x), 1, l.Weight.grad(p))
		if l.Bias != nil {
			addColumnSums(p, g, l.Bias.grad(p))
		}
	}
	if !need {
		return Dual[T]{}
	}
	gx := l.gx.take(p, g.V.Rows, l.Weight.Value.V.Cols)
	gemm(p, dense.NoTrans, dense.NoTrans, 1, g, l.Weight.value(p), 0, gx)
	return gx
}

func (l *Linear[T]) blocks() nnopt.Layer { return blocksOf(l.Weight, l.Bias) }

func (l *Linear[T]) stats(p *Pass[T]) nnopt.Stats[T] {
	return statsOf(p, l.Weight, l.Bias, l.x.V, l.g.V)
}

func statsOf[T Float](p *Pass[T], weight, bias *Param[T], in, out Matrix[T]) nnopt.Stats[T] {
	l := blocksOf(weight, bias)
	return nnopt.Stats[T]{Weight: l.Weight, Bias: l.Bias, In: in, Out: out, Reps: in.Rows / p.N}
}

func blocksOf[T Float](weight, bias *Param[T]) nnopt.Layer {
	l := nnopt.Layer{Weight: weight.Name}
	if bias != nil {
		l.Bias = bias.Name
	}
	return l
}

func linearEntries() []Entry {
	return []Entry{
		{Name: "linear", What: "z = x W^T + b", Example: func(r *rand.Rand) Example {
			return example(r, NewLinear[float64](r, 4, 3, LinearOptions{}), 5, 5, 4)
		}},
		{Name: "tied", What: "an embedding whose table also maps to scores", Tokens: true, Example: func(r *rand.Rand) Example {
			table := NewEmbedding[float64](r, 5, 3)
			e := example(r, Chain[float64](table, NewActivation[float64](Tanh), NewTied(table)), 2, 6, 1)
			for i := range e.X.Data {
				e.X.Data[i] = float64(r.IntN(5))
			}
			return e
		}},
	}
}
