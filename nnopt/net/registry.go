package net

import (
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// Entry is a layer of the registry.
type Entry struct {
	Name string
	What string
	// Example returns an instance, the number of examples, and their inputs; the shared checks run on it.
	Example func(r *rand.Rand) Example
	// Tokens says that the inputs are token numbers.
	Tokens bool
}

// Example is a layer with inputs to try it on.
type Example struct {
	Layer Layer[float64]
	X     Matrix[float64]
	N     int
}

func example(r *rand.Rand, layer Layer[float64], n, rows, cols int) Example {
	x := dense.New[float64](rows, cols)
	for i := range x.Data {
		x.Data[i] = r.NormFloat64()
	}
	return Example{layer, x, n}
}

// Layers lists all layers.
func Layers() []Entry {
	return slices.Concat(
		linearEntries(),
		convEntries(),
		embeddingEntries(),
		normEntries(),
		batchNormEntries(),
		attentionEntries(),
		poolEntries(),
		graphEntries(),
		activationEntries(),
		dropoutEntries(),
		composeEntries(),
	)
}

// LossEntry is a loss of the registry.
type LossEntry struct {
	Name string
	What string
	New  func(sum bool) Loss[float64]
	// Exact says that the covariance of the gradients of c at sampled targets is its Hessian.
	Exact bool
	// Targets draws targets for given outputs.
	Targets func(r *rand.Rand, rows, cols int) Target[float64]
}

// Losses lists all losses.
func Losses() []LossEntry {
	return slices.Concat(
		crossEntropyEntries(),
		elementwiseEntries(),
	)
}

// valuesFrom draws each target by itself.
func valuesFrom(draw func(r *rand.Rand) float64) func(r *rand.Rand, rows, cols int) Target[float64] {
	return func(r *rand.Rand, rows, cols int) Target[float64] {
		t := Target[float64]{Values: dense.New[float64](rows, cols)}
		for i := range t.Values.Data {
			t.Values.Data[i] = draw(r)
		}
		return t
	}
}
