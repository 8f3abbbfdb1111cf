package train

import (
	"slices"
	"unicode/utf8"

	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

var charTransformer = Workload{
	Name: "char-transformer", What: "the next character, or byte-pair token (--merges), of a text with a transformer of three layers",
	Data: "a text file in UTF-8; the last 10 % validate", Metric: "nats per character", text: true,
	defaults: defaults{steps: 2000, batch: 24, evalEvery: 100, lr: map[string]float64{"adamw": 3e-3, "nadamw": 3e-3, "schedule-free-adamw": 4e-3, "sgd": 0.1}},
	build:    buildTransformer,
}

// The sizes of the transformer, and the number of windows that validate.
const (
	textWindow      = 64
	textWidth       = 96
	textHeads       = 4
	textLayers      = 3
	textValidation  = 128
	generatedLetter = 200000
)

// buildTransformer learns the tokens from the whole text, and cuts it into training and validation after that. The loss is per token, the metric per
// character, so that it can be compared between numbers of merges.
func buildTransformer(o *Options) (*task, error) {
	text := ""
	if o.Data == "" {
		text = data.Sentences(generatedLetter, data.Stream(o.Seed, "text", 0))
	} else {
		var err error
		if text, err = data.ReadText(o.Data); err != nil {
			return nil, err
		}
	}
	tokenizer := data.NewTokenizer(text, o.Merges)
	tokens, err := tokenizer.Encode(text)
	if err != nil {
		return nil, err
	}
	cut := len(tokens) - len(tokens)/10
	train, valid := tokens[:cut], tokens[cut:]
	if len(valid) <= textWindow {
		return nil, dataError(o.Data, "%d tokens are too few; at least %d are needed", len(tokens), 10*(textWindow+2))
	}
	if o.Batch > len(train) {
		return nil, &OptionError{"batch", "is larger than the text"}
	}
	n := net.New[float32](transformer(o.Seed, tokenizer.Size()), &net.CrossEntropy[float32]{}, o.Seed)
	b, v := &net.Batch[float32]{}, &net.Batch[float32]{}
	v.N = data.AllWindows(valid, textValidation, textWindow, &v.X, &v.Target.Classes)
	perCharacter := float64(len(v.Target.Classes)) / float64(utf8.RuneCountInString(tokenizer.Decode(v.Target.Classes)))
	streams := data.NewStreams(o.Seed)
	return &task{
		net: n, perEpoch: max(1, len(train)/(textWindow*o.Batch)), examples: len(train), validation: slices.Values([]*net.Batch[float32]{v}),
		batch: func(step int) *net.Batch[float32] {
			b.N, b.Step = o.Batch, uint64(step)
			data.Windows(train, o.Batch, textWindow, streams.At("windows", step), &b.X, &b.Target.Classes)
			return b
		},
		evaluate: func() (float64, float64) {
			loss, _ := n.Evaluate(v)
			return loss, loss * perCharacter
		},
	}, nil
}

func transformer(seed uint64, tokens int) net.Layer[float32] {
	r := data.Stream(seed, "network", 0)
	const width = textWidth
	layers := []net.Layer[float32]{net.NewEmbedding[float32](r, tokens, width), net.NewPositions[float32](r, textWindow, width)}
	for range textLayers {
		layers = append(layers,
			net.NewResidual[float32](net.Chain[float32](net.NewLayerNorm[float32](width), net.NewAttention[float32](r, width, textHeads, true))),
			net.NewResidual[float32](net.Chain[float32](
				net.NewLayerNorm[float32](width), net.NewLinear[float32](r, width, 4*width, net.LinearOptions{}), net.NewActivation[float32](net.GELU),
				net.NewLinear[float32](r, 4*width, width, net.LinearOptions{Gain: 0.5}),
			)))
	}
	layers = append(layers, net.NewLayerNorm[float32](width), net.NewLinear[float32](r, width, tokens, net.LinearOptions{}))
	return net.Chain(layers...)
}
