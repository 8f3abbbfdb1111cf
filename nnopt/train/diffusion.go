package train

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

var diffusionPoints = Workload{
	Name: "diffusion", What: "the noise in points of a distribution, at 50 levels of it", Data: "an npz file with an array x of points in rows, of size about 1; the last 20 % validate",
	Metric:   "mean squared error",
	defaults: defaults{steps: 3000, batch: 256, evalEvery: 200, lr: map[string]float64{"adamw": 3e-3, "nadamw": 3e-3, "schedule-free-adamw": 5e-3, "sgd": 0.05}},
	build:    buildDiffusion,
}

func buildDiffusion(o *Options) (*task, error) {
	s, err := readPoints(o)
	if err != nil {
		return nil, err
	}
	train, valid, err := s.Split(validationShare)
	if err != nil {
		return nil, dataError(o.Data, "%v", err)
	}
	order, err := data.NewOrder(train.N, o.Batch, o.Seed)
	if err != nil {
		return nil, &OptionError{"batch", "does not fit: " + err.Error()}
	}
	const hidden = 128
	r := data.Stream(o.Seed, "network", 0)
	width := s.X.Cols
	linear := func(in, out int) net.Layer[float32] { return net.NewLinear[float32](r, in, out, net.LinearOptions{}) }
	curve := func() net.Layer[float32] { return net.NewActivation[float32](net.SiLU) }
	n := net.New[float32](net.Chain(
		linear(width+net.TimeFeatures, hidden), curve(), linear(hidden, hidden), curve(), linear(hidden, hidden), curve(), linear(hidden, width),
	), net.NewSquare[float32](false), o.Seed)
	streams := data.NewStreams(o.Seed)
	process := net.NewDiffusion(50)
	noisy := func(b *net.Batch[float32], x net.Matrix[float32], purpose string, counter int) {
		if b.X.Rows != x.Rows {
			b.X = dense.New[float32](x.Rows, width+net.TimeFeatures)
		}
		b.N = x.Rows
		net.Corrupt(process, streams.At(purpose, counter), x, b.X, &b.Target)
	}
	var part data.Set[float32]
	b, v := &net.Batch[float32]{}, &net.Batch[float32]{}
	noisy(v, valid.X, "validation", 0)
	return &task{
		net: n, perEpoch: order.PerEpoch(), examples: train.N,
		batch: func(step int) *net.Batch[float32] {
			train.Gather(order.Batch(step), &part)
			noisy(b, part.X, "noise", step)
			b.Step = uint64(step)
			return b
		},
		evaluate: func() (float64, float64) {
			loss, _ := n.Evaluate(v)
			return loss, loss
		},
	}, nil
}

func readPoints(o *Options) (*data.Set[float32], error) {
	if o.Data == "" {
		return data.Rings[float32](4000, 2, 0.03, data.Stream(o.Seed, "points", 0)), nil
	}
	s, _, err := data.ReadNPZ[float32](o.Data, false)
	return s, err
}
