package net

import (
	"math/rand/v2"

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
	all := []Entry{
		{Name: "linear", What: "z = x W^T + b", Example: func(r *rand.Rand) Example {
			return example(r, NewLinear[float64](r, 4, 3, LinearOptions{}), 5, 5, 4)
		}},
		{Name: "conv2d", What: "convolution with stride, padding, dilation and groups", Example: func(r *rand.Rand) Example {
			o := ConvOptions{In: 4, Out: 6, Height: 6, Width: 5, Kernel: 3, KernelWidth: 2, Stride: 2, Padding: 1, Dilation: 2, Groups: 2}
			return example(r, NewConv2d[float64](r, o), 2, 60, 4)
		}},
		{Name: "embedding", What: "a row of a table for each token", Tokens: true, Example: func(r *rand.Rand) Example {
			e := example(r, NewEmbedding[float64](r, 5, 3), 2, 6, 1)
			for i := range e.X.Data {
				e.X.Data[i] = float64(r.IntN(5))
			}
			return e
		}},
		{Name: "tied", What: "an embedding whose table also maps to scores", Tokens: true, Example: func(r *rand.Rand) Example {
			table := NewEmbedding[float64](r, 5, 3)
			e := example(r, Chain[float64](table, NewActivation[float64](Tanh), NewTied(table)), 2, 6, 1)
			for i := range e.X.Data {
				e.X.Data[i] = float64(r.IntN(5))
			}
			return e
		}},
		{Name: "positions", What: "a learned row added at each position", Example: func(r *rand.Rand) Example {
			return example(r, NewPositions[float64](r, 5, 3), 2, 8, 3)
		}},
		{Name: "layernorm", What: "rows to mean 0 and variance 1", Example: func(r *rand.Rand) Example {
			return example(r, NewLayerNorm[float64](5), 4, 4, 5)
		}},
		{Name: "rmsnorm", What: "rows to mean square 1", Example: func(r *rand.Rand) Example {
			return example(r, NewRMSNorm[float64](5), 4, 4, 5)
		}},
		{Name: "batchnorm", What: "columns to mean 0 and variance 1 over the batch", Example: func(r *rand.Rand) Example {
			return example(r, NewBatchNorm[float64](3), 7, 7, 3)
		}},
		{Name: "attention", What: "multi-head self-attention over all positions", Example: func(r *rand.Rand) Example {
			return example(r, NewAttention[float64](r, 4, 2, false), 2, 6, 4)
		}},
		{Name: "causal-attention", What: "multi-head self-attention over earlier positions", Example: func(r *rand.Rand) Example {
			return example(r, NewAttention[float64](r, 4, 2, true), 2, 6, 4)
		}},
		{Name: "graph", What: "features beside the mean of the neighbours'", Example: func(r *rand.Rand) Example {
			g := &Graph{Start: []int{0, 2, 3, 3, 6}, Neighbours: []int32{1, 3, 0, 0, 1, 2}}
			return example(r, NewAggregate[float64](g), 4, 4, 3)
		}},
		{Name: "dropout", What: "random zeros in training", Example: func(r *rand.Rand) Example {
			return example(r, NewDropout[float64](0.4, 1), 5, 5, 4)
		}},
		{Name: "residual", What: "x + f(x)", Example: func(r *rand.Rand) Example {
			inner := Chain[float64](NewLinear[float64](r, 4, 4, LinearOptions{}), NewActivation[float64](Tanh))
			return example(r, NewResidual[float64](inner), 5, 5, 4)
		}},
		{Name: "flatten", What: "positions to features", Example: func(r *rand.Rand) Example {
			return example(r, NewFlatten[float64](), 2, 6, 3)
		}},
		{Name: "pixels", What: "features to positions", Example: func(r *rand.Rand) Example {
			return example(r, NewPixels[float64](3), 2, 2, 12)
		}},
	}
	for _, c := range Curves() {
		all = append(all, Entry{Name: string(c), What: "elementwise " + string(c), Example: func(r *rand.Rand) Example {
			return example(r, NewActivation[float64](c), 4, 4, 5)
		}})
	}
	for _, k := range []Reduction{Mean, Sum, Max} {
		all = append(all,
			Entry{Name: string(k) + "pool", What: string(k) + " over windows of an image", Example: func(r *rand.Rand) Example {
				return example(r, NewPool[float64](k, PoolOptions{Height: 5, Width: 4, Window: 2, Stride: 1}), 2, 40, 3)
			}},
			Entry{Name: "global-" + string(k) + "pool", What: string(k) + " over all positions", Example: func(r *rand.Rand) Example {
				return example(r, NewGlobalPool[float64](k), 2, 8, 3)
			}})
	}
	return all
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
	values := func(draw func(r *rand.Rand) float64) func(r *rand.Rand, rows, cols int) Target[float64] {
		return func(r *rand.Rand, rows, cols int) Target[float64] {
			t := Target[float64]{Values: dense.New[float64](rows, cols)}
			for i := range t.Values.Data {
				t.Values.Data[i] = draw(r)
			}
			return t
		}
	}
	classes := func(r *rand.Rand, rows, cols int) Target[float64] {
		t := Target[float64]{Classes: make([]int32, rows)}
		for i := range t.Classes {
			t.Classes[i] = int32(r.IntN(cols+1) - 1)
		}
		t.Classes[0] = 0
		return t
	}
	normal := func(r *rand.Rand) float64 { return r.NormFloat64() }
	return []LossEntry{
		{Name: "cross-entropy", What: "softmax cross-entropy with classes", Exact: true, Targets: classes, New: func(sum bool) Loss[float64] {
			return &CrossEntropy[float64]{Sum: sum}
		}},
		{Name: "cross-entropy-smoothed", What: "softmax cross-entropy with smoothed labels", Exact: true, Targets: classes, New: func(sum bool) Loss[float64] {
			return &CrossEntropy[float64]{Sum: sum, Smoothing: 0.2}
		}},
		{Name: "cross-entropy-soft", What: "softmax cross-entropy with soft labels", Exact: true, New: func(sum bool) Loss[float64] {
			return &CrossEntropy[float64]{Sum: sum}
		}, Targets: values(func(r *rand.Rand) float64 { return r.Float64() })},
		{Name: "binary-cross-entropy", What: "cross-entropy of independent yes or no, from logits", Exact: true, New: NewBinaryCrossEntropy[float64],
			Targets: values(func(r *rand.Rand) float64 { return float64(r.IntN(2)) })},
		{Name: "square", What: "squared error", Exact: true, New: NewSquare[float64], Targets: values(normal)},
		{Name: "absolute", What: "absolute error", New: NewAbsolute[float64], Targets: values(normal)},
	}
}
