package net_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// descend takes steps of AdamW on one batch and returns the losses before and after.
func descend(n *net.Net[float64], b *net.Batch[float64], steps int) (before, after float64) {
	opt, err := nnopt.NewAdamW[float64](nnopt.AdamW{Settings: nnopt.Settings{LR: 0.02}})
	if err != nil {
		panic(err)
	}
	feed := net.NewFeed(n, opt)
	if err := opt.Init(n.Blocks()); err != nil {
		panic(err)
	}
	before, _ = n.Evaluate(b)
	for step := range steps {
		b.Step = uint64(step)
		if _, err := feed.Gradient(b, nil); err != nil {
			panic(err)
		}
		if _, err := opt.Step(n.Blocks(), nnopt.StepInfo{LRScale: 1}); err != nil {
			panic(err)
		}
	}
	after, _ = n.Evaluate(b)
	return before, after
}

func normal(r *rand.Rand, rows, cols int) net.Matrix[float64] {
	m := net.Matrix[float64]{Rows: rows, Cols: cols, Stride: cols, Data: make([]float64, rows*cols)}
	for i := range m.Data {
		m.Data[i] = r.NormFloat64()
	}
	return m
}

// A convolutional network for grey images of 8 x 8 pixels in three classes. An image is a row; Pixels makes positions of it and Flatten a row again.
func ExampleNewConv2d() {
	r := rand.New(rand.NewPCG(1, 2))
	conv := net.NewConv2d[float64](r, net.ConvOptions{In: 1, Out: 4, Height: 8, Width: 8, Padding: 1, Gain: math.Sqrt2})
	n := net.New[float64](net.Chain[float64](
		net.NewPixels[float64](1), conv, net.NewBatchNorm[float64](4), net.NewActivation[float64](net.ReLU),
		net.NewPool[float64](net.Max, net.PoolOptions{Height: 8, Width: 8}), net.NewFlatten[float64](),
		net.NewDropout[float64](0.1, 1), net.NewLinear[float64](r, 4*4*4, 3, net.LinearOptions{}),
	), &net.CrossEntropy[float64]{}, 1)
	before, after := descend(n, &net.Batch[float64]{X: normal(r, 6, 64), N: 6, Target: net.Target[float64]{Classes: []int32{0, 1, 2, 0, 1, 2}}}, 60)
	fmt.Println("parameters:", n.Dim())
	fmt.Println("fits six images:", before > 0.9 && after < 0.1)
	// Output:
	// parameters: 243
	// fits six images: true
}

// The last layers may summarise all positions instead.
func ExampleNewGlobalPool() {
	r := rand.New(rand.NewPCG(1, 2))
	n := net.New[float64](net.Chain[float64](
		net.NewPixels[float64](1), net.NewConv2d[float64](r, net.ConvOptions{In: 1, Out: 5, Height: 6, Width: 6}), net.NewActivation[float64](net.SiLU),
		net.NewGlobalPool[float64](net.Mean), net.NewLinear[float64](r, 5, 2, net.LinearOptions{}),
	), &net.CrossEntropy[float64]{}, 1)
	out := n.Forward(&net.Batch[float64]{X: normal(r, 3, 36), N: 3})
	fmt.Println(out.Rows, out.Cols)
	// Output: 3 2
}

// A causal transformer over four tokens that learns to name the token after next to each; its output scores use the weights of the embedding.
func ExampleNewAttention() {
	r := rand.New(rand.NewPCG(1, 2))
	const tokens, length, width = 4, 8, 16
	embedding := net.NewEmbedding[float64](r, tokens, width)
	n := net.New[float64](net.Chain[float64](
		embedding, net.NewPositions[float64](r, length, width),
		net.NewResidual[float64](net.Chain[float64](net.NewLayerNorm[float64](width), net.NewAttention[float64](r, width, 2, true))),
		net.NewResidual[float64](net.Chain[float64](net.NewRMSNorm[float64](width), net.NewLinear[float64](r, width, width, net.LinearOptions{}))),
		net.NewLayerNorm[float64](width), net.NewTied(embedding),
	), &net.CrossEntropy[float64]{}, 1)
	b := &net.Batch[float64]{X: net.Matrix[float64]{Rows: 2 * length, Cols: 1, Stride: 1}, N: 2}
	for i := range 2 * length {
		b.X.Data = append(b.X.Data, float64(i%tokens))
		b.Target.Classes = append(b.Target.Classes, int32((i+2)%tokens))
	}
	before, after := descend(n, b, 100)
	fmt.Println("learned:", before > 1 && after < 0.1)
	// Output: learned: true
}

