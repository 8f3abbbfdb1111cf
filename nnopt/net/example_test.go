package net_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// A network for XOR, trained with AdamW, then asked for a Hessian-vector product.
func Example() {
	r := rand.New(rand.NewPCG(1, 2))
	n := net.New[float64](net.Chain[float64](
		net.NewLinear[float64](r, 2, 8, net.LinearOptions{}),
		net.NewActivation[float64](net.Tanh),
		net.NewLinear[float64](r, 8, 2, net.LinearOptions{}),
	), &net.CrossEntropy[float64]{}, 1)
	batch := &net.Batch[float64]{
		X: net.Matrix[float64]{Rows: 4, Cols: 2, Stride: 2, Data: []float64{0, 0, 0, 1, 1, 0, 1, 1}},
		N: 4, Target: net.Target[float64]{Classes: []int32{0, 1, 1, 0}},
	}
	opt, err := nnopt.NewAdamW[float64](nnopt.AdamW{Settings: nnopt.Settings{LR: 0.05}})
	if err != nil {
		panic(err)
	}
	if err := opt.Init(n.Blocks()); err != nil {
		panic(err)
	}
	for range 200 {
		n.Gradient(batch)
		if _, err := opt.Step(n.Blocks(), nnopt.StepInfo{LRScale: 1}); err != nil {
			panic(err)
		}
	}
	loss, out := n.Evaluate(batch)
	fmt.Println("learned:", loss < 0.05, out.At(0, 0) > out.At(0, 1))
	v := make([]float64, n.Dim())
	v[0] = 1
	n.HVP(batch, v, v) // the first column of the Hessian
	fmt.Println("curvature is finite:", v[0] == v[0])
	// Output:
	// learned: true true
	// curvature is finite: true
}

// The precision of products is a matter of devices.
func ExampleNet_UseRounded() {
	n := net.New(net.Layer[float32](net.NewActivation[float32](net.Tanh)), net.NewSquare[float32](false), 1)
	fmt.Println(n.UseRounded("cpu", nnopt.FP32))
	fmt.Println(n.UseRounded("cpu", nnopt.BF16))
	// Output:
	// <nil>
	// products in bf16: only devices round, not cpu
}

// Four rows of outputs for two classes; the last row has no class.
func ExampleHits() {
	out := net.Matrix[float64]{Rows: 4, Cols: 2, Stride: 2, Data: []float64{3, 1, 0, 2, 5, 4, 1, 1}}
	right, counted := net.Hits(out, []int32{0, 1, 1, -1})
	fmt.Println(right, "of", counted)
	// Output: 2 of 3
}

// A batch of the wrong width, as an error instead of a panic.
func ExampleGuard() {
	n := net.New[float64](net.NewLinear[float64](rand.New(rand.NewPCG(1, 2)), 2, 3, net.LinearOptions{}), &net.CrossEntropy[float64]{}, 1)
	wide := &net.Batch[float64]{X: net.Matrix[float64]{Rows: 1, Cols: 4, Stride: 4, Data: make([]float64, 4)}, N: 1}
	fmt.Println(net.Guard(func() { n.Forward(wide) }))
	// Output: dense: Gemm: 1x4 times 2x3 into 1x3
}
