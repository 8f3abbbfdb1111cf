package algoperf

import (
	"math"

	"github.com/spdopt/spdopt/nnopt/net"
)

func digitCNN() []Workload {
	w := Workload{
		Name: "digit-cnn", What: "digits of 14 x 14 pixels with two convolutions", Metric: "accuracy", Higher: true, Needs: NeedDigits,
		Batch: 64, StepHint: 240, EvalEvery: 6, build: buildCNN(cnnForm{curve: net.ReLU, channels: 8}),
	}
	return []Workload{w,
		w.variant("silu", "the same with SiLU and 12 channels", buildCNN(cnnForm{curve: net.SiLU, channels: 12})),
		w.variant("batchnorm", "the same with batch normalisation", buildCNN(cnnForm{curve: net.ReLU, channels: 8, normalise: true})),
	}
}

type cnnForm struct {
	curve     net.Curve
	channels  int // of the first convolution; the second has twice as many
	normalise bool
}

func buildCNN(f cnnForm) func(*setup) (*Task, error) {
	return func(s *setup) (*Task, error) {
		images, err := s.images(s.data.small, 1000)
		if err != nil {
			return nil, err
		}
		r := s.random()
		layers := []net.Layer[float32]{net.NewPixels[float32](1)}
		in, height, width := 1, images.Height, images.Width
		for _, out := range []int{f.channels, 2 * f.channels} {
			layers = append(layers, net.NewConv2d[float32](r, net.ConvOptions{In: in, Out: out, Height: height, Width: width, Padding: 1, Gain: math.Sqrt2}))
			if f.normalise {
				layers = append(layers, net.NewBatchNorm[float32](out))
			}
			pool := net.NewPool[float32](net.Max, net.PoolOptions{Height: height, Width: width})
			layers = append(layers, net.NewActivation[float32](f.curve), pool)
			in = out
			height, width = pool.OutputSize()
		}
		layers = append(layers, net.NewFlatten[float32](), net.NewLinear[float32](r, height*width*in, images.Labels, net.LinearOptions{}))
		return images.classify(net.Chain(layers...), 1), nil
	}
}
