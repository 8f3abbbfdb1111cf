package net

import (
	"math/rand/v2"
)

// Embedding replaces tokens by rows of a table. Its input has one column of token numbers.
type Embedding[T Float] struct {
	Table  *Param[T] // tokens x width
	tokens []int32   // of the last Forward
	y      buffer[T]
}

// NewEmbedding returns an embedding with normal entries of standard deviation 1/sqrt(width).
func NewEmbedding[T Float](r *rand.Rand, tokens, width int) *Embedding[T] {
	e := &Embedding[T]{Table: newParam[T](tokens, width)}
	e.Table.gaussian(r, 1/sqrt(float64(width)))
	return e
}

// Params implements Layer.
func (e *Embedding[T]) Params(prefix string) []*Param[T] {
	return []*Param[T]{e.Table.named(prefix + "table")}
}

// Forward implements Layer.
func (e *Embedding[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	table := e.Table.value(p)
	e.tokens = grown(e.tokens, x.V.Rows)
	for i := range e.tokens {
		k := int(x.V.At(i, 0))
		if k < 0 || k >= table.V.Rows {
			fail("token %d at row %d is not one of %d", k, i, table.V.Rows)
		}
		e.tokens[i] = int32(k)
	}
	y := e.y.take(p, x.V.Rows, table.V.Cols)
	device := p.engine()
	device.Gather(table.V, e.tokens, y.V)
	if y.dual() {
		device.Gather(table.D, e.tokens, y.D)
	}
	return y
}

// Backward implements Layer.
func (e *Embedding[T]) Backward(p *Pass[T], g Dual[T], _ bool) Dual[T] {
	table, device := e.Table.grad(p), p.engine()
	device.Scatter(g.V, e.tokens, table.V)
	if table.dual() && g.dual() {
		device.Scatter(g.D, e.tokens, table.D)
	}
	return Dual[T]{}
}

// Positions adds a learned row for each position of an example to its activations.
type Positions[T Float] struct {
	Table *Param[T] // positions x width
	y     buffer[T]
}

// NewPositions returns the layer for examples of at most the given number of positions.
func NewPositions[T Float](r *rand.Rand, positions, width int) *Positions[T] {
	s := &Positions[T]{Table: newParam[T](positions, width)}
	s.Table.gaussian(r, 1/sqrt(float64(width)))
	return s
}

// Params implements Layer.
func (s *Positions[T]) Params(prefix string) []*Param[T] {
	return []*Param[T]{s.Table.named(prefix + "positions")}
}

// Forward implements Layer.
func (s *Positions[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	length := x.V.Rows / p.N
	if length > s.Table.Value.V.Rows {
		fail("%d positions where %d are known", length, s.Table.Value.V.Rows)
	}
	y := s.y.take(p, x.V.Rows, x.V.Cols)
	table := s.Table.value(p).view(0, 0, length, x.V.Cols)
	for n := range p.N {
		part := func(z Dual[T]) Dual[T] { return z.view(n*length, 0, length, x.V.Cols) }
		add(p, part(x), table, part(y))
	}
	return y
}

// Backward implements Layer.
func (s *Positions[T]) Backward(p *Pass[T], g Dual[T], _ bool) Dual[T] {
	length := g.V.Rows / p.N
	table := s.Table.grad(p).view(0, 0, length, g.V.Cols)
	for n := range p.N {
		part := g.view(n*length, 0, length, g.V.Cols)
		sum(p, table.V, part.V, table.V)
		if table.dual() && g.dual() {
			sum(p, table.D, part.D, table.D)
		}
	}
	return g
}

func embeddingEntries() []Entry {
	return []Entry{
		{Name: "embedding", What: "a row of a table for each token", Tokens: true, Example: func(r *rand.Rand) Example {
			e := example(r, NewEmbedding[float64](r, 5, 3), 2, 6, 1)
			for i := range e.X.Data {
				e.X.Data[i] = float64(r.IntN(5))
			}
			return e
		}},
		{Name: "positions", What: "a learned row added at each position", Example: func(r *rand.Rand) Example {
			return example(r, NewPositions[float64](r, 5, 3), 2, 8, 3)
		}},
	}
}
