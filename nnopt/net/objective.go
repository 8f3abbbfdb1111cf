package net

import "github.com/spdopt/spdopt/nnopt"

// objective is the loss of the batch of the running step, in the mode of training, with the masks of the step.
type objective[T Float] struct {
	net   *Net[T]
	batch *Batch[T]
}

var _ nnopt.Objective[float32] = (*objective[float32])(nil)

// Loss implements nnopt.Objective.
func (o *objective[T]) Loss() float64 {
	o.needBatch()
	return o.net.Loss.Evaluate(Dual[T]{V: o.net.Linearize(o.batch)}, &o.batch.Target, Dual[T]{})
}

// CurvatureTo implements nnopt.Objective.
func (o *objective[T]) CurvatureTo(dst, v []T) {
	o.needBatch()
	o.net.GGNVP(o.batch, v, dst)
}

// needBatch panics before the first Gradient of the feed, whose batch the loss is that of.
func (o *objective[T]) needBatch() {
	if o.batch == nil {
		panic(Error("a step before the first Gradient of the feed: the optimizer evaluates the loss of its batch"))
	}
}
