package nnopt_test

import (
	"fmt"

	"github.com/spdopt/spdopt/nnopt"
)

// firstSteps prints which elements of a 2 x 2 matrix moved against a fixed gradient in three steps.
func firstSteps(o nnopt.Optimizer[float64], err error) {
	if err != nil {
		panic(err)
	}
	w := []nnopt.Block[float64]{{Name: "w", Rows: 2, Cols: 2, Value: make([]float64, 4), Grad: []float64{2, -1, 1, 3}}}
	if err := o.Init(w); err != nil {
		panic(err)
	}
	for range 3 {
		if _, err := o.Step(w, nnopt.StepInfo{LRScale: 1, BatchSize: 8}); err != nil {
			panic(err)
		}
	}
	for i, v := range w[0].Value {
		if v*w[0].Grad[i] < 0 {
			fmt.Print("against ")
		} else {
			fmt.Printf("%.4f ", v)
		}
	}
	fmt.Println()
}

func ExampleNewSpectral() {
	firstSteps(nnopt.NewSpectral[float64](nnopt.Spectral{Interval: 2}))
	// Output: against against against against
}

func ExampleNewEShampoo() {
	firstSteps(nnopt.NewEShampoo[float64](nnopt.EShampoo{}))
	// Output: against against against against
}

func ExampleNewSOAP() {
	firstSteps(nnopt.NewSOAP[float64](nnopt.EShampoo{}))
	// Output: against against against against
}

func ExampleNewShampoo() {
	firstSteps(nnopt.NewShampoo[float64](nnopt.Shampoo{}))
	// Output: against against against against
}

func ExampleNewSIRFShampoo() {
	firstSteps(nnopt.NewSIRFShampoo[float64](nnopt.SIRFShampoo{}))
	// Output: against against against against
}

func ExampleNewAdaGrad() {
	firstSteps(nnopt.NewAdaGrad[float64](nnopt.AdaGrad{}))
	// Output: against against against against
}

func ExampleNewMuon() {
	firstSteps(nnopt.NewMuon[float64](nnopt.Muon{}))
	// Output: against against against against
}

func ExampleNewLion() {
	firstSteps(nnopt.NewLion[float64](nnopt.Lion{}))
	// Output: against against against against
}

func ExampleNewSignDescent() {
	firstSteps(nnopt.NewSignDescent[float64](nnopt.SignDescent{}))
	// Output: against against against against
}

func ExampleNewRootFreeRMSProp() {
	firstSteps(nnopt.NewRootFreeRMSProp[float64](nnopt.RootFreeRMSProp{}))
	// Output: against against against against
}

func ExampleNewRootFreeAdamW() {
	firstSteps(nnopt.NewRootFreeAdamW[float64](nnopt.RootFreeAdamW{}))
	// Output: against against against against
}

func ExampleNewAveraged() {
	firstSteps(nnopt.NewAveraged[float64](nnopt.Averaged{Kind: nnopt.AverageGPA, Inner: "adamw"}))
	// Output: against against against against
}

func ExampleNewScheduleFree() {
	firstSteps(nnopt.NewScheduleFree[float64](nnopt.ScheduleFree{}))
	// Output: against against against against
}

func ExampleNewScheduleFreeSGD() {
	firstSteps(nnopt.NewScheduleFreeSGD[float64](nnopt.Averaged{}))
	// Output: against against against against
}

// A training loop of one's own shows SINGD what the layer saw: inputs and gradients at the outputs.
func ExampleNewSINGD() {
	o, err := nnopt.NewSINGD[float64](nnopt.SINGD{Settings: nnopt.Settings{LR: 0.02}, Damping: 1, Interval: 1})
	if err != nil {
		panic(err)
	}
	observer := o.(nnopt.StatsObserver[float64])
	observer.SetLayers([]nnopt.Layer{{Weight: "w"}})
	x := [][]float64{{1, 20}, {2, 10}, {3, -20}, {1, 0}} // features of different size
	target := []float64{3, 3, 1, 1}                      // x[0] + 0.1 x[1]
	w := []nnopt.Block[float64]{{Name: "w", Rows: 1, Cols: 2, Value: make([]float64, 2), Grad: make([]float64, 2)}}
	if err := o.Init(w); err != nil {
		panic(err)
	}
	in := nnopt.Matrix[float64]{Rows: 4, Cols: 2, Stride: 2, Data: make([]float64, 8)}
	out := nnopt.Matrix[float64]{Rows: 4, Cols: 1, Stride: 1, Data: make([]float64, 4)}
	for range 400 {
		clear(w[0].Grad)
		for i, row := range x {
			copy(in.Data[2*i:], row)
			out.Data[i] = (row[0]*w[0].Value[0] + row[1]*w[0].Value[1] - target[i]) / 4
			for j, v := range row {
				w[0].Grad[j] += out.Data[i] * v
			}
		}
		if err := observer.Observe([]nnopt.Stats[float64]{{Weight: "w", In: in, Out: out, Reps: 1}}); err != nil {
			panic(err)
		}
		if _, err := o.Step(w, nnopt.StepInfo{LRScale: 1}); err != nil {
			panic(err)
		}
	}
	fmt.Printf("%.2f\n", w[0].Value)
	// Output: [1.00 0.10]
}

func ExampleNewIKFAC() {
	firstSteps(nnopt.NewIKFAC[float64](nnopt.SINGD{}))
	// Output: against against against against
}

func ExampleNewKFAC() {
	firstSteps(nnopt.NewKFAC[float64](nnopt.KFAC{}))
	// Output: against against against against
}
