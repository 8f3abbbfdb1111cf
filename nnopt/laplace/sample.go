package laplace

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Sample sets dst to a draw of the parameters of the posterior, of Dim elements.
func (p *Posterior[T]) Sample(r *rand.Rand, dst []float64) {
	for i := range dst {
		dst[i] = r.NormFloat64()
	}
	p.precision.colour(dense.Wrap(1, len(dst), dst))
	for i, v := range p.mode {
		dst[i] += v
	}
}

// PredictWeights returns the mean over draws of the parameters of what the network predicts for a batch, a row for each row of its outputs: probabilities,
// or for regression the outputs. The parameters of the network are put back. Errors are as those of Predict.
func (p *Posterior[T]) PredictWeights(b *net.Batch[T], samples int, r *rand.Rand) (nnopt.Matrix[float64], error) {
	if samples < 1 {
		return nnopt.Matrix[float64]{}, optionError("samples", "must be positive, not %d", samples)
	}
	if r == nil {
		return nnopt.Matrix[float64]{}, optionError("random numbers", "have no source")
	}
	if err := p.checkInputs(b); err != nil {
		return nnopt.Matrix[float64]{}, err
	}
	defer p.restore()
	var mean dense.Matrix[float64]
	draw := make([]float64, len(p.places))
	err := guard(func() {
		for k := range samples {
			p.Sample(r, draw)
			p.setParameters(draw)
			out := p.net.Forward(b)
			one := dense.New[float64](out.Rows, out.Cols)
			widen(out, one)
			for i := range one.Rows {
				squash(p.likelihood, one.Row(i))
			}
			if k == 0 {
				mean = dense.New[float64](out.Rows, out.Cols)
			}
			dense.Axpy(1/float64(samples), one.Data, mean.Data)
		}
	})
	return mean, err
}

// setParameters gives the network these parameters of the posterior.
func (p *Posterior[T]) setParameters(x []float64) {
	start, k := 0, 0
	for _, b := range p.net.Blocks() {
		for ; k < len(p.places) && p.places[k] < start+b.Len(); k++ {
			b.Value[p.places[k]-start] = T(x[k])
		}
		start += b.Len()
	}
}

// restore gives the network its parameters at Fit.
func (p *Posterior[T]) restore() {
	at := p.values
	for _, b := range p.net.Blocks() {
		at = at[copy(b.Value, at):]
	}
}
