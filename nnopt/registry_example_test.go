package nnopt_test

import (
	"fmt"

	"github.com/spdopt/spdopt/nnopt"
)

// What there is to choose from.
func ExampleOptimizers() {
	fmt.Println(nnopt.Optimizers()[0].Name, nnopt.Shapes()[0], nnopt.Structures()[0])
	// Output: spectral constant dense
}

// Plain descent and NadamW on w^2/2 from w = 1: a step of 0.1 times the gradient, and one of 1 + Beta1 times the learning rate.
func ExampleNewSGD() {
	sgd, err := nnopt.NewSGD[float64](nnopt.SGD{Settings: nnopt.Settings{LR: 0.1}, NoMomentum: true})
	if err != nil {
		panic(err)
	}
	nadam, err := nnopt.NewNadamW[float64](nnopt.NadamW{Settings: nnopt.Settings{LR: 0.1}})
	if err != nil {
		panic(err)
	}
	for _, o := range []nnopt.Optimizer[float64]{sgd, nadam} {
		blocks := []nnopt.Block[float64]{{Name: "w", Rows: 1, Cols: 1, Value: []float64{1}, Grad: []float64{1}}}
		if err := o.Init(blocks); err != nil {
			panic(err)
		}
		if _, err := o.Step(blocks, nnopt.StepInfo{LRScale: 1}); err != nil {
			panic(err)
		}
		fmt.Printf("%.3f\n", blocks[0].Value[0])
	}
	// Output:
	// 0.900
	// 0.810
}
