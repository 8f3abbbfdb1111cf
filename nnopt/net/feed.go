package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/nnopt"
)

// Feed is the side of a training loop that an optimizer sees: gradients, for a nnopt.StatsObserver the statistics of the layers, and for a
// nnopt.ObjectiveUser the loss of the batch.
type Feed[T Float] struct {
	net      *Net[T]
	observer nnopt.StatsObserver[T] // nil if the optimizer is none
	stats    []nnopt.Stats[T]
	loss     objective[T]
}

// NewFeed prepares for an optimizer before its Init: it tells an observer the layers, and gives a user of the objective one.
func NewFeed[T Float](n *Net[T], opt nnopt.Optimizer[T]) *Feed[T] {
	f := &Feed[T]{net: n, loss: objective[T]{net: n}}
	if o, ok := opt.(nnopt.StatsObserver[T]); ok {
		f.observer = o
		o.SetLayers(n.Layers())
	}
	if u, ok := opt.(nnopt.ObjectiveUser[T]); ok {
		u.SetObjective(&f.loss)
	}
	return f
}

// Gradient sets the gradients of the blocks, shows the optimizer the statistics that it wants, and returns the loss. sampled returns the source of targets drawn
// from the model; it is called only where they are wanted, and may be nil where they are not. A batch that does not fit the network is an error.
func (f *Feed[T]) Gradient(b *Batch[T], sampled func() *rand.Rand) (loss float64, err error) {
	if b == nil {
		return 0, Error("no batch")
	}
	if refused := Guard(func() { loss, err = f.gradient(b, sampled) }); refused != nil {
		return 0, refused
	}
	return loss, err
}

func (f *Feed[T]) gradient(b *Batch[T], sampled func() *rand.Rand) (float64, error) {
	f.loss.batch = b
	flavour := nnopt.NoStats
	if f.observer != nil {
		flavour = f.observer.WantsStats()
	}
	if flavour == nnopt.SampledStats {
		if sampled == nil {
			return 0, Error("the optimizer wants targets drawn from the model: give Gradient a source of random numbers")
		}
		f.net.SampledGradient(b, sampled())
		if err := f.observe(); err != nil {
			return 0, err
		}
	}
	loss := f.net.Gradient(b)
	if flavour == nnopt.EmpiricalStats {
		return loss, f.observe()
	}
	return loss, nil
}

func (f *Feed[T]) observe() error {
	f.stats = f.net.Stats(f.stats[:0])
	return f.observer.Observe(f.stats)
}
