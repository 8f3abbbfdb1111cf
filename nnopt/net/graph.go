package net

import "math/rand/v2"

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
			return Error("graph: the starts of the rows decrease")
		}
	}
	for _, j := range g.Neighbours {
		if j < 0 || int(j) >= g.Nodes() {
			return Error("graph: a neighbour is not a node")
		}
	}
	return nil
}

// Aggregate puts beside the features of each node the mean of those of its neighbours (0 without any): from C columns to 2C, in which a Linear layer
// weighs both (Hamilton et al., arXiv:1706.02216). The rows of its input are the nodes of one graph.
type Aggregate[T Float] struct {
	graph *Graph
	y, gx buffer[T]
}

// NewAggregate returns the layer of a valid graph.
func NewAggregate[T Float](g *Graph) *Aggregate[T] {
	if err := g.Validate(); err != nil {
		panic(err)
	}
	return &Aggregate[T]{graph: g}
}

// Params implements Layer.
func (a *Aggregate[T]) Params(string) []*Param[T] { return nil }

// Forward implements Layer.
func (a *Aggregate[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	if x.V.Rows != a.graph.Nodes() {
		fail("aggregation of %d rows over a graph of %d nodes", x.V.Rows, a.graph.Nodes())
	}
	y := a.y.take(p, x.V.Rows, 2*x.V.Cols)
	linear(x, y, a.gather)
	return y
}

// Backward implements Layer.
func (a *Aggregate[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	if !need {
		return Dual[T]{}
	}
	gx := a.gx.take(p, g.V.Rows, g.V.Cols/2)
	linear(g, gx, a.scatter)
	return gx
}

// mean returns the neighbours of node i and the weight of each.
func (a *Aggregate[T]) mean(i int) ([]int32, T) {
	near := a.graph.Neighbours[a.graph.Start[i]:a.graph.Start[i+1]]
	return near, 1 / T(max(1, len(near)))
}

func (a *Aggregate[T]) gather(x, y Matrix[T]) {
	for i := range x.Rows {
		out := y.Row(i)
		copy(out, x.Row(i))
		out = out[x.Cols:]
		clear(out)
		near, weight := a.mean(i)
		for _, k := range near {
			for j, v := range x.Row(int(k)) {
				out[j] += weight * v
			}
		}
	}
}

func (a *Aggregate[T]) scatter(y, x Matrix[T]) {
	for i := range x.Rows {
		copy(x.Row(i), y.Row(i)[:x.Cols])
	}
	for i := range x.Rows {
		near, weight := a.mean(i)
		for _, k := range near {
			row := x.Row(int(k))
			for j, v := range y.Row(i)[x.Cols:] {
				row[j] += weight * v
			}
		}
	}
}

func graphEntries() []Entry {
	return []Entry{
		{Name: "graph", What: "features beside the mean of the neighbours'", Example: func(r *rand.Rand) Example {
			g := &Graph{Start: []int{0, 2, 3, 3, 6}, Neighbours: []int32{1, 3, 0, 0, 1, 2}}
			return example(r, NewAggregate[float64](g), 4, 4, 3)
		}},
	}
}
