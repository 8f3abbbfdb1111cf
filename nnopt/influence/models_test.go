package influence

import (
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// model is a small network with training examples in batches, and other examples as queries.
type model struct {
	name    string
	net     *net.Net[float64]
	batches []*net.Batch[float64] // the last holds the queries
	skip    bool                  // some blocks have no statistics
	tokens  bool                  // every module sees every position
}

func (m *model) train() Examples[float64]   { return Fixed(m.batches[:len(m.batches)-1]...) }
func (m *model) queries() Examples[float64] { return Fixed(m.batches[len(m.batches)-1]) }

func (m *model) estimator(t *testing.T, o Options) *Estimator[float64] {
	t.Helper()
	o.Curvature.Skip = m.skip
	e, err := New(m.net, m.train(), o)
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	return e
}

func linear(seed uint64, in, out int) net.Layer[float64] {
	l := net.NewLinear[float64](source(seed), in, out, net.LinearOptions{})
	copy(l.Bias.Value.V.Data, random(seed+100, 1, out).Data)
	return l
}

func tanh() net.Layer[float64] { return net.NewActivation[float64](net.Tanh) }

func classes(seed uint64, n, k int) (all []int32) {
	r := source(seed)
	for range n {
		all = append(all, int32(r.IntN(k)))
	}
	return all
}

// sized returns batches with the given numbers of examples.
func sized(numbers []int, make func(seed uint64, n int) *net.Batch[float64]) (all []*net.Batch[float64]) {
	for i, n := range numbers {
		all = append(all, make(uint64(50+i), n))
	}
	return all
}

func models() []model {
	chain := net.Chain[float64]
	images := func(seed uint64, n int) *net.Batch[float64] {
		return &net.Batch[float64]{N: n, X: random(seed, 20*n, 2), Target: net.Target[float64]{Classes: classes(seed, n, 3)}}
	}
	conv := net.ConvOptions{In: 2, Out: 4, Height: 4, Width: 5, Kernel: 3, Stride: 2, Padding: 1}
	grouped := conv
	grouped.Groups = 2
	tokens := func(seed uint64, n int) *net.Batch[float64] {
		b := &net.Batch[float64]{N: n, X: dense.New[float64](4*n, 1), Target: net.Target[float64]{Classes: classes(seed, 4*n, 5)}}
		for i, c := range classes(seed+1, 4*n, 5) {
			b.X.Data[i] = float64(c)
		}
		b.Target.Classes[1] = -1
		return b
	}
	table := net.NewEmbedding[float64](source(4), 5, 4)
	return []model{
		{name: "mlp", net: net.New[float64](chain(linear(1, 3, 4), tanh(), linear(2, 4, 3)), &net.CrossEntropy[float64]{}, 1),
			batches: sized([]int{3, 4, 2}, func(seed uint64, n int) *net.Batch[float64] {
				return &net.Batch[float64]{N: n, X: random(seed, n, 3), Target: net.Target[float64]{Classes: classes(seed, n, 3)}}
			})},
		{name: "positions", tokens: true, net: net.New[float64](chain(linear(1, 3, 4), tanh(), linear(2, 4, 2)), net.NewSquare[float64](true), 1),
			batches: sized([]int{2, 3, 2}, func(seed uint64, n int) *net.Batch[float64] {
				return &net.Batch[float64]{N: n, X: random(seed, 3*n, 3), Target: net.Target[float64]{Values: random(seed+9, 3*n, 2)}}
			})},
		{name: "conv", net: net.New[float64](chain(net.NewConv2d[float64](source(3), conv), tanh(), net.NewGlobalPool[float64](net.Mean), linear(2, 4, 3)),
			&net.CrossEntropy[float64]{}, 1), batches: sized([]int{3, 2, 2}, images)},
		{name: "grouped conv", net: net.New[float64](chain(net.NewConv2d[float64](source(3), grouped), tanh(), net.NewFlatten[float64](), linear(2, 24, 3)),
			&net.CrossEntropy[float64]{}, 1), batches: sized([]int{3, 2, 2}, images)},
		{name: "transformer", skip: true, tokens: true, net: net.New[float64](chain(table, net.NewPositions[float64](source(5), 4, 4),
			net.NewResidual[float64](chain(net.NewLayerNorm[float64](4), net.NewAttention[float64](source(6), 4, 2, true))), linear(7, 4, 5)),
			&net.CrossEntropy[float64]{}, 1), batches: sized([]int{2, 2, 1}, tokens)},
	}
}

// gradientOf returns the gradient, over all parameters, of the loss of one example by itself, from a backward pass of the whole network.
func gradientOf(n *net.Net[float64], b *net.Batch[float64], i int) (g []float64) {
	per, rows := b.X.Rows/b.N, n.Forward(b).Rows/b.N
	one := &net.Batch[float64]{N: 1, X: b.X.View(i*per, 0, per, b.X.Cols).Clone(), Target: targetPart(&b.Target, i*rows, (i+1)*rows)}
	n.Inference = true
	defer func() { n.Inference = false }()
	n.Gradient(one)
	for _, block := range n.Blocks() {
		g = append(g, block.Grad...)
	}
	return g
}

// terms returns the gradients of the terms of all examples in the risk, by finite batches of one example.
func terms(t *testing.T, m *model) (all [][]float64) {
	t.Helper()
	train := m.train()
	r, err := curvature.NewRisk(m.net, train.all(), curvature.RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for b := range train.all() {
		out := m.net.Forward(b)
		per, cols := out.Rows/b.N, out.Cols
		for i := range b.N {
			target := targetPart(&b.Target, i*per, (i+1)*per)
			factor := m.net.Loss.Factor(dense.New[float64](per, cols), &target)
			g := gradientOf(m.net, b, i)
			for j := range g {
				g[j] *= r.Factor() / factor
			}
			all = append(all, g)
		}
	}
	return all
}
