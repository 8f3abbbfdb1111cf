package algoperf

import "github.com/spdopt/spdopt/nnopt/net"

func digitAutoencoder() []Workload {
	w := Workload{
		Name: "digit-autoencoder", What: "digits of 14 x 14 pixels through a deep network with a waist of 16 numbers", Metric: "mean squared error", Needs: NeedDigits,
		Batch: 256, StepHint: 280, EvalEvery: 7, build: buildAutoencoder(autoencoderForm{curve: net.Tanh, width: 96, gain: 1}),
	}
	return []Workload{w,
		w.variant("gelu", "the same with GELU", buildAutoencoder(autoencoderForm{curve: net.GELU, width: 96, gain: 1.4})),
		w.variant("narrow", "the same with layers of two thirds of the width and smaller initial weights", buildAutoencoder(autoencoderForm{curve: net.Tanh, width: 64, gain: 0.7})),
	}
}

type autoencoderForm struct {
	curve net.Curve
	width int // of the outer layers; the inner ones have half of it
	gain  float64
}

func buildAutoencoder(f autoencoderForm) func(*setup) (*Task, error) {
	return func(s *setup) (*Task, error) {
		images, err := s.images(s.data.small, 500)
		if err != nil {
			return nil, err
		}
		r := s.random()
		sizes := []int{images.X.Cols, f.width, f.width / 2, 16, f.width / 2, f.width, images.X.Cols}
		var layers []net.Layer[float32]
		for k := range len(sizes) - 1 {
			layers = append(layers, net.NewLinear[float32](r, sizes[k], sizes[k+1], net.LinearOptions{Gain: f.gain}))
			if curve := f.curve; k+2 == len(sizes) {
				layers = append(layers, net.NewActivation[float32](net.Sigmoid))
			} else if sizes[k+1] != 16 {
				layers = append(layers, net.NewActivation[float32](curve))
			}
		}
		return images.reconstruct(net.Chain(layers...)), nil
	}
}
