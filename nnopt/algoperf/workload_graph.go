package algoperf

import (
	"math"

	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

func graphSBM() []Workload {
	w := Workload{
		Name: "graph-sbm", What: "the communities of the nodes of a stochastic block graph, of which one in three is known", Metric: "loss",
		Batch: 1, StepHint: 250, EvalEvery: 5, build: buildGraph(graphForm{curve: net.ReLU, width: 32}),
	}
	return []Workload{w,
		w.variant("tanh", "the same with tanh", buildGraph(graphForm{curve: net.Tanh, width: 32})),
		w.variant("wide", "the same with 64 columns and layer normalisation", buildGraph(graphForm{curve: net.ReLU, width: 64, normalise: true})),
	}
}

// The sizes of the graph.
const (
	graphNodes, graphCommunities = 600, 6
	graphInside, graphBetween    = 0.06, 0.01
	graphKnown                   = 3 // one in so many nodes
)

type graphForm struct {
	curve     net.Curve
	width     int
	normalise bool
}

func buildGraph(f graphForm) func(*setup) (*Task, error) {
	return func(s *setup) (*Task, error) {
		set, start, neighbours := data.Communities[float32](graphNodes, graphCommunities, graphInside, graphBetween, data.Stream(generatedSeed, "graph", 0))
		known, unknown := make([]int32, set.N), make([]int32, set.N)
		for k, i := range data.Stream(generatedSeed, "graph split", 0).Perm(set.N) {
			known[i], unknown[i] = -1, set.Classes[i]
			if k < set.N/graphKnown {
				known[i], unknown[i] = set.Classes[i], -1
			}
		}
		n := net.New[float32](f.network(s, &net.Graph{Start: start, Neighbours: neighbours}, set.X.Cols), &net.CrossEntropy[float32]{}, s.seed)
		b := &net.Batch[float32]{X: set.X, N: set.N, Target: net.Target[float32]{Classes: known}}
		v := &net.Batch[float32]{X: set.X, N: set.N, Target: net.Target[float32]{Classes: unknown}}
		return &Task{
			Net: n, Examples: set.N / graphKnown,
			Batch: func(step int) *net.Batch[float32] { b.Step = uint64(step); return b },
			Evaluate: func() (float64, float64) {
				loss, _ := n.Evaluate(v)
				return loss, loss
			},
		}, nil
	}
}

func (f graphForm) network(s *setup, g *net.Graph, features int) net.Layer[float32] {
	r := s.random()
	layers := []net.Layer[float32]{
		net.NewAggregate[float32](g), net.NewLinear[float32](r, 2*features, f.width, net.LinearOptions{Gain: math.Sqrt2}),
	}
	if f.normalise {
		layers = append(layers, net.NewLayerNorm[float32](f.width))
	}
	return net.Chain(append(layers,
		net.NewActivation[float32](f.curve), net.NewDropout[float32](0.5, 1),
		net.NewAggregate[float32](g), net.NewLinear[float32](r, 2*f.width, graphCommunities, net.LinearOptions{}),
	)...)
}
