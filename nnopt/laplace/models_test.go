package laplace

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/net"
)

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 11)) }

func randomMatrix(seed uint64, rows, cols int) dense.Matrix[float64] {
	r := source(seed)
	m := dense.New[float64](rows, cols)
	for i := range m.Data {
		m.Data[i] = r.NormFloat64()
	}
	return m
}

func near(t testing.TB, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*(1+math.Abs(want))) {
		t.Errorf("%s: %v, want %v within %g", what, got, want, tol)
	}
}

func vectorNear(t testing.TB, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i, v := range want {
		if !(math.Abs(got[i]-v) <= tol*(1+math.Abs(v))) {
			t.Fatalf("%s: element %d is %v, want %v within %g", what, i, got[i], v, tol)
		}
	}
}

func linear(seed uint64, in, out int) *net.Linear[float64] {
	l := net.NewLinear[float64](source(seed), in, out, net.LinearOptions{})
	r := source(seed + 100)
	for i := range l.Bias.Value.V.Data {
		l.Bias.Value.V.Data[i] = r.NormFloat64()
	}
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

type model struct {
	name  string
	net   *net.Net[float64]
	batch *net.Batch[float64]
	kron  bool // all layers have Kronecker factors
}

func chain(l ...net.Layer[float64]) net.Layer[float64] { return net.Chain[float64](l...) }

// models are small networks of every likelihood, with one and with several positions, shared weights, and layers without statistics.
func models() []model {
	values := func(seed uint64, rows, cols int) net.Target[float64] {
		return net.Target[float64]{Values: randomMatrix(seed, rows, cols)}
	}
	yesNo := values(31, 6, 2)
	for i, v := range yesNo.Values.Data {
		yesNo.Values.Data[i] = 0
		if v > 0 {
			yesNo.Values.Data[i] = 1
		}
	}
	conv := net.ConvOptions{In: 2, Out: 3, Height: 4, Width: 4, Kernel: 3, Stride: 2, Padding: 1}
	grouped := conv
	grouped.Out, grouped.Groups = 4, 2
	tokens := dense.New[float64](12, 1)
	for i := range tokens.Data {
		tokens.Data[i] = float64(i * 7 % 5)
	}
	someIgnored := classes(33, 12, 3)
	someIgnored[3], someIgnored[4] = -1, -1
	mlp := func(loss net.Loss[float64], out int) *net.Net[float64] {
		return net.New(chain(linear(1, 3, 4), tanh(), linear(2, 4, out)), loss, 1)
	}
	first := linear(8, 3, 3)
	again := &net.Linear[float64]{Weight: first.Weight, Bias: first.Bias}
	return []model{
		{"tied", net.New(chain(first, tanh(), again, tanh(), linear(2, 3, 2)), net.NewSquare[float64](false), 1),
			&net.Batch[float64]{N: 5, X: randomMatrix(11, 5, 3), Target: values(30, 5, 2)}, true},
		{"classes", mlp(&net.CrossEntropy[float64]{}, 3), &net.Batch[float64]{N: 6, X: randomMatrix(11, 6, 3), Target: net.Target[float64]{Classes: classes(21, 6, 3)}}, true},
		{"classes, sum", mlp(&net.CrossEntropy[float64]{Sum: true}, 3), &net.Batch[float64]{N: 6, X: randomMatrix(11, 6, 3), Target: net.Target[float64]{Classes: classes(21, 6, 3)}}, true},
		{"squares", mlp(net.NewSquare[float64](false), 2), &net.Batch[float64]{N: 6, X: randomMatrix(11, 6, 3), Target: values(30, 6, 2)}, true},
		{"squares, sum", mlp(net.NewSquare[float64](true), 2), &net.Batch[float64]{N: 6, X: randomMatrix(11, 6, 3), Target: values(30, 6, 2)}, true},
		{"binary", mlp(net.NewBinaryCrossEntropy[float64](false), 2), &net.Batch[float64]{N: 6, X: randomMatrix(11, 6, 3), Target: yesNo}, true},
		{"positions", mlp(net.NewSquare[float64](false), 2), &net.Batch[float64]{N: 3, X: randomMatrix(11, 6, 3), Target: values(30, 6, 2)}, true},
		{"convolution", net.New(chain(net.NewConv2d[float64](source(3), conv), tanh(), net.NewGlobalPool[float64](net.Mean), linear(2, 3, 3)), &net.CrossEntropy[float64]{}, 1),
			&net.Batch[float64]{N: 4, X: randomMatrix(12, 64, 2), Target: net.Target[float64]{Classes: classes(22, 4, 3)}}, true},
		{"groups", net.New(chain(net.NewConv2d[float64](source(3), grouped), tanh(), net.NewGlobalPool[float64](net.Mean), linear(2, 4, 2)), net.NewSquare[float64](false), 1),
			&net.Batch[float64]{N: 3, X: randomMatrix(12, 48, 2), Target: values(34, 3, 2)}, true},
		{"transformer", net.New(chain(net.NewEmbedding[float64](source(4), 5, 4), net.NewPositions[float64](source(5), 4, 4),
			net.NewResidual(chain(net.NewLayerNorm[float64](4), net.NewAttention[float64](source(6), 4, 2, true))), linear(7, 4, 3)), &net.CrossEntropy[float64]{}, 1),
			&net.Batch[float64]{N: 3, X: tokens, Target: net.Target[float64]{Classes: someIgnored}}, false},
	}
}

func (m *model) data() iter.Seq[*net.Batch[float64]] {
	return slices.Values([]*net.Batch[float64]{m.batch})
}

func (m *model) fit(t testing.TB, o Options) *Posterior[float64] {
	t.Helper()
	p, err := Fit(m.net, m.data(), o)
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	return p
}

// jacobianOf differentiates the outputs by central differences of fourth order.
func jacobianOf(n *net.Net[float64], b *net.Batch[float64]) *mat.Dense {
	out := n.Forward(b)
	j := mat.NewDense(out.Rows*out.Cols, n.Dim(), nil)
	at := 0
	const h = 1e-3
	for _, block := range n.Blocks() {
		for i, x := range block.Value {
			for _, c := range []struct{ step, weight float64 }{{-2, 1}, {-1, -8}, {1, 8}, {2, -1}} {
				block.Value[i] = x + c.step*h
				out := n.Forward(b)
				for r := range out.Rows {
					for k, v := range out.Row(r) {
						j.Set(r*out.Cols+k, at, j.At(r*out.Cols+k, at)+c.weight*v/(12*h))
					}
				}
			}
			block.Value[i] = x
			at++
		}
	}
	return j
}

// hessianOf returns the second derivatives of the sum of the negative log-likelihoods with noise 1 in the outputs, and that sum, by closed forms.
func hessianOf(p *Posterior[float64], b *net.Batch[float64]) (*mat.Dense, float64) {
	out := p.net.Forward(b)
	h := mat.NewDense(out.Rows*out.Cols, out.Rows*out.Cols, nil)
	var sum float64
	for r := range out.Rows {
		at := r * out.Cols
		switch p.Likelihood() {
		case Regression:
			for k, v := range out.Row(r) {
				h.Set(at+k, at+k, 1)
				sum += (v - b.Target.Values.At(r, k)) * (v - b.Target.Values.At(r, k)) / 2
			}
		case Binary:
			for k, v := range out.Row(r) {
				s := 1 / (1 + math.Exp(-v))
				h.Set(at+k, at+k, s*(1-s))
				y := b.Target.Values.At(r, k)
				sum -= y*math.Log(s) + (1-y)*math.Log(1-s)
			}
		case Classification:
			if b.Target.Classes[r] < 0 {
				continue
			}
			total := 0.0
			for _, v := range out.Row(r) {
				total += math.Exp(v)
			}
			for i, v := range out.Row(r) {
				for k, w := range out.Row(r) {
					h.Set(at+i, at+k, -math.Exp(v+w)/total/total)
				}
				h.Set(at+i, at+i, math.Exp(v)/total-math.Exp(2*v)/total/total)
			}
			sum -= out.Row(r)[b.Target.Classes[r]] - math.Log(total)
		}
	}
	return h, sum
}

// gaussNewton returns J^T H J.
func gaussNewton(j, h *mat.Dense) *mat.Dense {
	var hj, g mat.Dense
	hj.Mul(h, j)
	g.Mul(j.T(), &hj)
	return &g
}
