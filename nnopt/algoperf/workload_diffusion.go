package algoperf

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

func digitDiffusion() []Workload {
	w := Workload{
		Name: "digit-diffusion", What: "the noise in digits of 14 x 14 pixels, at 50 levels of it", Metric: "mean squared error", Needs: NeedDigits,
		Batch: 256, StepHint: 240, EvalEvery: 6, build: buildDiffusion(diffusionForm{curve: net.SiLU, width: 96}),
	}
	return []Workload{w,
		w.variant("gelu", "the same with GELU and 64 columns", buildDiffusion(diffusionForm{curve: net.GELU, width: 64})),
		w.variant("post-norm", "the same, normalised after each layer", buildDiffusion(diffusionForm{curve: net.SiLU, width: 96, after: true})),
	}
}

type diffusionForm struct {
	curve net.Curve
	width int
	after bool // normalise after the layers
}

const diffusionLevels, diffusionLayers = 50, 2

func buildDiffusion(f diffusionForm) func(*setup) (*Task, error) {
	return func(s *setup) (*Task, error) {
		images, err := s.images(s.data.small, 500)
		if err != nil {
			return nil, err
		}
		pixels := images.X.Cols
		n := net.New[float32](f.network(s, pixels), net.NewSquare[float32](false), s.seed)
		process := net.NewDiffusion(diffusionLevels)
		noisy := func(b *net.Batch[float32], x net.Matrix[float32], seed uint64, purpose string, counter int) {
			if b.X.Rows != x.Rows {
				b.X = dense.New[float32](x.Rows, pixels+net.TimeFeatures)
				b.N = x.Rows
			}
			for i := range x.Data {
				x.Data[i] = 2*x.Data[i] - 1
			}
			net.Corrupt(process, data.Stream(seed, purpose, counter), x, b.X, &b.Target)
		}
		b, v := &net.Batch[float32]{}, &net.Batch[float32]{}
		held := dense.New[float32](images.valid.N, pixels)
		held.Copy(images.valid.X)
		noisy(v, held, generatedSeed, "validation", 0)
		return &Task{
			Net: n, Examples: images.train.N,
			Batch: func(step int) *net.Batch[float32] {
				noisy(b, images.next(step, 0).X, s.seed, "noise", step)
				b.Step = uint64(step)
				return b
			},
			Evaluate: func() (float64, float64) {
				loss, _ := n.Evaluate(v)
				return loss, loss
			},
		}, nil
	}
}

func (f diffusionForm) network(s *setup, pixels int) net.Layer[float32] {
	r := s.random()
	linear := func(in, out int) net.Layer[float32] { return net.NewLinear[float32](r, in, out, net.LinearOptions{}) }
	layers := []net.Layer[float32]{linear(pixels+net.TimeFeatures, f.width)}
	for range diffusionLayers {
		norm := net.NewLayerNorm[float32](f.width)
		inner := []net.Layer[float32]{linear(f.width, f.width), net.NewActivation[float32](f.curve), linear(f.width, f.width)}
		if f.after {
			layers = append(layers, net.NewResidual[float32](net.Chain(inner...)), norm)
			continue
		}
		layers = append(layers, net.NewResidual[float32](net.Chain(append([]net.Layer[float32]{norm}, inner...)...)))
	}
	return net.Chain(append(layers, net.NewLayerNorm[float32](f.width), linear(f.width, pixels))...)
}
