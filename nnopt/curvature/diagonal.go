package curvature

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
)

// GGNDiagonal returns the diagonal of R sum_n J_n^T (sum_v v v^T) J_n for the vectors of the settings: with Type2 that of the Gauss-Newton matrix, with
// MonteCarlo an unbiased estimate of it, with Empirical that of the empirical Fisher matrix. It holds for the parameters of all layers: those with
// statistics cost no more than the gradients of as many vectors, the others, if there are any, are differentiated example by example.
func GGNDiagonal[T nnopt.Float](r *Risk[T], s Settings) ([]float64, error) {
	if s.flavour() == ForwardOnly {
		return nil, dataError("flavour", "forward-only has no gradients")
	}
	if err := r.exists(); err != nil {
		return nil, err
	}
	s.Skip = true
	c, err := NewCollector(r.Net, s)
	if err != nil {
		return nil, err
	}
	defer r.enter()()
	d := make([]float64, r.Dim())
	if len(c.skipped) > 0 || r.grouped() {
		r.squaredGradients(c, d)
	} else {
		r.squaredStreams(c, d)
	}
	for i := range d {
		d[i] *= r.factor
		if d[i]-d[i] != 0 || math.IsInf(d[i], 0) {
			return nil, dataError("diagonal", "element %d is %v", i, d[i])
		}
	}
	return d, nil
}

// grouped reports whether a layer has several groups of inputs, of which the statistics of a block are an average.
func (r *Risk[T]) grouped() bool {
	layout := Layout(r.Net)
	for b := range r.Data {
		r.Net.Linearize(b)
		for _, s := range r.Net.Stats(nil) {
			if s.In.Cols > layout[blockOf(layout, s.Weight)].Cols {
				return true
			}
		}
		break
	}
	return false
}

// squaredStreams adds the squares of per-example gradients from the statistics of the layers.
func (r *Risk[T]) squaredStreams(c *Collector[T], d []float64) {
	squares := map[*layerSums[T]]*correction[T]{}
	var blocks []Factors
	for _, l := range c.layers {
		f := Factors{Weight: l.weight}
		if l.hasBias {
			f.Bias = l.bias
		}
		out, in := f.Dims()
		blocks = append(blocks, f)
		squares[l] = &correction[T]{values: dense.New[float64](out, in), weights: true, bias: l.hasBias}
	}
	for b := range r.Data {
		c.streams(b, func(l *layerSums[T], uses []stream[T], first bool) { squares[l].add(uses, b.N, first) })
	}
	for k, l := range c.layers {
		blocks[k].Scatter(squares[l].values, d)
	}
}

// squaredGradients adds the squares of the gradients of one example at a time.
func (r *Risk[T]) squaredGradients(c *Collector[T], d []float64) {
	for b := range r.Data {
		for n := range b.N {
			one := r.part(b, n, n+1)
			out := r.Net.Linearize(&one)
			if c.factor = r.Net.Loss.Factor(out, &one.Target); math.IsInf(c.factor, 1) {
				continue // no row of the example counts
			}
			c.vectors(out, &one, func(v nnopt.Matrix[T]) {
				r.Net.PullBack(v)
				at := 0
				for _, block := range r.Net.Blocks() {
					for i, g := range block.Grad {
						d[at+i] += float64(g) * float64(g)
					}
					at += block.Len()
				}
			})
		}
	}
}