// A graph of two triangles with one edge between them; a node's features come together with the mean of its neighbours'.
func ExampleNewAggregate() {
	g := &net.Graph{Start: []int{0, 2, 4, 7, 10, 12, 14}, Neighbours: []int32{1, 2, 0, 2, 0, 1, 3, 2, 4, 5, 3, 5, 3, 4}}
	if err := g.Validate(); err != nil {
		panic(err)
	}
	n := net.New[float64](net.NewAggregate[float64](g), net.NewSquare[float64](false), 1)
	x := net.Matrix[float64]{Rows: 6, Cols: 1, Stride: 1, Data: []float64{1, 2, 3, 4, 5, 6}}
	out := n.Forward(&net.Batch[float64]{X: x, N: 6})
	fmt.Printf("%d %.2f %.2f\n", g.Nodes(), out.Row(0), out.Row(3))
	// Output: 6 [1.00 2.50] [4.00 4.67]
}

// Losses for numbers and for chances; sum adds up the outputs of a row, otherwise it is their mean.
func ExampleNewSquare() {
	out := net.Matrix[float64]{Rows: 1, Cols: 2, Stride: 2, Data: []float64{0, 2}}
	target := net.Target[float64]{Values: net.Matrix[float64]{Rows: 1, Cols: 2, Stride: 2, Data: []float64{1, 0}}}
	for _, loss := range []net.Loss[float64]{net.NewSquare[float64](false), net.NewSquare[float64](true), net.NewAbsolute[float64](false), net.NewBinaryCrossEntropy[float64](false)} {
		n := net.New[float64](net.NewFlatten[float64](), loss, 1)
		value, _ := n.Evaluate(&net.Batch[float64]{X: out, N: 1, Target: target})
		fmt.Printf("%.4f\n", value)
	}
	// Output:
	// 2.5000
	// 5.0000
	// 1.5000
	// 1.4100
}

// A denoising diffusion model of points on a line: trained on corrupted points, it turns noise into points near that line.
func ExampleNewDiffusion() {
	d := net.NewDiffusion(20)
	r := rand.New(rand.NewPCG(1, 2))
	n := net.New[float64](net.Chain[float64](
		net.NewLinear[float64](r, 2+net.TimeFeatures, 32, net.LinearOptions{}), net.NewActivation[float64](net.SiLU), net.NewLinear[float64](r, 32, 2, net.LinearOptions{}),
	), net.NewSquare[float64](false), 1)
	x, in := normal(r, 256, 2), normal(r, 256, 2+net.TimeFeatures)
	b := &net.Batch[float64]{X: in, N: 256}
	for range 40 {
		for i := range x.Rows {
			x.Set(i, 1, 0.5) // the line: any first coordinate, the second is 0.5
		}
		net.Corrupt(d, r, x, in, &b.Target)
		descend(n, b, 10)
	}
	samples, row := normal(r, 100, 2), normal(r, 100, 2+net.TimeFeatures)
	net.Denoise(d, r, 3, row, samples, func(in net.Matrix[float64]) net.Matrix[float64] {
		return n.Forward(&net.Batch[float64]{X: in, N: in.Rows})
	})
	distance := 0.0
	for i := range samples.Rows {
		distance += math.Abs(samples.At(i, 1)-0.5) / 100
	}
	fmt.Println("near the line:", distance < 0.2)
	features := make([]float64, net.TimeFeatures)
	net.SetTime(d, d.Steps()-1, features)
	fmt.Printf("%.2f\n", features[:4])
	// Output:
	// near the line: true
	// [1.00 0.00 0.00 -1.00]
}

// Every layer, loss and curve is in a registry.
func ExampleLayers() {
	for _, l := range net.Layers()[:2] {
		fmt.Println(l.Name)
	}
	fmt.Println(net.Losses()[0].Name, net.Curves()[0])
	// Output:
	// linear
	// tied
	// cross-entropy relu
}
