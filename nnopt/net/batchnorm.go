package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/nnopt"
)

// BatchNorm normalises every column over the rows of the batch, then scales it. When the pass does not train it uses running averages of mean and
// variance instead. It couples the examples of a batch, so curvature by examples (KFAC, empirical Fisher) does not apply to it.
type BatchNorm[T Float] struct {
	columns standardizer[T]
	scale   scaler[T]
	// the running averages, 1 x width, and whether they were used in the last Forward
	mean, variance Matrix[T]
	running        bool
	inverse        []T // of the running standard deviations, and other numbers of columns
	deviations     []T // of columns, on a device
	h, gx          buffer[T]
}

// batchNormMomentum is the weight of a batch in the running averages.
const batchNormMomentum = 0.1

// NewBatchNorm returns the layer with running mean 0 and variance 1.
func NewBatchNorm[T Float](width int) *BatchNorm[T] {
	b := &BatchNorm[T]{
		columns: standardizer[T]{center: true, cols: true}, scale: newScaler[T](width, true),
		mean: dense.New[T](1, width), variance: dense.New[T](1, width),
	}
	for j := range b.variance.Data {
		b.variance.Data[j] = 1
	}
	return b
}

// Params implements Layer.
func (b *BatchNorm[T]) Params(prefix string) []*Param[T] { return b.scale.params(prefix) }

// Arrays returns the running averages; they belong to a saved model.
func (b *BatchNorm[T]) Arrays(prefix string) []nnopt.Block[T] {
	n := b.mean.Cols
	return []nnopt.Block[T]{
		{Name: prefix + "mean", Rows: 1, Cols: n, Value: b.mean.Data}, {Name: prefix + "variance", Rows: 1, Cols: n, Value: b.variance.Data},
	}
}

// Forward implements Layer.
func (b *BatchNorm[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	b.running = !p.Train
	if b.running {
		h := b.h.take(p, x.V.Rows, x.V.Cols)
		b.invert(p)
		linear(p, x, h, b.applyScale(p))
		for j, s := range b.inverse {
			b.inverse[j] = -b.mean.Data[j] * s
		}
		p.engine().AddRow(b.inverse, 1, engine.One(h.V))
		return b.scale.forward(p, h)
	}
	h := b.columns.forward(p, x)
	if !p.Tangent {
		b.average(p, x.V)
	}
	return b.scale.forward(p, h)
}

// use implements placed.
func (b *BatchNorm[T]) use(g *ground[T]) {
	for _, m := range []*Matrix[T]{&b.mean, &b.variance} {
		m.Data = append(g.arena.Alloc(len(m.Data))[:0], m.Data...)
	}
	b.deviations = g.arena.Alloc(b.mean.Cols)
}

// average moves the running averages towards the statistics of x.
func (b *BatchNorm[T]) average(p *Pass[T], x Matrix[T]) {
	if p.backend != nil {
		b.averageOn(p, x)
		return
	}
	b.inverse = grown(b.inverse, x.Cols)
	clear(b.inverse)
	p.engine().ColSums(engine.One(x), b.inverse)
	for j, s := range b.columns.scale {
		mean := b.inverse[j] / T(x.Rows)
		b.mean.Data[j] += batchNormMomentum * (mean - b.mean.Data[j])
		b.variance.Data[j] += batchNormMomentum * (1/(s*s) - normEps - b.variance.Data[j])
	}
}

// averageOn is average on a device.
func (b *BatchNorm[T]) averageOn(p *Pass[T], x Matrix[T]) {
	const w = batchNormMomentum
	e, d := p.engine(), b.deviations
	e.Blend(0, nil, 0, nil, d)
	e.ColSums(engine.One(x), d)
	e.Blend(1-w, b.mean.Data, T(w/float64(x.Rows)), d, b.mean.Data)
	e.Power(b.columns.scale, -1, d)
	e.AddSquares(1-w, w, -w*normEps, d, b.variance.Data)
}

// applyScale divides the columns of x by what invert found.
func (b *BatchNorm[T]) applyScale(p *Pass[T]) func(x, y Matrix[T]) {
	return func(x, y Matrix[T]) { p.engine().ScaleCols(b.inverse, engine.One(x), 0, engine.One(y)) }
}

// invert sets inverse to that of the running standard deviations.
func (b *BatchNorm[T]) invert(p *Pass[T]) {
	engine.Wait(p.engine())
	b.inverse = grown(b.inverse, len(b.variance.Data))
	for j, v := range b.variance.Data {
		b.inverse[j] = 1 / sqrt(v+normEps)
	}
}

// Backward implements Layer.
func (b *BatchNorm[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	gh := b.scale.backward(p, g)
	if !need {
		return Dual[T]{}
	}
	if !b.running {
		return b.columns.backward(p, gh)
	}
	gx := b.gx.take(p, g.V.Rows, g.V.Cols)
	b.invert(p)
	linear(p, gh, gx, b.applyScale(p))
	return gx
}

func batchNormEntries() []Entry {
	return []Entry{
		{Name: "batchnorm", What: "columns to mean 0 and variance 1 over the batch", Example: func(r *rand.Rand) Example {
			return example(r, NewBatchNorm[float64](3), 7, 7, 3)
		}},
	}
}
