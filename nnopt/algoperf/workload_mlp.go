package algoperf

import (
	"math"

	"github.com/spdopt/spdopt/nnopt/net"
)

// mnistMLP is the development workload of AlgoPerf with its target of 0.97. It moves the digits by up to a pixel in training, because it has to do with
// the 10,000 digits of the test set where those are all there is.
func mnistMLP() []Workload {
	w := Workload{
		Name: "mnist-mlp", What: "digits with a network 784-128-10 of sigmoids", Metric: "accuracy", Higher: true, Needs: NeedDigits,
		Batch: 256, StepHint: 400, EvalEvery: 10, Target: 0.97, build: buildMLP(mlpForm{curve: net.Sigmoid, width: 128, gain: 1}),
	}
	return []Workload{w,
		w.variant("relu", "the same with ReLU", buildMLP(mlpForm{curve: net.ReLU, width: 128, gain: math.Sqrt2})),
		w.variant("narrow", "the same with 48 hidden units and larger initial weights", buildMLP(mlpForm{curve: net.Sigmoid, width: 48, gain: 3})),
	}
}

type mlpForm struct {
	curve net.Curve
	width int
	gain  float64
}

func buildMLP(f mlpForm) func(*setup) (*Task, error) {
	return func(s *setup) (*Task, error) {
		images, err := s.images(s.data.digits, 2000)
		if err != nil {
			return nil, err
		}
		r := s.random()
		return images.classify(net.Chain[float32](
			net.NewLinear[float32](r, images.X.Cols, f.width, net.LinearOptions{Gain: f.gain}), net.NewActivation[float32](f.curve),
			net.NewLinear[float32](r, f.width, images.Labels, net.LinearOptions{}),
		), 1), nil
	}
}
