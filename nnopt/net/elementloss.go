package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/engine"
)

// elementwise is a loss that adds up terms of single outputs.
type elementwise[T Float] struct {
	sum   bool
	twice bool // R carries a factor 2
	kind  engine.Misfit
	draw  func(out T, r *rand.Rand) T
	ground[T]
	cost   []float64 // of the rows
	factor float64
}

// Factor implements Loss.
func (l *elementwise[T]) Factor(out Matrix[T], _ *Target[T]) float64 {
	r := 1.0
	if l.twice {
		r = 2
	}
	if !l.sum {
		r /= float64(out.Rows * out.Cols)
	}
	return r
}

// Check implements Loss.
func (l *elementwise[T]) Check(rows, cols int, t *Target[T]) error { return checkValues(rows, cols, t) }

// Evaluate implements Loss.
func (l *elementwise[T]) Evaluate(out Dual[T], t *Target[T], g Dual[T]) float64 {
	l.start(out, t, g)
	return l.value()
}

// start implements lateLoss.
func (l *elementwise[T]) start(out Dual[T], t *Target[T], g Dual[T]) {
	l.factor = l.Factor(out.V, t)
	l.cost = l.costs(l.cost, out.V.Rows)
	var dout, gv, gd engine.Batch[T]
	if out.dual() {
		dout = engine.One(out.D)
	}
	if g.V.Data != nil {
		gv = engine.One(g.V)
		if g.dual() {
			gd = engine.One(g.D)
		}
	}
	l.engine().Misfits(l.kind, T(l.factor), engine.One(out.V), dout, engine.One(t.Values), gv, gd, l.cost)
}

// value implements lateLoss.
func (l *elementwise[T]) value() float64 { return l.factor * l.total(l.cost) }

// Sample implements Loss.
func (l *elementwise[T]) Sample(out Matrix[T], r *rand.Rand, t *Target[T]) {
	t.sized(out.Rows, out.Cols)
	engine.Wait(l.engine())
	for i := range out.Rows {
		row := t.Values.Row(i)
		for j, v := range out.Row(i) {
			row[j] = l.draw(v, r)
		}
	}
}

// NewSquare returns the squared error: c = (out - target)^2/2 with R = 2, or 2 over the number of outputs for the mean. Samples are normal with variance 1.
func NewSquare[T Float](sum bool) Loss[T] {
	return &elementwise[T]{
		sum: sum, twice: true,
		kind: engine.Square,
		draw: func(out T, r *rand.Rand) T { return out + T(r.NormFloat64()) },
	}
}

// NewAbsolute returns the absolute error: c = |out - target|; mean is over the outputs. Its Hessian is 0. Samples have a Laplace distribution.
func NewAbsolute[T Float](sum bool) Loss[T] {
	return &elementwise[T]{
		sum:  sum,
		kind: engine.Absolute,
		draw: func(out T, r *rand.Rand) T { return out + T(r.ExpFloat64()-r.ExpFloat64()) },
	}
}

// NewBinaryCrossEntropy returns c = -target log sigmoid(out) - (1-target) log(1-sigmoid(out)); mean is over the outputs. Samples are 0 or 1.
func NewBinaryCrossEntropy[T Float](sum bool) Loss[T] {
	return &elementwise[T]{
		sum:  sum,
		kind: engine.BinaryCrossEntropy,
		draw: func(out T, r *rand.Rand) T {
			if r.Float64() < float64(engine.Sigmoid(out)) {
				return 1
			}
			return 0
		},
	}
}

func elementwiseEntries() []LossEntry {
	yesOrNo := func(r *rand.Rand) float64 { return float64(r.IntN(2)) }
	return []LossEntry{
		{Name: "square", What: "squared error", Exact: true, New: NewSquare[float64], Targets: valuesFrom((*rand.Rand).NormFloat64)},
		{Name: "absolute", What: "absolute error", New: NewAbsolute[float64], Targets: valuesFrom((*rand.Rand).NormFloat64)},
		{Name: "binary-cross-entropy", What: "cross-entropy of independent yes or no, from logits", Exact: true, New: NewBinaryCrossEntropy[float64],
			Targets: valuesFrom(yesOrNo)},
	}
}
