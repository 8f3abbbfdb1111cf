package net

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/nnopt"
)

// The shapes of the benchmarks: an MLP 784-256-256-10 with batch 128; two pre-norm transformer layers of width 64, 4 heads, 32 tokens, hidden width 256,
// 64 different tokens, batch 32; a 3x3 convolution from 8 to 16 channels on 32 images of 14x14.
func benchMLP() (*Net[float32], *Batch[float32]) {
	r := source(1)
	relu := func() Layer[float32] { return NewActivation[float32](ReLU) }
	gain := LinearOptions{Gain: math.Sqrt2}
	n := New[float32](Chain[float32](NewLinear[float32](r, 784, 256, gain), relu(), NewLinear[float32](r, 256, 256, gain), relu(),
		NewLinear[float32](r, 256, 10, LinearOptions{})), &CrossEntropy[float32]{}, 1)
	b := &Batch[float32]{N: 128, X: Matrix[float32]{Rows: 128, Cols: 784, Stride: 784, Data: make([]float32, 128*784)}}
	for i := range b.X.Data {
		b.X.Data[i] = r.Float32()
	}
	for range b.N {
		b.Target.Classes = append(b.Target.Classes, int32(r.IntN(10)))
	}
	return n, b
}

func benchTransformer() (*Net[float32], *Batch[float32]) {
	const tokens, width, length, examples = 64, 64, 32, 32
	r := source(1)
	block := func() Layer[float32] {
		return Chain[float32](
			NewResidual[float32](Chain[float32](NewLayerNorm[float32](width), NewAttention[float32](r, width, 4, true))),
			NewResidual[float32](Chain[float32](NewLayerNorm[float32](width), NewLinear[float32](r, width, 256, LinearOptions{}),
				NewActivation[float32](GELU), NewLinear[float32](r, 256, width, LinearOptions{}))),
		)
	}
	n := New[float32](Chain[float32](NewEmbedding[float32](r, tokens, width), NewPositions[float32](r, length, width), block(), block(),
		NewLayerNorm[float32](width), NewLinear[float32](r, width, tokens, LinearOptions{})), &CrossEntropy[float32]{}, 1)
	b := &Batch[float32]{N: examples, X: Matrix[float32]{Rows: examples * length, Cols: 1, Stride: 1}}
	for range examples * length {
		b.X.Data = append(b.X.Data, float32(r.IntN(tokens)))
		b.Target.Classes = append(b.Target.Classes, int32(r.IntN(tokens)))
	}
	return n, b
}

// measure runs f and reports the processor's time beside the clock's, which other programs disturb.
func measure(b *testing.B, f func()) {
	f()
	start, known := cputime.Seconds()
	n := 0
	for b.Loop() {
		f()
		n++
	}
	if end, _ := cputime.Seconds(); known {
		b.ReportMetric((end-start)*1e3/float64(n), "cpu-ms/op")
	}
}

func BenchmarkPasses(b *testing.B) {
	for _, c := range []struct {
		name  string
		build func() (*Net[float32], *Batch[float32])
	}{{"mlp", benchMLP}, {"transformer", benchTransformer}} {
		n, batch := c.build()
		v := make([]float32, n.Dim())
		opt, err := nnopt.NewSGD[float32](nnopt.SGD{Settings: nnopt.Settings{LR: 1e-6}, NoMomentum: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := opt.Init(n.Blocks()); err != nil {
			b.Fatal(err)
		}
		b.Run(c.name+"/step", func(b *testing.B) {
			measure(b, func() {
				n.Gradient(batch)
				if _, err := opt.Step(n.Blocks(), nnopt.StepInfo{LRScale: 1}); err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run(c.name+"/HVP", func(b *testing.B) { measure(b, func() { n.HVP(batch, v, v) }) })
		b.Run(c.name+"/GGN", func(b *testing.B) { measure(b, func() { n.GGNVP(batch, v, v) }) })
	}
}

func BenchmarkConvolution(b *testing.B) {
	r := source(1)
	c := NewConv2d[float32](r, ConvOptions{In: 8, Out: 16, Height: 14, Width: 14, Padding: 1})
	x := Matrix[float32]{Rows: 32 * 196, Cols: 8, Stride: 8, Data: make([]float32, 32*196*8)}
	for i := range x.Data {
		x.Data[i] = r.Float32()
	}
	p := &Pass[float32]{N: 32, Train: true}
	measure(b, func() { c.Backward(p, c.Forward(p, Dual[float32]{V: x}), true) })
}
