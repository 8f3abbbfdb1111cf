package train

import (
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/report"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

var diffusionPoints = Workload{
	Name: "diffusion", What: "the noise in points of a distribution, at 50 levels of it", Data: "an npz file with an array x of points in rows, of size about 1; the last 20 % validate",
	Metric:   "mean squared error",
	defaults: defaults{steps: 3000, batch: 256, evalEvery: 200, lr: map[string]float64{"adamw": 1e-2, "nadamw": 1e-2, "schedule-free-adamw": 1e-2, "sgd": 0.1}},
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
	width := s.X.Cols
	n := net.New[float32](denoiser(o.Seed, width), net.NewSquare[float32](false), o.Seed)
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
		net: n, perEpoch: order.PerEpoch(), examples: train.N, validation: slices.Values([]*net.Batch[float32]{v}),
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
		picture: func() string { return samples(o, n, process, s.X) },
	}, nil
}

// denoiser predicts the noise of points from the points and the features of the time.
func denoiser(seed uint64, width int) net.Layer[float32] {
	const hidden = 128
	r := data.Stream(seed, "network", 0)
	linear := func(in, out int) net.Layer[float32] { return net.NewLinear[float32](r, in, out, net.LinearOptions{}) }
	layers := []net.Layer[float32]{linear(width+net.TimeFeatures, hidden)}
	for range 3 {
		layers = append(layers, net.NewResidual[float32](net.Chain[float32](
			net.NewLayerNorm[float32](hidden), linear(hidden, hidden), net.NewActivation[float32](net.SiLU), linear(hidden, hidden))))
	}
	return net.Chain(append(layers, net.NewLayerNorm[float32](hidden), linear(hidden, width))...)
}

// sampleCount is the number of points in the picture of samples.
const sampleCount = 1000

// samples draws points from the network beside points of the data, by their first two coordinates.
func samples(o *Options, n *net.Net[float32], process *net.Diffusion, points net.Matrix[float32]) string {
	x, in := dense.New[float32](sampleCount, points.Cols), dense.New[float32](sampleCount, points.Cols+net.TimeFeatures)
	var bound float32
	for _, v := range points.Data {
		bound = max(bound, v, -v)
	}
	b := &net.Batch[float32]{X: in, N: sampleCount}
	net.Denoise(process, data.Stream(o.Seed, "samples", 0), float64(bound), in, x, func(net.Matrix[float32]) net.Matrix[float32] { return n.Forward(b) })
	picture := &report.Scatter{Title: "diffusion: data and samples", Groups: []report.Cloud{cloud("data", points), cloud("samples", x)}}
	return picture.SVG()
}

func cloud(name string, points net.Matrix[float32]) report.Cloud {
	c := report.Cloud{Name: name}
	for i := range min(points.Rows, sampleCount) {
		row := points.Row(i)
		p := [2]float64{float64(row[0])}
		if len(row) > 1 {
			p[1] = float64(row[1])
		}
		c.Points = append(c.Points, p)
	}
	return c
}

func readPoints(o *Options) (*data.Set[float32], error) {
	if o.Data == "" {
		return data.Rings[float32](4000, 2, 0.03, data.Stream(o.Seed, "points", 0)), nil
	}
	s, _, err := data.ReadNPZ[float32](o.Data, false)
	return s, err
}
