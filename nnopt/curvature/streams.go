package curvature

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/kronecker"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Add adds the streams of a batch; all batches have the same number of positions per example. It overwrites the gradients of the blocks. Type2 costs a
// forward pass and a pull-back for each output of an example, the others one pull-back, or Samples of them.
func (c *Collector[T]) Add(b *net.Batch[T]) {
	c.adding = true
	c.inverse += c.streams(b, func(l *layerSums[T], uses []stream[T], first bool) {
		one := 1.0
		if l.reduce {
			uses = c.collapse(l, uses, b.N)
			one = float64(uses[0].reps)
		}
		l.positions = 0
		for _, u := range uses {
			l.positions += u.reps
			if first {
				l.outerA.Add(u.x, one, l.a)
			}
			if c.set.flavour() != ForwardOnly {
				l.outerB.Add(u.g, 0, l.b)
			}
		}
	})
	c.examples += b.N
}

// streams calls f for every vector at the outputs and every layer with what the uses of the layer saw; first marks the first vector of the batch. It
// returns 1/R of the batch.
func (c *Collector[T]) streams(b *net.Batch[T], f func(l *layerSums[T], uses []stream[T], first bool)) float64 {
	out := c.net.Linearize(b)
	c.factor = c.net.Loss.Factor(out, &b.Target)
	if c.set.flavour() == ForwardOnly {
		c.visit(f, true)
		return 1 / c.factor
	}
	first := true
	c.vectors(out, b, func(v net.Matrix[T]) {
		c.net.PullStreams(v)
		c.visit(f, first)
		first = false
	})
	return 1 / c.factor
}

// vectors calls f with the vectors at the outputs that the flavour asks for, for all examples at once.
func (c *Collector[T]) vectors(view net.Matrix[T], b *net.Batch[T], f func(v net.Matrix[T])) {
	size := view.Rows * view.Cols
	c.data = grown(c.data, 2*size)
	out, v := dense.Wrap(view.Rows, view.Cols, c.data[:size]), dense.Wrap(view.Rows, view.Cols, c.data[size:2*size])
	out.Copy(view)
	switch c.set.flavour() {
	case Type2:
		c.rootVectors(out, b, v, f)
	case MonteCarlo:
		for _, r := range c.draws {
			c.curved.Draw(out, &b.Target, r, v)
			dense.Scale(T(1/math.Sqrt(float64(len(c.draws)))), v.Data, v.Data)
			f(v)
		}
	case Empirical:
		c.net.Loss.Evaluate(net.Dual[T]{V: out}, &b.Target, net.Dual[T]{V: v})
		dense.Scale(T(1/c.factor), v.Data, v.Data)
		f(v)
	}
}

// rootVectors goes through the columns of the root of the Hessian of an example's loss, which does not couple positions.
func (c *Collector[T]) rootVectors(out net.Matrix[T], b *net.Batch[T], v net.Matrix[T], f func(net.Matrix[T])) {
	positions := out.Rows / b.N
	for s := range positions {
		for k := range out.Cols {
			c.curved.Root(out, &b.Target, k, v)
			for i := range out.Rows {
				if i%positions != s {
					clear(v.Row(i))
				}
			}
			f(v)
		}
	}
}

// visit calls f with the streams of each layer.
func (c *Collector[T]) visit(f func(l *layerSums[T], uses []stream[T], first bool), first bool) {
	c.stats = c.net.Stats(c.stats[:0])
	for _, l := range c.layers {
		c.uses = c.uses[:0]
		for i := range c.stats {
			s := &c.stats[i]
			if s.Weight != l.weight.Name {
				continue
			}
			u := stream[T]{x: s.In, g: s.Out, reps: s.Reps}
			if c.adding && l.reduce && s.Reps > 1 && s.Sums != nil {
				u.sums = s.Sums
			} else if s.In.Cols > l.weight.Cols {
				u.x = c.average(s.In, l.weight.Cols, len(c.uses))
			}
			c.uses = append(c.uses, u)
		}
		f(l, c.uses, first)
	}
}

// average returns the mean over the groups of a convolution, in the memory of use k.
func (c *Collector[T]) average(x net.Matrix[T], cols, k int) net.Matrix[T] {
	for len(c.averaged) <= k {
		c.averaged = append(c.averaged, nil)
	}
	c.averaged[k] = grown(c.averaged[k], x.Rows*cols)
	m := dense.Wrap(x.Rows, cols, c.averaged[k])
	kronecker.AverageGroups(x, m)
	return m
}

// collapse returns one stream of a row for each of n examples: the sums over its positions in all uses, which stand in the number of repetitions.
func (c *Collector[T]) collapse(l *layerSums[T], uses []stream[T], n int) []stream[T] {
	if len(uses) == 1 && uses[0].reps == 1 {
		return uses
	}
	in, out := l.weight.Cols, uses[0].g.Cols
	c.in, c.out = grown(c.in, n*in), grown(c.out, n*out)
	clear(c.in)
	clear(c.out)
	one := stream[T]{x: dense.Wrap(n, in, c.in), g: dense.Wrap(n, out, c.out)}
	for _, u := range uses {
		if u.sums != nil {
			c.addSums(u, one.x)
		} else {
			kronecker.Collapse(u.x, u.reps, one.x)
		}
		if c.set.flavour() != ForwardOnly {
			kronecker.Collapse(u.g, u.reps, one.g)
		}
		one.reps += u.reps
	}
	return []stream[T]{one}
}

// addSums adds the sums over positions that a layer computes itself, averaged over groups.
func (c *Collector[T]) addSums(u stream[T], x net.Matrix[T]) {
	c.own = grown(c.own, x.Rows*(u.x.Cols+x.Cols))
	sums, mean := dense.Wrap(x.Rows, u.x.Cols, c.own), dense.Wrap(x.Rows, x.Cols, c.own[x.Rows*u.x.Cols:])
	u.sums(sums)
	if sums.Cols > mean.Cols {
		kronecker.AverageGroups(sums, mean)
		sums = mean
	}
	dense.Axpy(1, sums.Data[:len(x.Data)], x.Data)
}

func grown[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}
