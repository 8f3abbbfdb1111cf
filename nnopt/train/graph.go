package train

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

var graphNodes = Workload{
	Name: "graph", What: "the communities of nodes, of which one in five is known, with two layers of neighbourhood means",
	Data:   "an npz file with arrays x (features of the nodes), y (their classes) and edges (pairs of nodes, each pair once)",
	Metric: "accuracy", Higher: true,
	defaults: defaults{steps: 200, batch: 1, evalEvery: 20, lr: map[string]float64{"adamw": 1e-2, "nadamw": 1e-2, "schedule-free-adamw": 1e-2,
		"singd": 3e-2, "ikfac": 3e-2, "adagrad": 5e-2, "spectral": 1e-2, "eshampoo": 1e-2, "soap": 1e-2, "shampoo": 1e-2, "sirf-shampoo": 1e-2, "muon": 2e-2, "lion": 3e-3, "sign": 3e-3,
		"root-free-rmsprop": 5e-2, "root-free-adamw": 1, "averaged": 0.2, "schedule-free-sgd": 1}},
	build: buildGraph,
}

func buildGraph(o *Options) (*task, error) {
	if o.Batch != 1 {
		return nil, &OptionError{"batch", "must be 1: a step sees the whole graph"}
	}
	s, g, classes, err := readGraph(o)
	if err != nil {
		return nil, err
	}
	const hidden = 32
	r := data.Stream(o.Seed, "network", 0)
	n := net.New[float32](net.Chain[float32](
		net.NewAggregate[float32](g), net.NewLinear[float32](r, 2*s.X.Cols, hidden, net.LinearOptions{Gain: math.Sqrt2}), net.NewActivation[float32](net.ReLU),
		net.NewDropout[float32](0.3, 1),
		net.NewAggregate[float32](g), net.NewLinear[float32](r, 2*hidden, classes, net.LinearOptions{}),
	), &net.CrossEntropy[float32]{}, o.Seed)
	known, unknown := make([]int32, s.N), make([]int32, s.N)
	count := 0
	for k, i := range data.Stream(o.Seed, "split", 0).Perm(s.N) {
		known[i], unknown[i] = -1, s.Classes[i]
		if k < max(1, s.N/5) {
			known[i], unknown[i] = s.Classes[i], -1
			count++
		}
	}
	b := &net.Batch[float32]{X: s.X, N: s.N, Target: net.Target[float32]{Classes: known}}
	v := &net.Batch[float32]{X: s.X, N: s.N, Target: net.Target[float32]{Classes: unknown}}
	return &task{
		net: n, perEpoch: 1, examples: count, validation: slices.Values([]*net.Batch[float32]{v}),
		batch: func(step int) *net.Batch[float32] { b.Step = uint64(step); return b },
		evaluate: func() (float64, float64) {
			loss, out := n.Evaluate(v)
			right, counted := net.Hits(out, unknown)
			return loss, float64(right) / float64(counted)
		},
	}, nil
}

func readGraph(o *Options) (s *data.Set[float32], g *net.Graph, classes int, err error) {
	if o.Data == "" {
		const communities = 4
		s, start, neighbours := data.Communities[float32](400, communities, 0.08, 0.01, data.Stream(o.Seed, "graph", 0))
		return s, &net.Graph{Start: start, Neighbours: neighbours}, communities, nil
	}
	s, classes, err = data.ReadNPZ[float32](o.Data, true)
	if err != nil {
		return nil, nil, 0, err
	}
	edges, err := matio.ReadSamples(matio.Source{Paths: []string{o.Data + ":edges"}})
	if err != nil {
		return nil, nil, 0, err
	}
	if edges.Cols != 2 || s.N < 5 {
		return nil, nil, 0, dataError(o.Data, "edges has %d columns and x %d nodes; 2 and at least 5 are needed", edges.Cols, s.N)
	}
	lists := make([][]int32, s.N)
	for k := range edges.Rows {
		a, b := edges.At(k, 0), edges.At(k, 1)
		for _, v := range []float64{a, b} {
			if !(v >= 0 && v < float64(s.N)) || v != math.Trunc(v) {
				return nil, nil, 0, dataError(o.Data, "edge %d joins node %v; there are nodes 0 to %d", k, v, s.N-1)
			}
		}
		lists[int(a)] = append(lists[int(a)], int32(b))
		lists[int(b)] = append(lists[int(b)], int32(a))
	}
	g = &net.Graph{Start: []int{0}}
	for _, l := range lists {
		g.Neighbours = append(g.Neighbours, l...)
		g.Start = append(g.Start, len(g.Neighbours))
	}
	return s, g, classes, nil
}
