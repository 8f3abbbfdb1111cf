package curvature

import (
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/net"
)

// model is a small network with a batch, one of the cases that every operator goes through.
type model struct {
	name  string
	net   *net.Net[float64]
	batch *net.Batch[float64]
}

func randomMatrix(seed uint64, rows, cols int) dense.Matrix[float64] {
	return dense.Wrap(rows, cols, gaussian(source(seed), rows*cols))
}

func linear(seed uint64, in, out int) net.Layer[float64] {
	l := net.NewLinear[float64](source(seed), in, out, net.LinearOptions{})
	copy(l.Bias.Value.V.Data, gaussian(source(seed+100), out))
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

// models are networks of every kind of layer and loss that matters here: several positions, groups, shared positions, labels that do not count, layers
// without statistics.
func models() []model {
	chain := net.Chain[float64]
	values := func(seed uint64, rows, cols int) net.Target[float64] {
		return net.Target[float64]{Values: randomMatrix(seed, rows, cols)}
	}
	yesNo := values(31, 5, 2)
	for i, v := range yesNo.Values.Data {
		yesNo.Values.Data[i] = 0
		if v > 0 {
			yesNo.Values.Data[i] = 1
		}
	}
	soft := values(32, 5, 3)
	for i, v := range soft.Values.Data {
		soft.Values.Data[i] = v * v
	}
	tokens := randomMatrix(14, 12, 1)
	for i := range tokens.Data {
		tokens.Data[i] = float64(i * 7 % 5)
	}
	someIgnored := classes(33, 12, 4)
	someIgnored[3], someIgnored[4] = -1, -1
	conv := net.ConvOptions{In: 2, Out: 4, Height: 4, Width: 5, Kernel: 3, Stride: 2, Padding: 1, Dilation: 1}
	grouped := conv
	grouped.Groups = 2
	return []model{
		{"mlp cross-entropy", net.New[float64](chain(linear(1, 3, 4), tanh(), linear(2, 4, 3)), &net.CrossEntropy[float64]{}, 1),
			&net.Batch[float64]{N: 5, X: randomMatrix(11, 5, 3), Target: net.Target[float64]{Classes: classes(21, 5, 3)}}},
		{"mlp cross-entropy sum smoothed", net.New[float64](chain(linear(1, 3, 4), tanh(), linear(2, 4, 3)), &net.CrossEntropy[float64]{Sum: true, Smoothing: 0.1}, 1),
			&net.Batch[float64]{N: 5, X: randomMatrix(11, 5, 3), Target: net.Target[float64]{Classes: classes(21, 5, 3)}}},
		{"mlp soft labels", net.New[float64](chain(linear(1, 3, 4), tanh(), linear(2, 4, 3)), &net.CrossEntropy[float64]{}, 1),
			&net.Batch[float64]{N: 5, X: randomMatrix(11, 5, 3), Target: soft}},
		{"mlp square", net.New[float64](chain(linear(1, 3, 4), tanh(), linear(2, 4, 2)), net.NewSquare[float64](false), 1),
			&net.Batch[float64]{N: 5, X: randomMatrix(11, 5, 3), Target: values(30, 5, 2)}},
		{"mlp binary", net.New[float64](chain(linear(1, 3, 4), tanh(), linear(2, 4, 2)), net.NewBinaryCrossEntropy[float64](false), 1),
			&net.Batch[float64]{N: 5, X: randomMatrix(11, 5, 3), Target: yesNo}},
		{"positions square sum", net.New[float64](chain(linear(1, 3, 4), tanh(), linear(2, 4, 2)), net.NewSquare[float64](true), 1),
			&net.Batch[float64]{N: 3, X: randomMatrix(11, 6, 3), Target: values(30, 6, 2)}},
		{"conv", net.New[float64](chain(net.NewConv2d[float64](source(3), conv), tanh(), net.NewGlobalPool[float64](net.Mean), linear(2, 4, 3)), &net.CrossEntropy[float64]{}, 1),
			&net.Batch[float64]{N: 3, X: randomMatrix(12, 60, 2), Target: net.Target[float64]{Classes: classes(22, 3, 3)}}},
		{"grouped conv", net.New[float64](chain(net.NewConv2d[float64](source(3), grouped), tanh(), net.NewFlatten[float64](), linear(2, 24, 2)), net.NewSquare[float64](false), 1),
			&net.Batch[float64]{N: 3, X: randomMatrix(12, 60, 2), Target: values(34, 3, 2)}},
		{"transformer", net.New[float64](chain(net.NewEmbedding[float64](source(4), 5, 4), net.NewPositions[float64](source(5), 4, 4),
			net.NewResidual[float64](chain(net.NewLayerNorm[float64](4), net.NewAttention[float64](source(6), 4, 2, true))), linear(7, 4, 4)),
			&net.CrossEntropy[float64]{}, 1),
			&net.Batch[float64]{N: 3, X: tokens, Target: net.Target[float64]{Classes: someIgnored}}},
	}
}

func (m *model) risk(t testing.TB) *Risk[float64] {
	t.Helper()
	r, err := NewRisk(m.net, slices.Values([]*net.Batch[float64]{m.batch}), RiskOptions{})
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	return r
}

func matrixNear(t testing.TB, what string, got, want dense.Matrix[float64], tol float64) {
	t.Helper()
	if got.Rows != want.Rows || got.Cols != want.Cols {
		t.Fatalf("%s: %d x %d, want %d x %d", what, got.Rows, got.Cols, want.Rows, want.Cols)
	}
	for i := range got.Rows {
		vectorNear(t, what, got.Row(i), want.Row(i), tol)
	}
}

func vectorNear(t testing.TB, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i, v := range want {
		if d := got[i] - v; !(d <= tol && d >= -tol) {
			t.Fatalf("%s: element %d is %v, want %v within %g", what, i, got[i], v, tol)
		}
	}
}
