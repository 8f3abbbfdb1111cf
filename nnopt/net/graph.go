package net

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/engine"
)

// Graph is a directed graph in compressed rows: the neighbours of node i are Neighbours[Start[i]:Start[i+1]].
type Graph struct {
	Start      []int
	Neighbours []int32
}

// Nodes returns the number of nodes.
func (g *Graph) Nodes() int { return len(g.Start) - 1 }

// Validate reports what makes the graph unusable.
func (g *Graph) Validate() error {
	if len(g.Start) < 2 || g.Start[0] != 0 || g.Start[len(g.Start)-1] != len(g.Neighbours) {
		return Error("graph: the starts of the rows do not fit the neighbours")
	}
	for i := range g.Nodes() {
		if g.Start[i+1] < g.Start[i] {
			return Error(fmt.Sprintf("graph: the starts of the rows decrease behind node %d", i))
		}
	}
	for k, j := range g.Neighbours {
		if j < 0 || int(j) >= g.Nodes() {
			return Error(fmt.Sprintf("graph: neighbour number %d is %d; the nodes are 0 to %d", k, j, g.Nodes()-1))
		}
	}
	return nil
}

// Aggregate puts beside the features of each node the mean of those of its neighbours (0 without any): from C columns to 2C, in which a Linear layer
// weighs both (Hamilton et al., arXiv:1706.02216). The rows of its input are the nodes of one graph.
type Aggregate[T Float] struct {
	nodes    int
	in, back engine.Sparse[T] // the means of neighbours, and the transposed map
	y, gx    buffer[T]
}

// NewAggregate returns the layer of a valid graph.
func NewAggregate[T Float](g *Graph) *Aggregate[T] {
	if err := g.Validate(); err != nil {
		panic(err)
	}
	a := &Aggregate[T]{nodes: g.Nodes(), in: engine.Sparse[T]{Index: g.Neighbours, Weight: make([]T, len(g.Neighbours))}}
	for i, start := range g.Start {
		a.in.Start = append(a.in.Start, int32(start))
		if i > 0 {
			for k := g.Start[i-1]; k < start; k++ {
				a.in.Weight[k] = 1 / T(start-g.Start[i-1])
			}
		}
	}
	a.back = transposed(a.in)
	return a
}

// transposed returns the transpose of a square matrix, the elements of its rows in the order of their columns.
func transposed[T Float](a engine.Sparse[T]) engine.Sparse[T] {
	n := len(a.Start) - 1
	b := engine.Sparse[T]{Start: make([]int32, n+1), Index: make([]int32, len(a.Index)), Weight: make([]T, len(a.Index))}
	for _, j := range a.Index {
		b.Start[j+1]++
	}
	for i := range n {
		b.Start[i+1] += b.Start[i]
	}
	next := slices.Clone(b.Start)
	for i := range n {
		for k := a.Start[i]; k < a.Start[i+1]; k++ {
			at := &next[a.Index[k]]
			b.Index[*at], b.Weight[*at] = int32(i), a.Weight[k]
			*at++
		}
	}
	return b
}

// use implements placed.
func (a *Aggregate[T]) use(g *ground[T]) {
	for _, m := range []*engine.Sparse[T]{&a.in, &a.back} {
		m.Start = append(g.arena.Ints(len(m.Start))[:0], m.Start...)
		m.Index = append(g.arena.Ints(len(m.Index))[:0], m.Index...)
		m.Weight = append(g.arena.Alloc(len(m.Weight))[:0], m.Weight...)
	}
}

// Params implements Layer.
func (a *Aggregate[T]) Params(string) []*Param[T] { return nil }

// Forward implements Layer.
func (a *Aggregate[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	if x.V.Rows != a.nodes {
		fail("aggregation of %d rows over a graph of %d nodes", x.V.Rows, a.nodes)
	}
	y, e, c := a.y.take(p, x.V.Rows, 2*x.V.Cols), p.engine(), x.V.Cols
	linear(p, x, y, func(x, y Matrix[T]) {
		e.Copy(engine.One(x), engine.One(y.View(0, 0, y.Rows, c)))
		e.WeighRows(a.in, x, 0, y.View(0, c, y.Rows, c))
	})
	return y
}

// Backward implements Layer.
func (a *Aggregate[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	if !need {
		return Dual[T]{}
	}
	c := g.V.Cols / 2
	gx, e := a.gx.take(p, g.V.Rows, c), p.engine()
	linear(p, g, gx, func(g, gx Matrix[T]) {
		e.Copy(engine.One(g.View(0, 0, g.Rows, c)), engine.One(gx))
		e.WeighRows(a.back, g.View(0, c, g.Rows, c), 1, gx)
	})
	return gx
}

func graphEntries() []Entry {
	return []Entry{
		{Name: "graph", What: "features beside the mean of the neighbours'", Example: func(r *rand.Rand) Example {
			g := &Graph{Start: []int{0, 2, 3, 3, 6}, Neighbours: []int32{1, 3, 0, 0, 1, 2}}
			return example(r, NewAggregate[float64](g), 4, 4, 3)
		}},
	}
}
