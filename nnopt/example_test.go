package nnopt_test

import (
	"fmt"

	"github.com/spdopt/spdopt/nnopt"
)

// An own training loop: the optimizer sees blocks of parameters and their gradients, nothing else.
func Example() {
	w := []float64{4, -2}
	grad := make([]float64, 2)
	blocks := []nnopt.Block[float64]{{Name: "w", Rows: 1, Cols: 2, Value: w, Grad: grad}}
	opt, err := nnopt.NewAdamW[float64](nnopt.AdamW{Settings: nnopt.Settings{LR: 0.1}})
	if err != nil {
		panic(err)
	}
	if err := opt.Init(blocks); err != nil {
		panic(err)
	}
	schedule := nnopt.Schedule{Shape: nnopt.Cosine, Warmup: 10, Steps: 300}
	for step := range 300 {
		grad[0], grad[1] = w[0]-1, 10*(w[1]-3) // of (w0-1)^2/2 + 5 (w1-3)^2
		if _, err := opt.Step(blocks, nnopt.StepInfo{LRScale: schedule.At(step)}); err != nil {
			panic(err)
		}
	}
	fmt.Printf("%.2f %.2f\n", w[0], w[1])
	// Output: 1.00 3.00
}

// Any optimizer of the registry by name, with its options as JSON.
func ExampleNew() {
	opt, err := nnopt.New[float32]("sgd", []byte(`{"lr":0.5,"no_momentum":true}`))
	if err != nil {
		panic(err)
	}
	b := []nnopt.Block[float32]{{Name: "x", Rows: 1, Cols: 1, Value: []float32{2}, Grad: []float32{1}}}
	if err := opt.Init(b); err != nil {
		panic(err)
	}
	report, err := opt.Step(b, nnopt.StepInfo{LRScale: 1})
	fmt.Println(b[0].Value[0], report.Step, err)
	// Output: 1.5 1 <nil>
}

// A matrix shares the memory of its numbers.
func ExampleMatrixOf() {
	numbers := []float64{1, 2, 3, 4, 5, 6}
	m := nnopt.MatrixOf(2, 3, numbers)
	m.Set(0, 0, 10)
	fmt.Println(m.Row(1), m.At(1, 2), numbers[0])
	// Output: [4 5 6] 6 10
}
