package algoperf

import (
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

func clickThrough() []Workload {
	w := Workload{
		Name: "click-through", What: "clicks on generated pages of eight categories with embeddings and a network of two hidden layers", Metric: "loss",
		Batch: 256, StepHint: 400, EvalEvery: 8, build: buildClick(clickForm{width: 64, scale: 1}),
	}
	return []Workload{w,
		w.variant("layernorm", "the same with layer normalisation", buildClick(clickForm{width: 64, scale: 1, normalise: true})),
		w.variant("embed-init", "the same with initial embeddings of a tenth of the size", buildClick(clickForm{width: 64, scale: 0.1})),
	}
}

// The sizes of the generated pages.
const (
	clickFields, clickTokens, clickColumns = 8, 120, 8
	clickExamples                          = 40000
)

type clickForm struct {
	width     int
	scale     float64 // of the initial embeddings
	normalise bool
}

// clicks makes pages with a token of each field, frequent ones first (probabilities about 1/rank), and whether they were clicked: the logit is the sum of a
// weight of each token and of products of hidden traits of neighbouring fields.
func clicks(n int, r *rand.Rand) *data.Set[float32] {
	const traits = 3
	weight, trait := make([]float64, clickFields*clickTokens), dense.New[float64](clickFields*clickTokens, traits)
	for i := range weight {
		weight[i] = 0.6 * r.NormFloat64()
	}
	for i := range trait.Data {
		trait.Data[i] = 0.7 * r.NormFloat64()
	}
	s := &data.Set[float32]{X: dense.New[float32](n*clickFields, 1), N: n, Values: dense.New[float32](n, 1)}
	var tokens [clickFields]int
	for k := range n {
		logit := -0.5
		for f := range tokens {
			tokens[f] = f*clickTokens + int(math.Pow(clickTokens, r.Float64())-1)
			s.X.Data[k*clickFields+f] = float32(tokens[f])
			logit += weight[tokens[f]]
			if f > 0 {
				logit += dense.Dot(trait.Row(tokens[f-1]), trait.Row(tokens[f]))
			}
		}
		if r.Float64() < 1/(1+math.Exp(-logit)) {
			s.Values.Data[k] = 1
		}
	}
	return s
}

func buildClick(f clickForm) func(*setup) (*Task, error) {
	return func(s *setup) (*Task, error) {
		train, valid, err := s.data.pages().Split(0.05)
		if err != nil {
			return nil, err
		}
		order, err := data.NewOrder(train.N, s.batch, s.seed)
		if err != nil {
			return nil, err
		}
		n := net.New[float32](f.network(s), net.NewBinaryCrossEntropy[float32](false), s.seed)
		var part data.Set[float32]
		b := &net.Batch[float32]{}
		v := &net.Batch[float32]{X: valid.X, N: valid.N, Target: net.Target[float32]{Values: valid.Values}}
		return &Task{
			Net: n, Examples: train.N,
			Batch: func(step int) *net.Batch[float32] {
				train.Gather(order.Batch(step), &part)
				b.X, b.N, b.Step, b.Target.Values = part.X, part.N, uint64(step), part.Values
				return b
			},
			Evaluate: func() (float64, float64) {
				loss, _ := n.Evaluate(v)
				return loss, loss
			},
		}, nil
	}
}

func (f clickForm) network(s *setup) net.Layer[float32] {
	r := s.random()
	embedding := net.NewEmbedding[float32](r, clickFields*clickTokens, clickColumns)
	table := embedding.Table.Value.V.Data
	dense.Scale(float32(f.scale), table, table)
	layers := []net.Layer[float32]{embedding, net.NewFlatten[float32]()}
	in := clickFields * clickColumns
	for range 2 {
		layers = append(layers, net.NewLinear[float32](r, in, f.width, net.LinearOptions{Gain: math.Sqrt2}))
		if f.normalise {
			layers = append(layers, net.NewLayerNorm[float32](f.width))
		}
		layers = append(layers, net.NewActivation[float32](net.ReLU))
		in = f.width
	}
	return net.Chain(append(layers, net.NewLinear[float32](r, in, 1, net.LinearOptions{}))...)
}
