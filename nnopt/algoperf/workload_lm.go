package algoperf

import (
	"fmt"

	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

func charLM() []Workload {
	w := Workload{
		Name: "char-lm", What: "the next character of a text with a transformer of two layers, normalised before each", Metric: "nats per character", Needs: NeedText,
		Batch: 12, StepHint: 280, EvalEvery: 7, build: buildLM(lmForm{curve: net.GELU, width: 32}),
	}
	return []Workload{w,
		w.variant("post-norm", "the same, normalised after each layer", buildLM(lmForm{curve: net.GELU, width: 32, after: true})),
		w.variant("relu", "the same with ReLU and 48 columns", buildLM(lmForm{curve: net.ReLU, width: 48})),
	}
}

// The sizes that the language models share.
const (
	lmWindow, lmHeads, lmLayers = 32, 2, 2
	lmValidation                = 48 // windows
)

type lmForm struct {
	curve net.Curve
	width int
	after bool // normalise after the layers
}

func buildLM(f lmForm) func(*setup) (*Task, error) {
	return func(s *setup) (*Task, error) {
		tokens, size, err := s.data.text()
		if err != nil {
			return nil, err
		}
		cut := len(tokens) - len(tokens)/10
		train, valid := tokens[:cut], tokens[cut:]
		if len(valid) <= lmWindow {
			return nil, fmt.Errorf("text: %d characters are too few; at least %d are needed", len(tokens), 10*(lmWindow+2))
		}
		n := net.New[float32](f.network(s, size), &net.CrossEntropy[float32]{}, s.seed)
		b, v := &net.Batch[float32]{}, &net.Batch[float32]{}
		v.N = data.AllWindows(valid, lmValidation, lmWindow, &v.X, &v.Target.Classes)
		streams := data.NewStreams(s.seed)
		return &Task{
			Net: n, Examples: len(train) / lmWindow,
			Batch: func(step int) *net.Batch[float32] {
				b.N, b.Step = s.batch, uint64(step)
				data.Windows(train, s.batch, lmWindow, streams.At("windows", step), &b.X, &b.Target.Classes)
				return b
			},
			Evaluate: func() (float64, float64) {
				loss, _ := n.Evaluate(v)
				return loss, loss
			},
		}, nil
	}
}

func (f lmForm) network(s *setup, tokens int) net.Layer[float32] {
	r := s.random()
	layers := []net.Layer[float32]{net.NewEmbedding[float32](r, tokens, f.width), net.NewPositions[float32](r, lmWindow, f.width)}
	around := func(inner ...net.Layer[float32]) {
		norm := net.NewLayerNorm[float32](f.width)
		if f.after {
			layers = append(layers, net.NewResidual[float32](net.Chain(inner...)), norm)
			return
		}
		layers = append(layers, net.NewResidual[float32](net.Chain(append([]net.Layer[float32]{norm}, inner...)...)))
	}
	for range lmLayers {
		around(net.NewAttention[float32](r, f.width, lmHeads, true))
		around(net.NewLinear[float32](r, f.width, 4*f.width, net.LinearOptions{}), net.NewActivation[float32](f.curve),
			net.NewLinear[float32](r, 4*f.width, f.width, net.LinearOptions{Gain: 0.5}))
	}
	if !f.after {
		layers = append(layers, net.NewLayerNorm[float32](f.width))
	}
	return net.Chain(append(layers, net.NewLinear[float32](r, f.width, tokens, net.LinearOptions{}))...)
}
